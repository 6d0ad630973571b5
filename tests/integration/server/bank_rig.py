# SPDX-License-Identifier: Apache-2.0
"""A server with a bank partner and the partner itself, without network: files in two folders."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hardware_mocks.partner.bank import Bank
from hardware_mocks.partner.files import Form
from hardware_mocks.partner.wrapping import Ed25519Signer, Signer, Wrapping
from keys.store import FileKeyStore
from server.bank import exporting, partners
from server.bank.exporting import Exported
from server.bank.folders import Folders
from server.bank.intake import Intake, Outcome, collect
from server.bank.models import BankFile, BankLine
from server.bank.partners import Partner
from server.db import Base, Database, to_millis
from server.issuing.models import BankBranch, CardOrder, CardStep
from server.people.models import RoleGrant, User, Volunteer
from server.people.policy import volunteer_number

NOON = dt.datetime(2026, 11, 22, 4, tzinfo=dt.UTC)
NAMES = ("王小明", "李\U00020bb7子", "\U000210c1玉兰", "Anna Schmidt")
CODE = "BANK-1"
SEED = bytes(range(32))
PHOTO = hashlib.sha256(b"a photo").hexdigest()


@dataclass
class StoppedClock:
    """A clock that is set by hand."""

    now_ms: int = to_millis(NOON)

    def utc_ms(self) -> int:
        """Return what it was set to."""
        return self.now_ms


def declaration(**changes: Any) -> str:
    """Write a declaration; a change of None leaves the key out."""
    signer = Ed25519Signer(SEED)
    values: dict[str, Any] = {
        "code": CODE, "name_zh": "样例银行", "name_en": "Sample Bank",
        "environment": "production", "profile": "fixed",
        "kinds": ["RES", "AUD", "ARR", "COL", "CUT", "LOS", "DON", "TXN", "BRA"],
        "signature.suite": "ed25519", "signature.keys": [signer.public],
    } | changes  # fmt: skip
    tables: dict[str, list[str]] = {"": []}
    for name, value in values.items():
        if value is None:
            continue
        table, _, key = name.rpartition(".")
        tables.setdefault(table, []).append(f"{key} = {_toml(value)}")
    return "\n".join(
        f"[{table}]\n" + "\n".join(lines) if table else "\n".join(lines)
        for table, lines in tables.items()
    )


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return '"""\n' + value + '"""' if "\n" in value else f'"{value}"'
    return repr(value).replace("'", '"')


@dataclass
class BankRig:
    """Server and bank; `orders` makes card orders that wait for the bank."""

    database: Database
    store: FileKeyStore
    root: Path
    clock: StoppedClock = field(default_factory=StoppedClock)
    signer: Signer = field(default_factory=lambda: Ed25519Signer(SEED))
    wrapped: dict[str, Any] = field(default_factory=dict)
    form: Form = field(default_factory=Form)

    @property
    def intake(self) -> Intake:
        """Give what receiving needs."""
        return Intake(self.database, self.store, Folders(self.root), self.clock)

    def populate(self, **changes: Any) -> BankRig:
        """Add a member of staff, the partner and its branches."""
        with self.database.writing() as session:
            staff = User(name="li", secret_hash="", role="staff")
            session.add(staff)
            session.flush()
            session.add(RoleGrant(
                user_id=staff.id, role="staff", scope_kind="all", scope_ref="",
                granted_by="console", granted_ms=0,
            ))  # fmt: skip
            session.add(BankBranch(partner=CODE, code="SZ-001", name="福田支行",
                                   from_day=dt.date(2026, 1, 1)))  # fmt: skip
            session.flush()
            self.declare_in(session, **changes)
        return self

    def declare_in(self, session: Any, **changes: Any) -> Partner:
        """Take in a declaration."""
        made, _ = partners.declare(
            session, self.store, declaration(**changes), "li", self.clock.now_ms
        )
        self.signer.platform = made.row.sign_public
        self.box_to = made.row.open_public or ""
        return made

    def bank(self, **habits: Any) -> Bank:
        """Give the bank at its folder."""
        home = self.intake.folders.home(CODE)
        wrapping = Wrapping(self.signer, **self.wrapped)
        return Bank(CODE, home, wrapping, self.form, **habits)

    def orders(self, count: int, *, partner: str = CODE, state: str = "ordered") -> list[str]:
        """Make orders of new volunteers; return their numbers."""
        with self.database.writing() as session:
            have = session.scalar(sa.select(sa.func.count()).select_from(Volunteer)) or 0
            numbers = []
            for place in range(have + 1, have + 1 + count):
                person = Volunteer(
                    number=volunteer_number(place), sealed_name=b"", sealed_birth=b"",
                    masked_name="*", created_ms=0, secret_hash="", secret_kind="code",
                )  # fmt: skip
                session.add(person)
                session.flush()
                order = CardOrder(
                    order_no=f"{place * 11:012d}", volunteer_id=person.id, kind="bank",
                    carrier="debit", partner=partner, branch_code="SZ-001", reason="FIRST",
                    state=state, photo_sha256=PHOTO, price_fen=0, created_ms=0, changed_ms=0,
                )  # fmt: skip
                session.add(order)
                session.flush()
                session.add(CardStep(
                    order_id=order.id, from_state=None, to_state=state, event="ordered",
                    source="staff", cause_ref="page:order", actor="li", at_ms=0, made_ms=0,
                ))  # fmt: skip
                numbers.append(order.order_no)
            return numbers

    def export(self, **options: Any) -> Exported:
        """Write an order file, with personal data that needs no application."""
        return exporting.export(self.intake, CODE, "li", opener=self.opener, **options)

    def opener(self, volunteer_id: int, fields: Sequence[str]) -> dict[str, Any]:
        """Give what applications would, for any volunteer."""
        known = {
            "name": NAMES[volunteer_id % len(NAMES)], "birth": "1990-05-17",
            "document_kind": "passport", "document_number": f"E{volunteer_id:08d}",
            "mobile": "+86 13800138000", "address": "深圳市福田区莲花路1号",
            "photo_sha256": PHOTO,
        }  # fmt: skip
        return {name: known[name] for name in fields}

    def collect(self) -> list[Outcome]:
        """Receive what the bank put down."""
        return collect(self.intake, CODE)

    def states(self) -> dict[str, str]:
        """Give the state of every order."""
        with self.database.reading() as session:
            rows = session.execute(sa.select(CardOrder.order_no, CardOrder.state))
            return dict(rows.all())

    def files(self) -> list[tuple[str, str, str]]:
        """Give direction, name and status of every file."""
        with self.database.reading() as session:
            return [
                (row.direction, row.name, row.status)
                for row in session.scalars(sa.select(BankFile).order_by(BankFile.id))
            ]

    def lines(self) -> list[tuple[int, str, str]]:
        """Give line, code and field of every refused record."""
        with self.database.reading() as session:
            return [
                (row.line, row.code, row.field)
                for row in session.scalars(
                    sa.select(BankLine).order_by(BankLine.file_id, BankLine.line)
                )
            ]

    def snapshot(self) -> dict[str, int]:
        """Count the rows of every table that a file may change, for "nothing happened"."""
        with self.database.reading() as session:
            return {
                table.name: session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                for table in Base.metadata.tables.values()
                if not table.name.startswith(("bank_file", "bank_line", "audit"))
            }
