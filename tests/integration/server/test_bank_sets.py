# SPDX-License-Identifier: Apache-2.0
"""Loading by sets and applying one by one are the same: states, steps, dates, refusals."""

from __future__ import annotations

import datetime as dt
import io
import random
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hardware_mocks.partner.files import Row
from keys.store import FileKeyStore
from server.bank import loading, partners
from server.bank.files.layout import Kind
from server.bank.files.manifest import file_name
from server.bank.files.reading import FileReader
from server.bank.models import BankFile, BankLine
from server.bank.order_events import EVENT_OF, Load
from server.db import Database
from server.issuing import dates
from server.issuing.models import CardOrder, CardStep
from server.issuing.policy import STATES, UNDER_WAY
from server.issuing.services import CardEvent, Detail, apply
from tests.integration.server.bank_rig import CODE, BankRig

ORDERS = 40
HOLDERS = 4  # orders that no record names; a record may name their serials
COLUMNS = ("order_no", "state", "asn", "reject_code", "batch_ref", "due_make_ms", "due_notice_ms",
           "due_branch_ms", "changed_ms")  # fmt: skip
CODES = {"R07": "unknown-order", "R08": "foreign-partner", "R09": "not-following",
         "R16": "asn-taken"}  # fmt: skip


def scatter(rig: BankRig, dice: random.Random) -> None:
    """Put orders into all states, some of another partner, some with a serial."""
    rig.orders(ORDERS + HOLDERS)
    with rig.database.writing() as session:
        for place, order in enumerate(session.scalars(sa.select(CardOrder))):
            order.state = dice.choice([*UNDER_WAY, *STATES])
            order.partner = CODE if place % 9 else "BANK-2"
            order.batch_ref = file_name(CODE, Kind.ORDER, 1)
            holds = place >= ORDERS or place % 4 == 0
            order.asn = f"{place:020d}" if holds else None
            order.due_make_ms = order.due_notice_ms = 5


def records(kind: Kind, dice: random.Random) -> list[Row]:
    """Make records of a kind for known and unknown orders, each once."""
    # None, one of an order that stays as it is, or one that two records may share.
    serials = ["", *(f"{place:020d}" for place in (ORDERS, ORDERS + 1, 80, 81, 82, 83))]
    rows = []
    for place in dice.sample([*range(1, ORDERS + 1), *range(900, 905)], ORDERS):
        outcomes = [outcome for of, outcome in EVENT_OF if of is kind]
        outcome = dice.choice(outcomes)
        rows.append({
            "batch": "1", "order_no": f"{place * 11:012d}", "outcome": outcome,
            "reason": "CHIP" if outcome == "RJ" else "", "branch": "SZ-001", "id_checked": "Y",
            "asn": dice.choice(serials),
            "date": dice.choice(["20261120", "20261121", "20261122"]),
        })  # fmt: skip
    return rows


def one_by_one(session: Session, rig: BankRig, kind: Kind, rows: list[Row]) -> dict[int, str]:
    """Apply the same records through issuing's service; return line → code of what it refused."""
    refused = {}
    name = file_name(CODE, kind, 1)
    for line, row in enumerate(rows, 2):
        day = dt.date(int(row["date"][:4]), int(row["date"][4:6]), int(row["date"][6:]))
        carries = kind in (Kind.RESULT, Kind.COLLECTION)
        result = apply(
            session,
            CardEvent(
                row["order_no"], EVENT_OF[kind, row["outcome"]], dates.start_of(day),
                f"file:{name}:{line}", "bank", "system", CODE,
                Detail(asn=(row["asn"] or None) if carries else None,
                       reject_code=row["reason"] or None),
            ),
            rig.clock.now_ms,
        )  # fmt: skip
        if not result.ok:
            refused[line] = result.code
    return refused


def by_set(session: Session, rig: BankRig, kind: Kind, rows: list[Row]) -> dict[int, str]:
    """Load them as a file; return line → code."""
    declared = partners.get(session, CODE).declared
    name = file_name(CODE, kind, 1)
    file = BankFile(
        partner=CODE, direction="in", kind=kind, sequence=1, name=name, sha256="", wire_sha256="",
        size=0, test=False, status="HELD", records=0, accepted=0, rejected=0, quarantined=0,
        channel="test", actor="system", made_ms=0,
    )  # fmt: skip
    session.add(file)
    session.flush()
    reader = FileReader(io.BytesIO(rig.bank().content(kind, rows, 1)), declared.incoming)
    load = Load(declared, kind, name, "system", rig.clock.now_ms, file.id)
    loader = loading.loader(session, load, reader.header)
    for chunk in reader.chunks():
        assert not chunk.findings
        loader.take(chunk)
    loader.finish()
    return {row.line: CODES[row.code] for row in session.scalars(sa.select(BankLine))}


def picture(session: Session) -> tuple[list[Any], list[Any]]:
    """Give all orders and steps, without row numbers of steps."""
    session.flush()
    orders = session.execute(
        sa.select(*(getattr(CardOrder, name) for name in COLUMNS)).order_by(CardOrder.id)
    ).all()
    steps = session.execute(
        sa.select(
            CardStep.order_id, CardStep.from_state, CardStep.to_state, CardStep.event,
            CardStep.source, CardStep.cause_ref, CardStep.actor, CardStep.at_ms, CardStep.made_ms,
        ).order_by(CardStep.order_id, CardStep.id)
    ).all()  # fmt: skip
    return [tuple(row) for row in orders], [tuple(row) for row in steps]


def test_sets_and_single_events_agree(
    database: Database, key_store: FileKeyStore, tmp_path: Path
) -> None:
    """Random files of all kinds give the same orders, steps and refusals both ways."""
    rig = BankRig(database, key_store, tmp_path).populate()
    scatter(rig, random.Random(7))
    seen: set[str] = set()
    for kind in (Kind.RESULT, Kind.AUDIT, Kind.ARRIVAL, Kind.COLLECTION, Kind.CUT):
        rows = records(kind, random.Random(kind + "rows"))
        pictures, refusals = [], []
        for way in (by_set, one_by_one):
            with rig.database.reading() as session:
                refusals.append(way(session, rig, kind, rows))
                pictures.append(picture(session))

        assert refusals[0] == refusals[1]
        assert pictures[0][0] == pictures[1][0]
        assert pictures[0][1] == pictures[1][1]
        seen |= set(refusals[0].values())

    assert seen == set(CODES.values())
