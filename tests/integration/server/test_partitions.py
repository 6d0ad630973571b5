# SPDX-License-Identifier: Apache-2.0
"""Events by month on PostgreSQL: stored once whatever the month, guarded in every partition."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from keys.store import FileKeyStore
from server.db import Database, one_of
from server.errors import Refused
from server.ingest import whereabouts
from server.operations import partitions
from server.operations.policy import Month, month_of, months_from
from server.people.models import Card
from server.schema import upgrade
from server.transparency.roles import apply
from tests.factories import TERMINAL_ID
from tests.integration.postgres import PostgresCluster
from tests.integration.server.rig import NOW_MS, Rig

NOW = month_of(NOW_MS)
NEXT = NOW.next
COPIED = "INSERT INTO event SELECT {columns} FROM event WHERE seq = 1"


@pytest.fixture
def months_rig(
    postgres_cluster: PostgresCluster, postgres_template: str, key_store: FileKeyStore
) -> Iterator[Rig]:
    """A server on a PostgreSQL of its own: partitions outlive the wiping of tables."""
    database = Database(postgres_cluster.create_database("yika_months", postgres_template))
    yield Rig(database, key_store).populate()
    database.close()
    postgres_cluster.drop_database("yika_months")


def names(rig: Rig) -> dict[str, bool]:
    """Return each partition's name and whether it is attached."""
    return {part.name: part.attached for part in partitions.listed(rig.database)}


def rows(rig: Rig, table: str) -> int:
    """Count the rows of a table."""
    with rig.database.reading() as session:
        return session.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0


def test_uploads_need_no_partition_of_their_month(months_rig: Rig) -> None:
    """Before anybody made a month, events stand in the partition for all others."""
    assert months_rig.upload(months_rig.chain(3)).status == 200

    assert names(months_rig) == {"event_rest": True}
    assert rows(months_rig, "months.event_rest") == 3


def test_months_are_made_ahead_and_hold_their_events(months_rig: Rig) -> None:
    """What was stored becomes the first partition; later uploads go to their month."""
    events = months_rig.chain(4)
    months_rig.upload(events[:2], 1)

    made = partitions.make(months_rig.database, NOW_MS, ahead=2)
    first = f"event_to_{NOW.table.removeprefix('event_')}"
    assert made == [first, *(month.table for month in months_from(NEXT, 2))]
    assert partitions.make(months_rig.database, NOW_MS, ahead=2) == []
    months_rig.clock.now_ms = NEXT.first_ms + 1
    assert months_rig.upload(events[2:], 2).status == 200

    assert (rows(months_rig, f"months.{first}"), rows(months_rig, f"months.{NEXT.table}")) == (2, 2)
    assert rows(months_rig, "months.event_rest") == 0
    assert sorted(months_rig.stored()) == [1, 2, 3, 4]
    again = partitions.make(months_rig.database, NEXT.first_ms, ahead=2)
    assert again == [NEXT.next.next.table]


def test_an_event_is_looked_up_in_its_month_only(months_rig: Rig) -> None:
    """The batches tell when it arrived; the statement with that instant asks one partition."""
    chain = months_rig.chain(3)
    months_rig.upload(chain[:2], 1)
    partitions.make(months_rig.database, NOW_MS, ahead=2)
    months_rig.clock.now_ms = NEXT.first_ms + 1
    months_rig.upload(chain[2:], 2)

    with months_rig.database.reading() as session:
        when = whereabouts.arrived(session, TERMINAL_ID, 3, 3)
        events = [whereabouts.find_event(session, TERMINAL_ID, seq) for seq in (1, 2, 3, 4)]
        found = [event.seq if event else None for event in events]
        plan = session.scalars(
            sa.text(
                "EXPLAIN SELECT raw FROM event WHERE terminal_id = :t AND seq = 3 "
                "AND received_ms BETWEEN :a AND :b"
            ),
            {"t": TERMINAL_ID, "a": when.from_ms, "b": when.until_ms} if when else {},
        ).all()
    assert found == [1, 2, 3, None]
    asked = [word for line in plan for word in line.split() if word.startswith("event_")]
    assert asked
    assert all(name.startswith(NEXT.table) for name in asked)


def test_serials_are_found_by_the_index(months_rig: Rig) -> None:
    """A list of serials is compared as the column is, not row by row as text."""
    with months_rig.database.reading() as session:
        session.execute(sa.text("SET LOCAL enable_seqscan = off"))
        wanted = sa.select(Card.id).where(one_of(session, Card.asn, ["1" * 20, "2" * 20]))
        compiled = wanted.compile(session.connection(), compile_kwargs={"render_postcompile": True})
        plan = (
            session.connection()
            .exec_driver_sql(f"EXPLAIN {compiled}", compiled.params)
            .scalars()
            .all()
        )
    assert any("Index Cond: (asn = ANY" in line for line in plan)


@pytest.mark.parametrize("other_month", [False, True])
def test_a_number_is_stored_once_whatever_the_month(months_rig: Rig, other_month: bool) -> None:
    """The database refuses a second event of a number, in the same month and in another."""
    months_rig.upload(months_rig.chain(2))
    partitions.make(months_rig.database, NOW_MS, ahead=2)
    shown = [
        column["name"] for column in sa.inspect(months_rig.database.engine).get_columns("event")
    ]
    moved = str(NEXT.first_ms) if other_month else "received_ms"
    columns = ", ".join(moved if name == "received_ms" else name for name in shown)

    with pytest.raises(sa.exc.IntegrityError), months_rig.database.writing() as session:
        session.execute(sa.text(COPIED.format(columns=columns)))

    assert rows(months_rig, "event") == 2


@pytest.mark.parametrize("verb", ["UPDATE {} SET verdict = 0", "DELETE FROM {}", "TRUNCATE {}"])
def test_every_partition_is_append_only(months_rig: Rig, verb: str) -> None:
    """The triggers stand on each partition, and on the spans that keep numbers unique."""
    months_rig.upload(months_rig.chain(2))
    partitions.make(months_rig.database, NOW_MS, ahead=1)
    tables = [part.name for part in partitions.listed(months_rig.database)]
    if not verb.startswith("UPDATE"):
        tables.append("event_span")
    for table in tables:
        if not rows(months_rig, f"months.{table}") and not verb.startswith("TRUNCATE"):
            continue
        with (
            pytest.raises(sa.exc.DBAPIError, match="append-only"),
            months_rig.database.writing() as session,
        ):
            session.execute(sa.text(verb.format(f"months.{table}")))


def test_the_servers_role_reaches_partitions_through_the_table_only(months_rig: Rig) -> None:
    """A server that owns nothing stores events in partitions and cannot touch them directly."""
    apply(months_rig.database, "yika_months_app")
    partitions.make(months_rig.database, NOW_MS, ahead=1)
    url = months_rig.database.url.set(username="yika_months_app")
    served = Rig(Database(url), months_rig.store)
    try:
        assert served.upload(served.chain(3)).status == 200
        for table in (NOW.table, "event_span"):
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                rows(served, f"months.{table}")
        with pytest.raises(Refused, match="owner"):
            partitions.make(served.database, NOW_MS, ahead=4)
    finally:
        served.database.close()


def test_a_month_that_hours_rest_on_stays(months_rig: Rig) -> None:
    """A month with a tap of somebody's card is not taken out; one without is, and comes back."""
    partitions.make(months_rig.database, NOW_MS, ahead=1)
    months_rig.upload(months_rig.chain(2))

    with pytest.raises(Refused, match="hours"):
        partitions.detach(months_rig.database, NOW, "wang", NOW_MS)
    assert partitions.detach(months_rig.database, NEXT, "wang", NOW_MS) == 0
    assert names(months_rig)[NEXT.table] is False
    with pytest.raises(Refused):
        partitions.detach(months_rig.database, NEXT, "wang", NOW_MS)
    partitions.attach(months_rig.database, NEXT, "wang", NOW_MS)

    assert names(months_rig)[NEXT.table] is True
    with months_rig.database.reading() as session:
        noted = session.scalars(sa.text("SELECT action FROM audit ORDER BY id")).all()
    assert noted[-2:] == ["partition.detach", "partition.attach"]


def test_a_populated_database_gets_its_partitions(
    postgres_cluster: PostgresCluster, key_store: FileKeyStore
) -> None:
    """Events stored before there were partitions stay, are read, and are still stored once."""
    database = Database(postgres_cluster.create_database("yika_before"))
    upgrade(database, "0020")
    before = "terminal_id, seq, event_hash, content_hash, type, result, flags, boot, up_ms, utc_ms"
    with database.writing() as session:
        session.execute(
            sa.text(
                f"INSERT INTO event ({before}, unc_ms, site, activity, card_ctr, psam_seq, anchor, "
                "proof, verdict, batch_id, received_ms, leaf_index, raw) "
                "SELECT 7, n, '\\x00', '\\x00', 1, 0, 0, 1, n, n, 0, 1, 0, 0, 0, '\\x00', 0, 0, 1, "
                "1000 * n, n, '\\x00' FROM generate_series(1, 50) n"
            )
        )
        session.execute(sa.text("INSERT INTO stored_range VALUES (7, 1, 50)"))

    upgrade(database)
    rig = Rig(database, key_store)

    assert rows(rig, "event") == 50
    shown = ", ".join(column["name"] for column in sa.inspect(database.engine).get_columns("event"))
    with pytest.raises(sa.exc.IntegrityError), database.writing() as session:
        session.execute(sa.text(COPIED.format(columns=shown.replace("received_ms", str(NOW_MS)))))
    assert partitions.make(database, NOW_MS, ahead=0) == [
        f"event_to_{NOW.table.removeprefix('event_')}"
    ]
    database.close()
    postgres_cluster.drop_database("yika_before")


def test_sqlite_has_none(sqlite_rig: Rig) -> None:
    """Asked for partitions, SQLite is told apart in one line; it keeps all events in one table."""
    with pytest.raises(Refused, match="SQLite"):
        partitions.make(sqlite_rig.database, NOW_MS)


def test_months_are_written_plainly() -> None:
    """A month is written YYYY-MM."""
    assert Month.parse("2026-05").table == "event_2026_05"
