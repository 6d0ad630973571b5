# SPDX-License-Identifier: Apache-2.0
"""How each topic is read from the database: columns, order, month, shard, control totals."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.archive.policy import Topic
from server.db import Base, from_millis
from server.ingest.models import StoredEvent
from server.operations.policy import Month
from server.reconciliation.models import ServiceInterval
from server.timebank.models import Account, Entry, Transfer

_ARROW: dict[type, pa.DataType] = {
    sa.BigInteger: pa.int64(), sa.SmallInteger: pa.int16(), sa.Integer: pa.int32(),
    sa.LargeBinary: pa.binary(), sa.CHAR: pa.string(), sa.String: pa.string(),
    sa.Boolean: pa.bool_(), sa.Date: pa.date32(),
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A statement without its month, the column that is summed, how rows are dealt to shards."""

    columns: tuple[sa.Label[Any], ...]
    statement: sa.Select[Any]
    when: Any  # the column that says the month: milliseconds, or a date
    order: tuple[Any, ...]
    shard_by: str
    summed: str

    @property
    def schema(self) -> pa.Schema:
        """Return the columns as Arrow knows them."""
        return pa.schema([(column.name, _arrow(column)) for column in self.columns])

    def of(self, month: Month) -> sa.Select[Any]:
        """Return the rows of a month, in an order that does not change."""
        return self._within(self.statement, month).order_by(*self.order)

    def totals(self, session: Session, month: Month) -> tuple[int, int]:
        """Return rows and sum of a month as the database has them."""
        inner = self._within(self.statement, month).subquery()
        found = session.execute(
            sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(inner.c[self.summed]), 0))
        ).one()
        return int(found[0]), int(found[1])

    def span_ms(self, session: Session) -> tuple[int, int] | None:
        """Return the first and last instant there are rows of, None without any."""
        inner = self.statement.with_only_columns(
            sa.func.min(self.when), sa.func.max(self.when)
        ).order_by(None)
        first, last = session.execute(inner).one()
        if first is None:
            return None
        if isinstance(first, int):
            return first, last
        return tuple(_midnight_ms(day) for day in (first, last))  # type: ignore[return-value]

    def _within(self, statement: sa.Select[Any], month: Month) -> sa.Select[Any]:
        first: Any = month.first_ms
        until: Any = month.until_ms
        if isinstance(self.when.type, sa.Date):
            first, until = (from_millis(at_ms).date() for at_ms in (first, until))
        return statement.where(self.when >= first, self.when < until)


def _midnight_ms(day: Any) -> int:
    return Month(day.year, day.month).first_ms


def _arrow(column: sa.ColumnElement[Any]) -> pa.DataType:
    for kind, arrow in _ARROW.items():
        if type(column.type) is kind:
            return arrow
    raise TypeError(f"{column}: {column.type!r} has no place in a Parquet file")


def _columns(table: type[Base], *left_out: str) -> tuple[sa.Label[Any], ...]:
    return tuple(
        sa.label(column.name, getattr(table, column.name))
        for column in table.__table__.columns
        if column.name not in left_out
    )


def _events() -> Source:
    columns = _columns(StoredEvent)
    return Source(
        columns, sa.select(*columns), StoredEvent.received_ms,
        (StoredEvent.terminal_id, StoredEvent.seq), "terminal_id", "leaf_index",
    )  # fmt: skip


def _intervals() -> Source:
    row = ServiceInterval
    columns = _columns(row, "current")
    return Source(
        columns, sa.select(*columns).where(row.current), row.service_day,
        (row.person, row.start_ms, row.id), "person", "credited_minutes",
    )  # fmt: skip


def _entries() -> Source:
    columns = (
        *_columns(Transfer, "digest"),
        sa.label("account_id", Account.id), sa.label("account_kind", Account.kind),
        sa.label("owner", Account.owner), sa.label("region", Account.region),
        sa.label("minutes", Entry.minutes),
    )  # fmt: skip
    statement = (
        sa.select(*columns)
        .join(Entry, Entry.transfer_id == Transfer.id)
        .join(Account, Account.id == Entry.account_id)
    )
    order = (Transfer.person, Transfer.id, Account.id)
    return Source(columns, statement, Transfer.at_ms, order, "person", "minutes")


SOURCES = {Topic.EVENTS: _events(), Topic.INTERVALS: _intervals(), Topic.ENTRIES: _entries()}


def digest(topic: Topic, tables: Iterable[pa.Table]) -> str:
    """Return a SHA-256 over what a month says: hashes of events, or keys and minutes, in order."""
    names = {
        Topic.EVENTS: ("terminal_id", "seq", "event_hash"),
        Topic.INTERVALS: ("person", "key", "credited_minutes", "grade", "state"),
        Topic.ENTRIES: ("uid", "account_id", "minutes"),
    }[topic]
    found = hashlib.sha256()
    for table in tables:
        for row in zip(*(table.column(name).to_pylist() for name in names), strict=True):
            found.update(repr(row).encode())
    return found.hexdigest()


def schema_of(table: type[Base], names: Iterable[str]) -> pa.Schema:
    """Return some columns of a table as Arrow knows them."""
    found = table.__table__.columns
    return pa.schema([(name, _arrow(found[name])) for name in names])
