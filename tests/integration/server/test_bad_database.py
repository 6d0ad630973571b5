# SPDX-License-Identifier: Apache-2.0
"""A database in trouble: an upload is stored whole or refused with Retry-After, never in part."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from keys.store import FileKeyStore
from server.db import Database
from server.evidence import LogState
from server.ingest.models import Batch, StoredEvent, StoredRange
from server.transparency import leaves
from swipe import merkle
from swipe.event import event_hash
from swipe.receipt import Receipt
from tests.factories import TERMINAL_ID
from tests.integration.postgres import PostgresCluster
from tests.integration.server.rig import NOW_MS, Rig

Upload = tuple[int, int, bytes]
PATH = f"/api/v1/terminals/{TERMINAL_ID}/batches/1"
_TRIGGER = """
CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;
CREATE TRIGGER trouble BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION trouble()
"""
RAISE = "RAISE EXCEPTION 'trouble' USING ERRCODE = '{state}';"
ONCE = "IF nextval('tries') <= {times} THEN " + RAISE + " END IF;"


@pytest.fixture
def ready(
    postgres_cluster: PostgresCluster, postgres_template: str, key_store: FileKeyStore
) -> Iterator[Rig]:
    """A server on a PostgreSQL database of its own, whose schema a test may spoil."""
    name = "yika_trouble"
    database = Database(postgres_cluster.create_database(name, postgres_template))
    yield Rig(database, key_store).populate()
    database.close()
    postgres_cluster.drop_database(name)


@contextmanager
def trouble(rig: Rig, body: str, table: str = "event") -> Iterator[None]:
    """Let every row that is stored in a table run into trouble."""
    with rig.database.engine.begin() as connection:
        connection.execute(sa.text("CREATE SEQUENCE IF NOT EXISTS tries"))
        connection.execute(sa.text(_TRIGGER.format(body=body, table=table)))
    try:
        yield
    finally:
        with rig.database.engine.begin() as connection:
            connection.execute(sa.text(f"DROP TRIGGER trouble ON {table}"))
            connection.execute(sa.text("DROP FUNCTION trouble"))


def put(client: FlaskClient, rig: Rig) -> TestResponse:
    """Upload three events."""
    return client.put(PATH, data=rig.batch(rig.chain(3)))


def kept(rig: Rig) -> tuple[int, ...]:
    """Return what is there of any upload: events, batches, ranges, leaves."""
    with rig.database.reading() as session:
        counts = [
            session.scalar(sa.select(sa.func.count()).select_from(table))
            for table in (StoredEvent, Batch, StoredRange)
        ]
        return (*map(int, counts), session.scalars(sa.select(LogState.size)).one())  # type: ignore[arg-type]


def refused(answer: TestResponse) -> bool:
    """Tell whether an answer says "later", and how much later."""
    return (
        answer.status_code == 503
        and int(answer.headers["Retry-After"]) > 0
        and answer.get_json()["type"].endswith("database-unavailable")
    )


TROUBLES = {
    "full": RAISE.format(state="53100"),
    "killed in mid-COPY": "PERFORM pg_terminate_backend(pg_backend_pid());",
    "shutting down": RAISE.format(state="57P01"),
    "out of memory": RAISE.format(state="53200"),
    "deadlocks again and again": RAISE.format(state="40P01"),
    "conflicts again and again": RAISE.format(state="40001"),
    "a lock that is not given": RAISE.format(state="55P03"),
}


@pytest.mark.parametrize(
    ("what", "table"),
    [*((what, "event") for what in TROUBLES), ("full", "batch"), ("full", "stored_range")],
)
def test_nothing_is_stored_in_part(ready: Rig, tmp_path: Path, what: str, table: str) -> None:
    """Whatever befalls the database while it stores, the terminal hears 503 and nothing is kept."""
    client = ready.app(tmp_path).test_client()
    with trouble(ready, TROUBLES[what], table):
        answer = put(client, ready)
        after = kept(ready)

    assert refused(answer), answer.data
    assert after == (0, 0, 0, 0)
    assert put(client, ready).status_code == 200
    assert kept(ready) == (3, 1, 1, 3)


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_a_lost_race_is_run_again(ready: Rig, tmp_path: Path, state: str) -> None:
    """A deadlock or conflict that passes is not told to the terminal at all."""
    client = ready.app(tmp_path).test_client()
    with trouble(ready, ONCE.format(times=2, state=state)):
        answer = put(client, ready)

    assert answer.status_code == 200
    assert kept(ready) == (3, 1, 1, 3)


def test_a_database_that_only_reads_takes_nothing(ready: Rig, tmp_path: Path) -> None:
    """Set read-only for maintenance it refuses uploads; replays are still answered."""
    client = ready.app(tmp_path).test_client()
    first = put(client, ready)
    name = ready.database.url.database
    with ready.database.engine.begin() as connection:
        connection.execute(sa.text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    ready.database.close()

    assert refused(client.put(f"{PATH[:-1]}2", data=ready.batch(ready.chain(4), batch_no=2)))
    assert put(client, ready).data == first.data


def test_a_database_that_is_away_is_waited_for(rig: Rig, tmp_path: Path) -> None:
    """Nobody at the database's address: 503; the upload is taken when it is back."""
    away = Database("postgresql+psycopg://nobody@/none?host=/nonexistent")
    client = Rig(away, rig.store).app(tmp_path).test_client()

    assert refused(put(client, rig))
    away.close()
    assert rig.upload(rig.chain(3)).status == 200


@pytest.mark.parametrize("pragma", ["max_page_count = 1", "query_only = ON"])
def test_sqlite_full_or_read_only(sqlite_rig: Rig, tmp_path: Path, pragma: str) -> None:
    """A full or read-only SQLite file refuses whole uploads and takes them again afterwards."""
    client = sqlite_rig.app(tmp_path).test_client()
    engine = sqlite_rig.database.engine
    body = sqlite_rig.batch(sqlite_rig.chain(60))

    def hinder(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA {pragma}")

    sa.event.listen(engine, "begin", hinder, insert=True)
    answer = client.put(PATH, data=body)
    sa.event.remove(engine, "begin", hinder)
    sqlite_rig.database.close()

    assert refused(answer), answer.data
    assert kept(sqlite_rig) == (0, 0, 0, 0)
    assert client.put(PATH, data=body).status_code == 200


def test_a_clock_set_back_takes_no_time_back(rig: Rig) -> None:
    """Receipts of a terminal never run back, nor do the instants its events are kept with."""
    events = rig.chain(4)
    first = rig.receipt(events[:2], 1)
    rig.clock.now_ms = NOW_MS - 3_600_000
    second = rig.receipt(events[2:], 2)

    with rig.database.reading() as session:
        received = set(session.scalars(sa.select(StoredEvent.received_ms)))
    assert second.srv_utc_ms == first.srv_utc_ms == NOW_MS
    assert received == {NOW_MS}


def test_two_servers_answer_as_one(rig: Rig) -> None:
    """Two server processes on one database: one receipt for each batch, and one unbroken log."""
    posts = [rig.add_post(number) for number in range(2)]
    chains = [post.chain(12, rig.store) for post in posts]
    uploads = [
        (post.terminal_id, number, post.batch(events[3 * number - 3 : 3 * number], number))
        for post, events in zip(posts, chains, strict=True)
        for number in (1, 2, 3, 4)
    ]
    rig.database.close()
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()

    def serve(order: list[Upload]) -> None:
        server = Rig(Database(rig.database.url), rig.store)
        for terminal_id, number, body in order:
            answer = server.put(body, number, terminal_id)
            results.put((terminal_id, number, answer.body))

    processes = [fork.Process(target=serve, args=(order,)) for order in (uploads, uploads[::-1])]
    for process in processes:
        process.start()
    told = [results.get() for _ in range(2 * len(uploads))]
    for process in processes:
        process.join()

    assert len(set(told)) == len(uploads)
    with rig.database.reading() as session:
        size = session.scalars(sa.select(LogState.size)).one()
        stored = leaves.read(session, 0, size)
    last = max((Receipt.from_bytes(body) for _, _, body in told), key=lambda each: each.log_size)
    assert (size, last.log_size, last.log_root) == (24, 24, merkle.root(stored))
    assert set(stored) == {event_hash(event) for events in chains for event in events}
