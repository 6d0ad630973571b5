# SPDX-License-Identifier: Apache-2.0
"""How long a late batch takes until hours and ledger of its people are right again, on SQLite.

The measured calls are those of the server's worker: load, derive, store what changed, post it.
Machine code is in memory, as it is in a server that was told to compile (`worker.compile`).
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.ingest.models import Batch, StoredEvent, StoredRange
from server.people.models import Card, Volunteer
from server.people.policy import volunteer_number
from server.reconciliation.policy import warm_up
from server.reconciliation.services import reconcile
from server.schema import upgrade
from server.terminals.models import Site, Terminal
from server.timebank.services import post_differences
from swipe.kinds import EventType

TERMINALS = 10
DAYS = 10
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 1_795_222_800_000
ALL_PROOFS = 31


def late_batch_ms(persons: int) -> float:
    """Return the milliseconds for the last tap-outs of so many cards; each had 10 days before."""
    warm_up()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'late.db'}")
        upgrade(database)
        now_ms = START_MS + (DAYS + 1) * DAY_MS
        with database.writing() as session:
            register(session, persons)
            store(session, persons, late=False)
            settle(session, list(range(1, persons + 1)), now_ms)
        with database.writing() as session:
            store(session, persons, late=True)
        started_s = time.perf_counter()
        with database.writing() as session:
            settle(session, list(range(1, persons + 1)), now_ms)
        elapsed_ms = 1000 * (time.perf_counter() - started_s)
        database.close()
    return round(elapsed_ms, 1)


def settle(session: Session, people: list[int], now_ms: int) -> None:
    """Derive and post, as the worker does."""
    reconcile(session, people, now_ms)
    post_differences(session, people, now_ms)


def register(session: Session, persons: int) -> None:
    """Enter volunteers with a card each, one site and its terminals."""
    session.add(Site(id=1, name_zh="公园", name_en="Park", tz_q=32, config_version=1))
    session.flush()
    people: list[dict[str, Any]] = []
    cards: list[dict[str, Any]] = []
    for number in range(1, persons + 1):
        people.append(
            {
                "id": number, "number": volunteer_number(number), "sealed_name": b"",
                "sealed_birth": b"", "masked_name": "王**", "created_ms": START_MS,
                "secret_hash": "", "secret_kind": "code",
            }
        )  # fmt: skip
        cards.append(
            {
                "id": number, "asn": serial(number), "volunteer_id": number, "state": "active",
                "key_version": 1, "issued_ms": START_MS,
            }
        )  # fmt: skip
    session.execute(sa.insert(Volunteer), people)
    session.execute(sa.insert(Card), cards)
    terminals = [
        {
            "id": number, "name": f"pos-{number}", "site_id": 1, "state": "active",
            "created_by": "li", "approved_by": "wang", "config_version": 1, "bad_proofs": 0,
            "created_ms": START_MS,
        }
        for number in range(1, TERMINALS + 1)
    ]  # fmt: skip
    session.execute(sa.insert(Terminal), terminals)


def serial(number: int) -> str:
    """Return an application serial number."""
    return f"00005949{number:012d}"


def store(session: Session, persons: int, *, late: bool) -> None:
    """Store ten days of taps but the last tap-outs, or (late) those alone, a batch a terminal."""
    for terminal in range(1, TERMINALS + 1):
        own = range(terminal, persons + 1, TERMINALS)
        known = (2 * DAYS - 1) * len(own)
        taps = [(day, kind, person) for day in range(DAYS) for kind in (0, 1) for person in own]
        part = taps[known:] if late else taps[:known]
        first = known + 1 if late else 1
        batch = 2 * terminal + int(late)
        received_ms = START_MS + (DAYS + 1) * DAY_MS - HOUR_MS
        session.execute(sa.insert(Batch), [upload(batch, terminal, first, len(part), received_ms)])
        rows = [
            event(terminal, first + place, batch, tap, received_ms)
            for place, tap in enumerate(part)
        ]
        session.execute(sa.insert(StoredEvent), rows)
        stored = StoredRange.__table__
        session.execute(sa.delete(StoredRange).where(stored.c.terminal_id == terminal))
        session.execute(
            sa.insert(StoredRange),
            [{"terminal_id": terminal, "first_seq": 1, "last_seq": first + len(part) - 1}],
        )


def upload(number: int, terminal: int, first: int, count: int, received_ms: int) -> dict[str, Any]:
    """Return a stored batch; the first one of a terminal is the receipt the others name."""
    return {
        "id": number, "terminal_id": terminal, "batch_no": number, "sha256": bytes(32),
        "first_seq": first, "count": count, "up_to_seq": first + count - 1,
        "received_ms": received_ms, "header": bytes(192), "receipt": bytes(192),
        "anchor": number.to_bytes(8), "answer": 0,
    }  # fmt: skip


def event(
    terminal: int, seq: int, batch: int, tap: tuple[int, int, int], received_ms: int
) -> dict[str, Any]:
    """Return a stored tap of one person on one day, in or out."""
    day, out, person = tap
    up_ms = day * DAY_MS + out * 3 * HOUR_MS + person * 100
    return {
        "terminal_id": terminal, "seq": seq, "event_hash": bytes(32), "content_hash": bytes(32),
        "type": int(EventType.OUT if out else EventType.IN), "result": 0, "flags": 0, "boot": 1,
        "up_ms": up_ms, "utc_ms": START_MS + up_ms, "unc_ms": 500, "site": 1, "activity": 0,
        "card_asn": serial(person), "card_ctr": 2 * day + out, "psam_no": terminal.to_bytes(6),
        "psam_seq": seq, "anchor": bytes(8), "proof": ALL_PROOFS, "verdict": 0, "batch_id": batch,
        "received_ms": received_ms, "leaf_index": terminal * 1_000_000 + seq, "raw": bytes(224),
    }  # fmt: skip
