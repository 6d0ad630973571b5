# SPDX-License-Identifier: Apache-2.0
"""Upload → verified (every signature and card proof) → PostgreSQL, beside its ceiling and a peer.

The ceiling adds up what one event costs in the single operations it cannot do without, measured
in the same run: Ed25519 verification on both cores, the card's three proofs in bulk, and COPY of
the same rows into a table with the same key. The peer is the usual way: JSON, one object and one
check at a time, ORM. Replays are uploads the server has answered before.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import sqlalchemy as sa

from bench.ingest_world import (
    BATCH_EVENTS,
    NOW_MS,
    World,
    durable_postgres,
    fresh_database,
    make_world,
)
from bench.line import Line, check, report, significant
from keys.bulk import expected_proofs, proofs_match
from keys.identity import Identity
from keys.usage import PURCHASE_USAGE, KeyUsage
from keys.verify import verify, verify_many
from server.db import Database
from server.ingest.models import StoredEvent
from server.ingest.services import Intake, Upload, accept_batch
from server.terminals.notices import Signer
from swipe import arrays
from swipe.event import SWIPE_CONTEXT, Event, content_hash, core_digest, event_hash
from tests import factories

FULL_EVENTS = 20_000
QUICK_EVENTS = 4_000
PEER_EVENTS = 2_000
CEILING_SHARE_MIN = 0.65
PEER_RATIO_MIN = 1.5
REPLAY_RATIO_MIN = 10.0


def run(quick: bool) -> Iterator[Line]:
    """Measure ingest; with `quick`, on fewer events."""
    count = QUICK_EVENTS if quick else FULL_EVENTS
    with tempfile.TemporaryDirectory() as folder, durable_postgres() as cluster:
        world = make_world(Path(folder), count)
        production = fresh_database(cluster, "production", world)
        first, replay = _production(production, world)
        copied = _copy_seconds(production)
        production.close()
        peer_database = fresh_database(cluster, "peer", world)
        peer = PEER_EVENTS / _timed(lambda: _peer(peer_database, world))
        peer_database.close()
        verified = _timed(lambda: _verify(world.events, world.terminal))
        proven = _timed(lambda: _prove(world))
    ceiling = count / (verified + proven + copied)
    yield report(
        "ingest", "ceiling: Ed25519 verify, both cores", significant(count / verified), "events/s"
    )
    yield report(
        "ingest", "ceiling: TAC, MAC2, CG2 in bulk", significant(count / proven), "events/s"
    )
    yield report(
        "ingest",
        "ceiling: COPY with the same key, durable",
        significant(count / copied),
        "events/s",
    )
    yield report("ingest", "ceiling: the three together", significant(ceiling), "events/s")
    yield report(
        "ingest",
        f"upload, verified, stored; batches of {BATCH_EVENTS}",
        significant(first),
        "events/s",
    )
    yield report("ingest", "peer: JSON, one by one, ORM", significant(peer), "events/s")
    yield report("ingest", "replay of known batches", significant(replay), "events/s")
    yield check("ingest", "share of the ceiling", significant(first / ceiling), "ratio",
                limit=CEILING_SHARE_MIN, sense="min")  # fmt: skip
    yield check("ingest", "against JSON and ORM", significant(first / peer), "ratio",
                limit=PEER_RATIO_MIN, sense="min")  # fmt: skip
    yield check("ingest", "replay against first upload", significant(replay / first), "ratio",
                limit=REPLAY_RATIO_MIN, sense="min")  # fmt: skip


def _timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _production(database: Database, world: World) -> tuple[float, float]:
    """Upload every batch twice through the code production calls; return both rates."""
    intake = Intake(database, world.store, Signer(factories.make_identity("server"), 1))
    batches = world.batches

    def upload() -> list[bytes | None]:
        answers = [
            accept_batch(intake, Upload(factories.TERMINAL_ID, number, body, NOW_MS, None))
            for number, body in enumerate(batches, 1)
        ]
        if any(answer.status != 200 for answer in answers):
            raise RuntimeError(f"an upload was refused: {answers[0].problem}")
        return [answer.body for answer in answers]

    receipts: list[list[bytes | None]] = []
    first = _timed(lambda: receipts.append(upload()))
    again = _timed(lambda: receipts.append(upload()))
    if receipts[0] != receipts[1]:
        raise RuntimeError("a replay was answered differently")
    with database.reading() as session:
        stored = session.scalar(sa.select(sa.func.count()).select_from(StoredEvent))
    if stored != len(world.events):
        raise RuntimeError(f"{stored} events stored of {len(world.events)}")
    return len(world.events) / first, len(world.events) / again


def _copy_seconds(database: Database) -> float:
    """COPY the stored rows into a table with the same columns and keys, commit by commit."""
    raw = database.engine.raw_connection()
    try:
        driver = raw.driver_connection
        assert driver is not None
        with driver.cursor() as cursor:
            cursor.execute("CREATE TABLE twin (LIKE months.event_rest INCLUDING ALL)")
            parts = []
            cursor.execute("SELECT count(*) FROM event")
            total = cursor.fetchone()[0]
            for low in range(0, total, BATCH_EVENTS):
                buffer = io.BytesIO()
                query = (
                    f"COPY (SELECT * FROM event ORDER BY seq LIMIT {BATCH_EVENTS} OFFSET {low}) "
                    "TO STDOUT (FORMAT BINARY)"
                )
                with cursor.copy(query) as copy:
                    for data in copy:
                        buffer.write(data)
                parts.append(buffer.getvalue())
            driver.commit()

            def fill() -> None:
                for part in parts:
                    with cursor.copy("COPY twin FROM STDIN (FORMAT BINARY)") as copy:
                        copy.write(part)
                    driver.commit()

            return _timed(fill)
    finally:
        raw.close()


def _verify(events: list[Event], terminal: Identity) -> None:
    signatures = [event.signature for event in events]
    messages = [event.signed_bytes for event in events]
    if not verify_many(terminal.public_key, signatures, SWIPE_CONTEXT, messages).all():
        raise RuntimeError("a good signature was refused")


def _prove(world: World) -> None:
    events = arrays.view(b"".join(event.to_bytes() for event in world.events))
    for low in range(0, len(events), BATCH_EVENTS):
        part = events[low : low + BATCH_EVENTS]
        expected = expected_proofs(world.store, arrays.proof_inputs(part))
        verdicts = proofs_match(expected, part["tac"], part["mac2"], part["cg2"])
        if not (verdicts.tac & verdicts.mac2 & verdicts.cg2).all():
            raise RuntimeError("a good proof was refused")


def _peer(database: Database, world: World) -> None:
    """Do it the usual way: parse JSON, check each event with objects, add each to the ORM."""
    hexed = [
        {k: v.hex() if isinstance(v, bytes) else int(v) for k, v in asdict(event).items()}
        for event in world.events[:PEER_EVENTS]
    ]
    bodies = [
        json.dumps(hexed[low : low + BATCH_EVENTS]) for low in range(0, PEER_EVENTS, BATCH_EVENTS)
    ]
    for body in bodies:
        with database.writing() as session:
            for fields in json.loads(body):
                event = Event(
                    **{k: bytes.fromhex(v) if isinstance(v, str) else v for k, v in fields.items()}
                )
                _check_one(event, world)
                session.add(_row(event))


def _check_one(event: Event, world: World) -> None:
    asn8 = event.card_asn[2:]
    date, clock = event.bcd()
    store = world.store
    session = store.card_key(PURCHASE_USAGE[event.dpk_idx], event.key_ver, asn8).session(
        event.card_rand, event.card_ctr, event.psam_seq
    )
    tac = store.card_key(KeyUsage.TAC, event.key_ver, asn8).tac4(
        event.psam_no, event.psam_seq, date, clock
    )
    cg2 = store.card_key(KeyUsage.PRESENCE, event.key_ver, asn8).cg2(core_digest(event))
    signed = verify(world.terminal.public_key, event.signature, SWIPE_CONTEXT, event.signed_bytes)
    if not signed or (tac, session.mac2(0), cg2) != (event.tac, event.mac2, event.cg2):
        raise RuntimeError("the peer refused a good event")


def _row(event: Event) -> StoredEvent:
    return StoredEvent(
        terminal_id=event.terminal_id, seq=event.seq, event_hash=event_hash(event),
        content_hash=content_hash(event), type=event.type, result=event.result, flags=event.flags,
        boot=event.boot, up_ms=event.up_total_ms, utc_ms=event.utc_total_ms, unc_ms=event.unc_ms,
        site=event.site, activity=event.activity, card_asn=event.card_asn.hex(),
        card_ctr=event.card_ctr, psam_no=event.psam_no, psam_seq=event.psam_seq,
        anchor=event.anchor, proof=0, verdict=0, batch_id=1, received_ms=NOW_MS,
        leaf_index=event.seq, raw=event.to_bytes(),
    )  # fmt: skip
