# SPDX-License-Identifier: Apache-2.0
"""audit verify names what a superuser changed: the table, the row, the field."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.people import audit
from server.people.audit_chain import GENESIS, link_hash
from server.people.models import Audit, AuditHead, AuditLink, Volunteer
from server.reconciliation.models import ServiceInterval
from server.timebank.models import SERVICE, TREASURY, VOLUNTEER, Account, Entry, Transfer
from server.transparency.findings import Finding
from server.transparency.publishing import Press, publish
from server.transparency.tile_files import LogFolder
from server.transparency.verification import Verification
from swipe.event import content_hash, event_hash
from tests.factories import TERMINAL_ID
from tests.integration.server.rig import NOW_MS, Rig

EVENTS = 12
assert ServiceInterval  # transfers point at its table
Vault = tuple[Rig, LogFolder]


@pytest.fixture
def vault(sqlite_rig: Rig, tmp_path: Path) -> Vault:
    """A filled server on SQLite."""
    return fill(sqlite_rig, tmp_path)


@pytest.fixture
def either(rig: Rig, tmp_path: Path) -> Vault:
    """A filled server, once on SQLite and once on PostgreSQL."""
    return fill(rig, tmp_path)


def fill(rig: Rig, tmp_path: Path) -> Vault:
    """Fill a server: events of two uploads, transfers, audit lines; publish its log."""
    events = rig.chain(EVENTS)
    rig.upload(events[:7], 1)
    rig.upload(events[7:], 2)
    with rig.database.writing() as session:
        person = session.scalars(sa.select(Volunteer)).one()
        session.add_all(
            [Account(id=1, kind=TREASURY, owner=0), Account(id=2, kind=VOLUNTEER, owner=person.id)]
        )
        session.flush()
        for number in (1, 2):
            for account, minutes in ((1, -60), (2, 60)):
                session.add(Entry(transfer_id=number, account_id=account, minutes=minutes))
            session.flush()
            session.execute(sa.insert(Transfer).values(transfer_values(number, person.id)))
        for number in range(3):
            audit.record(session, NOW_MS, "li", "site.added", f"site:{number}", tz=32)
    folder = LogFolder(tmp_path / "log")
    publish(Press(rig.database, rig.server_identity, folder, "yika.example/log"), NOW_MS)
    return rig, folder


def transfer_values(number: int, person: int) -> dict[str, object]:
    """Return what a transfer needs, whatever columns it has besides."""
    given = {
        "id": number, "kind": SERVICE, "person": person, "ref": f"k{number}", "at_ms": NOW_MS,
        "actor": "reconciliation", "uid": f"u{number}", "digest": bytes(32),
    }  # fmt: skip
    return {name: given[name] for name in given if name in Transfer.__table__.columns}


@contextmanager
def superuser(rig: Rig) -> Iterator[Session]:
    """Open a unit of work in which no trigger holds, as whoever owns the machine can."""
    with rig.database.writing() as session:
        if rig.database.is_postgresql:
            session.execute(sa.text("SET LOCAL session_replication_role = replica"))
        else:
            names = session.scalars(
                sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).all()
            for name in names:
                session.execute(sa.text(f"DROP TRIGGER {name}"))
        yield session


def verify(vault: Vault, *, published: bool = True) -> list[Finding]:
    """Check everything."""
    rig, folder = vault
    keys = {1: rig.server_identity.public_key}
    check = Verification(rig.database, folder if published else None, keys)
    found = list(check.findings())
    assert check.counts["events"] >= EVENTS - 1
    return found


def named(found: list[Finding]) -> set[tuple[str, str, str]]:
    """Return table, row and field of each finding."""
    return {(finding.table, finding.row, finding.field) for finding in found}


def change(rig: Rig, statement: str, **values: object) -> None:
    """Run one statement as a superuser."""
    with superuser(rig) as session:
        done = session.execute(sa.text(statement), {"terminal": TERMINAL_ID} | values)
        assert done.rowcount  # type: ignore[attr-defined]


def test_an_honest_database_has_no_findings(either: Vault) -> None:
    """Nothing changed, nothing found, with the published log and without it."""
    assert verify(either) == []
    assert verify(either, published=False) == []


EVENT_5 = f"terminal {TERMINAL_ID}, seq 5"


@pytest.mark.parametrize(
    ("column", "value"),
    [("utc_ms", 1), ("site", 9), ("card_ctr", 999), ("flags", 4), ("type", 2), ("boot", 7)],
)
def test_a_changed_column_is_named_with_both_values(vault: Vault, column: str, value: int) -> None:
    """One column of one event: the row, the column, what was signed, what stands there."""
    change(vault[0], f"UPDATE event SET {column} = :v WHERE seq = 5", v=value)

    found = [each for each in verify(vault) if each.field == column]

    assert [(each.row, each.found) for each in found] == [(EVENT_5, str(value))]
    assert found[0].expected != found[0].found
    assert "the signed bytes are whole" in found[0].detail_en


@pytest.mark.parametrize(
    ("column", "value", "word"),
    [("verdict", 1, "BAD_PROOF"), ("proof", 1, "1"), ("received_ms", 5, "5")],
)
def test_the_servers_own_word_is_sealed(vault: Vault, column: str, value: int, word: str) -> None:
    """Verdict, proof and instant of receipt are compared with the seal in the log."""
    change(vault[0], f"UPDATE event SET {column} = :v WHERE seq = 5", v=value)

    found = verify(vault)

    assert named(found) == {("event", EVENT_5, column)}
    assert found[0].found == word


def test_changed_bytes_are_named_though_every_hash_was_mended(vault: Vault) -> None:
    """A superuser who changes the bytes and all columns that follow from them is still named."""
    rig, _ = vault
    raw = bytearray(rig.stored()[5])
    raw[32] ^= 1  # the claimed second
    change(
        rig,
        "UPDATE event SET raw = :raw, event_hash = :whole, content_hash = :content, "
        "utc_ms = utc_ms + :step WHERE seq = 5",
        raw=bytes(raw), whole=event_hash(bytes(raw)), content=content_hash(bytes(raw)),
        step=1000 * (int.from_bytes(raw[32:36]) - int.from_bytes(rig.stored()[5][32:36])),
    )  # fmt: skip

    found = named(verify(vault))

    assert ("event", EVENT_5, "raw") in found
    assert ("event", EVENT_5, "event_hash") in found  # differs from the published log
    assert ("event", f"terminal {TERMINAL_ID}, seq 6", "prev") in found


def test_a_removed_event_is_named(either: Vault) -> None:
    """The gap, the leaf and its published value are told, and the rest is still checked."""
    change(either[0], "DELETE FROM event WHERE seq = 5")

    found = verify(either)

    missing = [each for each in found if each.field == "leaf_index"]
    assert [(each.row, each.found) for each in missing] == [("leaf 4", "null")]
    assert any("1–4, 6–12" in each.found for each in found)


def test_several_changes_are_all_named(either: Vault) -> None:
    """The first finding hides none of the others."""
    rig, _ = either
    change(rig, "UPDATE event SET site = 9 WHERE seq = 2")
    change(rig, "UPDATE audit SET actor = 'wang' WHERE subject = 'site:1' AND actor = 'li' "
                "AND id = (SELECT max(id) - 1 FROM audit)")  # fmt: skip
    change(rig, "UPDATE entry SET minutes = 600 WHERE transfer_id = 2 AND account_id = 2")
    change(rig, "UPDATE batch SET received_ms = 1, up_to_seq = 99 WHERE batch_no = 2")

    found = named(verify(either))

    assert {table for table, _, _ in found} >= {"event", "audit", "entry", "transfer", "batch"}


CHANGES: dict[str, tuple[str, tuple[str, str]]] = {
    "an audit line removed": (
        "DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)", ("audit", "row"),
    ),
    "the end of the audit chain cut off": (
        "DELETE FROM audit_link WHERE number = (SELECT max(number) FROM audit_link)",
        ("audit_link", "row"),
    ),
    "an audit line slipped in": (
        "INSERT INTO audit (at_ms,actor,action,subject,detail) VALUES (1,'x','y','z','{}')",
        ("audit", "row"),
    ),
    "a transfer moved to another": (
        "UPDATE transfer SET ref = 'mine' WHERE id = 1", ("transfer", "row or its entries"),
    ),
    "a receipt": (
        "UPDATE batch SET receipt = header WHERE batch_no = 1", ("batch", "receipt"),
    ),
    "a header": ("UPDATE batch SET header = receipt WHERE batch_no = 1", ("batch", "header")),
    "the log's state": ("UPDATE log_state SET size = size - 1", ("log_state", "frontier")),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_every_kind_of_change_is_named(vault: Vault, what: str) -> None:
    """Audit trail, ledger, receipts, headers and the log's own state each tell of their change."""
    statement, (table, field) = CHANGES[what]
    change(vault[0], statement)

    assert (table, field) in {(each.table, each.field) for each in verify(vault)}


def test_a_rewritten_audit_chain_meets_its_anchor(vault: Vault) -> None:
    """Who rewrites lines and every later hash still contradicts the head that is in the log."""
    rig, _ = vault
    with superuser(rig) as session:
        session.execute(sa.update(Audit).where(Audit.actor == "li").values(actor="zhao"))
        last = GENESIS
        for link in session.scalars(sa.select(AuditLink).order_by(AuditLink.number)):
            row = session.get_one(Audit, link.audit_id)
            last = link_hash(last, link.number, audit.line_of(row))
            link.hash = last
        session.execute(sa.update(AuditHead).values(hash=last))

    found = verify(vault)

    assert {(each.table, each.field) for each in found} == {("audit_link", "hash")}


def test_without_published_files_the_span_is_named(vault: Vault) -> None:
    """A record of the log that was changed shows as a span of leaves, where no copy is at hand."""
    rig, _ = vault
    change(rig, "UPDATE event SET event_hash = :h WHERE seq = 9", h=bytes(32))

    found = verify(vault, published=False)

    assert ("event", f"terminal {TERMINAL_ID}, seq 9", "event_hash") in named(found)
    assert any("7–11" in each.detail_en for each in found if each.table == "batch")
