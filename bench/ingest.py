# SPDX-License-Identifier: Apache-2.0
"""Upload → verified (every signature and card proof) → PostgreSQL, beside its ceiling and a peer.

The ceiling adds up what one event costs in the single operations it cannot do without, measured
in the same run: Ed25519 verification on both cores, the card's three proofs in bulk, and COPY of
the same rows into a table with the same key. All of it is timed in turns, round by round, so that
what else the machine does falls on every part alike; bytes are prepared outside the clock. The
peers are the usual ways: one object and one check at a time, with JSON and the ORM, or with
psycopg alone. Replays are uploads the server has answered before; SQLite takes the same code.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import psycopg
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
SQLITE_EVENTS = 8_000
# Uploads and the operations beside them take turns of so many batches.
ROUND_BATCHES = 4
CEILING_SHARE_MIN = 0.65
PEER_RATIO_MIN = 1.5
REPLAY_RATIO_MIN = 10.0


def run(quick: bool) -> Iterator[Line]:
    """Measure ingest; with `quick`, on fewer events."""
    count = QUICK_EVENTS if quick else FULL_EVENTS
    with tempfile.TemporaryDirectory() as folder, durable_postgres() as cluster:
        world = make_world(Path(folder), count)
        production = fresh_database(cluster.create_database("production"), world)
        times, replayed = _side_by_side(production, world)
        production.close()
        peer = _rate(cluster.create_database("peer"), world, _peer)
        plain = _rate(cluster.create_database("plain"), world, _plain)
        sqlite = _sqlite_rate(Path(folder), world)
    verified, proven, copied = times.verified, times.proven, times.copied
    first, replay = count / times.uploaded, count / replayed
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
    yield report("ingest", "peer: one by one, plain psycopg", significant(plain), "events/s")
    yield report("ingest", "the same upload into SQLite", significant(sqlite), "events/s")
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


@dataclass(slots=True)
class _Times:
    """Seconds spent on uploads and on each of the operations that they cannot do without."""

    uploaded: float = 0.0
    verified: float = 0.0
    proven: float = 0.0
    copied: float = 0.0


def _side_by_side(database: Database, world: World) -> tuple[_Times, float]:
    """Upload by the code production calls, with each operation beside it in turns.

    Then upload everything again. Return the seconds of both.
    """
    intake = Intake(database, world.store, Signer(factories.make_identity("server"), 1))
    uploads = [
        Upload(factories.TERMINAL_ID, number, body, NOW_MS, None)
        for number, body in enumerate(world.batches, 1)
    ]
    times = _Times()
    receipts: list[bytes] = []
    with _twin(database) as twin:
        for low in range(0, len(uploads), ROUND_BATCHES):
            some = uploads[low : low + ROUND_BATCHES]
            events = world.events[low * BATCH_EVENTS : (low + len(some)) * BATCH_EVENTS]
            times.uploaded += _timed(partial(_upload, intake, some, receipts))
            times.verified += _verify_seconds(events, world.terminal)
            times.proven += _prove_seconds(events, world)
            times.copied += _copy_seconds(twin, events[0].seq, len(some))
    again: list[bytes] = []
    replayed = _timed(partial(_upload, intake, uploads, again))
    if receipts != again:
        raise RuntimeError("a replay was answered differently")
    with database.reading() as session:
        stored = session.scalar(sa.select(sa.func.count()).select_from(StoredEvent))
    if stored != len(world.events):
        raise RuntimeError(f"{stored} events stored of {len(world.events)}")
    return times, replayed


def _upload(intake: Intake, uploads: list[Upload], receipts: list[bytes]) -> None:
    answers = [accept_batch(intake, upload) for upload in uploads]
    if any(answer.status != 200 for answer in answers):
        raise RuntimeError(f"an upload was refused: {answers[0].problem}")
    receipts.extend(answer.body for answer in answers)


@contextmanager
def _twin(database: Database) -> Iterator[psycopg.Connection]:
    """Make an empty table with the columns and keys of the events', on a connection of its own."""
    raw = database.engine.raw_connection()
    try:
        driver = raw.driver_connection
        assert isinstance(driver, psycopg.Connection)
        driver.execute("CREATE TABLE twin (LIKE months.event_rest INCLUDING ALL)")
        driver.commit()
        yield driver
    finally:
        raw.close()


def _copy_seconds(driver: psycopg.Connection, first_seq: int, batches: int) -> float:
    """COPY stored rows into the twin, commit by commit."""
    parts = []
    with driver.cursor() as cursor:
        for low in range(first_seq, first_seq + batches * BATCH_EVENTS, BATCH_EVENTS):
            query = (
                f"COPY (SELECT * FROM event WHERE seq >= {low} AND seq < {low + BATCH_EVENTS} "
                "ORDER BY seq) TO STDOUT (FORMAT BINARY)"
            )
            with cursor.copy(query) as copy:
                parts.append(b"".join(bytes(data) for data in copy))
        driver.commit()

        def fill() -> None:
            for part in parts:
                with cursor.copy("COPY twin FROM STDIN (FORMAT BINARY)") as copy:
                    copy.write(part)
                driver.commit()

        return _timed(fill)


def _verify_seconds(events: list[Event], terminal: Identity) -> float:
    """Check every signature, nothing else, on both cores."""
    signatures = [event.signature for event in events]
    messages = [event.signed_bytes for event in events]

    def check_all() -> None:
        if not verify_many(terminal.public_key, signatures, SWIPE_CONTEXT, messages).all():
            raise RuntimeError("a good signature was refused")

    return _timed(check_all)


def _prove_seconds(taps: list[Event], world: World) -> float:
    """Recompute every card's proofs, nothing else."""
    events = arrays.view(b"".join(event.to_bytes() for event in taps))

    def prove_all() -> None:
        for low in range(0, len(events), BATCH_EVENTS):
            part = events[low : low + BATCH_EVENTS]
            expected = expected_proofs(world.store, arrays.proof_inputs(part))
            verdicts = proofs_match(expected, part["tac"], part["mac2"], part["cg2"])
            if not (verdicts.tac & verdicts.mac2 & verdicts.cg2).all():
                raise RuntimeError("a good proof was refused")

    return _timed(prove_all)


def _rate(url: str, world: World, way: Callable[[Database, World], None]) -> float:
    """Return events a second of a usual way, in a database of its own."""
    database = fresh_database(url, world)
    try:
        return PEER_EVENTS / _timed(partial(way, database, world))
    finally:
        database.close()


def _sqlite_rate(folder: Path, world: World) -> float:
    """Return events a second of the code production calls, into a SQLite file that flushes."""
    database = fresh_database(f"sqlite:///{folder}/ingest.db", world)
    intake = Intake(database, world.store, Signer(factories.make_identity("server"), 1))
    uploads = [
        Upload(factories.TERMINAL_ID, number, body, NOW_MS, None)
        for number, body in enumerate(world.batches[: SQLITE_EVENTS // BATCH_EVENTS], 1)
    ]
    try:
        return len(uploads) * BATCH_EVENTS / _timed(partial(_upload, intake, uploads, []))
    finally:
        database.close()


def _plain(database: Database, world: World) -> None:
    """Do it by hand: parse and check each event with objects, insert batch by batch."""
    columns = [column.name for column in StoredEvent.__table__.columns]
    query = (
        f"INSERT INTO event ({', '.join(columns)}) "
        f"VALUES ({', '.join(f'%({name})s' for name in columns)})"
    )
    raw = database.engine.raw_connection()
    try:
        driver = raw.driver_connection
        assert isinstance(driver, psycopg.Connection)
        for low in range(0, PEER_EVENTS, BATCH_EVENTS):
            rows = []
            for event in world.events[low : low + BATCH_EVENTS]:
                read = Event.from_bytes(event.to_bytes())
                _check_one(read, world)
                row = _row(read)
                rows.append({name: getattr(row, name) for name in columns})
            with driver.cursor() as cursor:
                cursor.executemany(query, rows)
            driver.commit()
    finally:
        raw.close()


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
