# SPDX-License-Identifier: Apache-2.0
"""Partitions of the events by month: made ahead, listed, taken out and put back.

PostgreSQL only. A month is the month of `received_ms` in UTC. What has no partition of its own
stands in `event_rest`, so that no upload ever waits for somebody to make one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from server.db import Database
from server.errors import Refused
from server.operations.policy import Month, month_of, months_from
from server.people import audit

# lock_not_available: whoever waits for a lock makes uploads wait behind him, so nobody does long.
NO_LOCK_SQLSTATE = "55P03"
NO_RIGHT_SQLSTATE = "42501"
REST = "event_rest"
AHEAD_DEFAULT, AHEAD_MAX = 3, 24
_BOUND = re.compile(r"FROM \((?:'?(-?\d+)'?|MINVALUE)\) TO \('?(-?\d+)'?\)")
_PARTITIONS = sa.text(
    "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound, "
    "pg_total_relation_size(c.oid) AS bytes "
    "FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
    "WHERE inhparent = 'public.event'::regclass ORDER BY c.relname"
)
_DETACHED = sa.text(
    "SELECT c.relname, pg_total_relation_size(c.oid) AS bytes FROM pg_class c "
    "WHERE c.relnamespace = 'months'::regnamespace AND c.relkind = 'r' "
    "AND NOT c.relispartition AND c.relname ~ '^event_[0-9]{4}_[0-9]{2}$' ORDER BY c.relname"
)


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition: its table in the schema `months`, its bounds (None: open), its size."""

    name: str
    first_ms: int | None
    until_ms: int | None
    bytes: int
    attached: bool = True


def listed(database: Database) -> list[Partition]:
    """Return the partitions, those taken out included.

    Raises:
        Refused: not a PostgreSQL.
    """
    with _connected(database) as connection:
        return _listed(connection)


def _listed(connection: Connection) -> list[Partition]:
    found = []
    for name, bound, size in connection.execute(_PARTITIONS):
        match = _BOUND.search(bound)
        first, until = match.groups() if match else (None, None)
        found.append(Partition(name, int(first) if first else None, int(until or 0) or None, size))
    for name, size in connection.execute(_DETACHED):
        month = Month.parse(name.removeprefix("event_").replace("_", "-"))
        found.append(Partition(name, month.first_ms, month.until_ms, size, attached=False))
    return found


def make(database: Database, now_ms: int, ahead: int = AHEAD_DEFAULT) -> list[str]:
    """Make the partitions of this month and some to come; return the names of the new ones.

    What stands in `event_rest` becomes a partition of its own first, with nothing copied.

    Raises:
        Refused: not a PostgreSQL, or a lock was not to be had in time.
    """
    with _connected(database) as connection:
        made = _settle(connection, now_ms)
        there = {part.until_ms for part in _listed(connection)}
        reached = max((until for until in there if until), default=0)
        for month in months_from(month_of(now_ms), ahead + 1):
            if month.first_ms >= reached:
                _create(connection, month)
                made.append(month.table)
    return made


def detach(database: Database, month: Month, actor: str, now_ms: int) -> int:
    """Take a month out of the events; its table stays. Return how many events stand in it.

    Raises:
        Refused: there is no such partition, or somebody's hours rest on one of its events.
    """
    with _connected(database) as connection:
        part = _named(connection, month, attached=True)
        rows = connection.scalar(sa.text(_COUNT.format(part.name))) or 0
        resting = connection.scalar(sa.text(_RESTING.format(table=f"months.{part.name}")))
        if resting:
            raise Refused(
                "hours-rest-on-it",
                f"{month} 的记录仍是时长的依据，不能移出；可先存档"
                f"（yika-server archive write 目录），再由表的所有者移到冷盘：{_cold(part)}",
                f"hours of people with cards rest on {month}: every derivation reads it. Keep a "
                "copy (yika-server archive write FOLDER), then move it to a slow disk as the owner "
                f"of the tables: {_cold(part)}",
            )
        connection.execute(sa.text(f"ALTER TABLE event DETACH PARTITION months.{part.name}"))
        _note(connection, (now_ms, actor, "partition.detach"), month, int(rows))
        return int(rows)


def _cold(part: Partition) -> str:
    """Return what moves a month to another disk while it stays attached."""
    return f"ALTER TABLE months.{part.name} SET TABLESPACE cold"


def attach(database: Database, month: Month, actor: str, now_ms: int) -> None:
    """Put a month back that was taken out.

    Raises:
        Refused: it was not taken out.
    """
    with _connected(database) as connection:
        part = _named(connection, month, attached=False)
        rows = connection.scalar(sa.text(_COUNT.format(part.name)))
        connection.execute(sa.text(_ATTACH.format(name=part.name, month=month)))
        _note(connection, (now_ms, actor, "partition.attach"), month, int(rows or 0))


# A tap of anybody's card, or what a leader's decision names: the kernel reads it every time.
_RESTING = (
    "SELECT EXISTS (SELECT 1 FROM {table} e WHERE e.card_asn IN (SELECT asn FROM card)) OR "
    "EXISTS (SELECT 1 FROM correction c JOIN {table} e "
    "ON e.terminal_id = c.terminal AND e.seq = c.seq)"
)
_COUNT = "SELECT count(*) FROM months.{}"
_ATTACH = (
    "ALTER TABLE event ATTACH PARTITION months.{name} "
    "FOR VALUES FROM ({month.first_ms}) TO ({month.until_ms})"
)


def _note(connection: Connection, said: tuple[int, str, str], month: Month, rows: int) -> None:
    at_ms, actor, action = said
    with Session(connection, join_transaction_mode="create_savepoint") as session:
        audit.record(session, at_ms, actor, action, f"partition:{month}", events=rows)
        session.commit()


@contextmanager
def _connected(database: Database) -> Iterator[Connection]:
    if not database.is_postgresql:
        raise Refused(
            "no-partitions", "SQLite 没有分区", "SQLite has no partitions: nothing to do here"
        )
    try:
        with database.engine.connect() as connection:
            yield connection
            connection.commit()
    except (sa.exc.OperationalError, sa.exc.ProgrammingError) as error:
        state = getattr(error.orig, "sqlstate", None)
        if state == NO_LOCK_SQLSTATE:
            raise Refused(
                "busy", "数据库正忙，未作改动，请稍后再试", "the database is busy: try again later"
            ) from error
        if state == NO_RIGHT_SQLSTATE:
            raise Refused(
                "owner", "请以表的所有者连接", "connect as the owner of the tables for this"
            ) from error
        raise


def _named(connection: Connection, month: Month, *, attached: bool) -> Partition:
    for part in _listed(connection):
        if part.name == month.table and part.attached == attached:
            return part
    state = ("已挂接的", "attached") if attached else ("已移出的", "detached")
    raise Refused(
        "no-partition", f"没有{state[0]}分区 {month}", f"no {state[1]} partition of {month}"
    )


def _settle(connection: Connection, now_ms: int) -> list[str]:
    """Turn `event_rest`, if anything stands in it, into the partition of all up to a month's end.

    The check is made valid while uploads go on; only exchanging the two takes a lock, at once.
    """
    span = connection.execute(
        sa.text(f"SELECT min(received_ms), max(received_ms) FROM months.{REST}")  # noqa: S608
    ).one()
    if span[0] is None:
        return []
    last = month_of(max(now_ms, span[1]))
    bounds = [part.until_ms for part in _listed(connection) if part.until_ms]
    if bounds and max(bounds) > span[0]:
        raise Refused(
            "rest-overlaps",
            "event_rest 中有早于现有分区的记录，请检查服务器时钟",
            "event_rest holds events among the months that have partitions: was the clock wrong?",
        )
    first = str(max(bounds)) if bounds else "MINVALUE"
    name, until = f"event_to_{last.table.removeprefix('event_')}", last.until_ms
    check = f"received_ms < {until}" + (f" AND received_ms >= {first}" if bounds else "")
    for statement in (
        f"ALTER TABLE months.{REST} ADD CONSTRAINT ck_rest CHECK ({check}) NOT VALID",
        f"ALTER TABLE months.{REST} VALIDATE CONSTRAINT ck_rest",
    ):
        connection.execute(sa.text(statement))
        connection.commit()
    for statement in (
        f"ALTER TABLE event DETACH PARTITION months.{REST}",
        f"ALTER TABLE months.{REST} RENAME TO {name}",
        f"ALTER TABLE event ATTACH PARTITION months.{name} FOR VALUES FROM ({first}) TO ({until})",
        f"ALTER TABLE months.{name} DROP CONSTRAINT ck_rest",
        f"ALTER TABLE months.{name} RENAME CONSTRAINT pk_event TO pk_{name}",
        *_table(REST, "pk_event"),
        f"ALTER TABLE event ATTACH PARTITION months.{REST} DEFAULT",
    ):
        connection.execute(sa.text(statement))
    connection.commit()
    return [name]


def _create(connection: Connection, month: Month) -> None:
    for statement in _table(month.table, f"pk_{month.table}"):
        connection.execute(sa.text(statement))
    connection.execute(sa.text(_ATTACH.format(name=month.table, month=month)))
    connection.commit()


def _table(name: str, key: str) -> list[str]:
    """Return what makes a table that may become a partition; its rows cannot be changed either."""
    create = (
        f"CREATE TABLE months.{name} (LIKE event INCLUDING DEFAULTS, "
        f"CONSTRAINT {key} PRIMARY KEY (terminal_id, seq))"
    )
    guard = (
        f"CREATE TRIGGER {name}_no_truncate BEFORE TRUNCATE ON months.{name} "
        "FOR EACH STATEMENT EXECUTE FUNCTION yika_refuse_change()"
    )
    return [create, guard]
