# SPDX-License-Identifier: Apache-2.0
"""The items of each topic, in the order of a number that only grows, a piece at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.exchange.policy import Topic
from server.ingest.models import StoredEvent
from server.ingest.verdicts import Verdict
from server.people.models import Volunteer
from server.reconciliation.models import ServiceInterval
from server.structure.models import Membership, Organisation
from server.structure.organisations import in_reach
from server.structure.rights import Reach
from server.terminals.models import Site
from server.terminals.places import site_in_reach
from server.timebank.models import Account, Entry, Transfer
from swipe.kinds import EventType

PIECE = 5_000  # rows of an export fetched at a time
ENTRIES_MAX = 8  # of volunteers in one transfer
EVERYWHERE = Reach(everywhere=True)

# Columns of each topic with their kind: i integer, s text, t instant (ISO 8601 UTC in text forms).
COLUMNS: dict[Topic, tuple[tuple[str, str], ...]] = {
    Topic.EVENTS: (
        ("leaf", "i"), ("terminal", "i"), ("number", "i"), ("kind", "s"), ("verdict", "s"),
        ("at", "t"), ("uncertainty_ms", "i"), ("site", "i"), ("activity", "i"), ("card", "s"),
        ("card_counter", "i"), ("received", "t"), ("hash", "s"),
    ),
    Topic.INTERVALS: (
        ("id", "i"), ("volunteer", "s"), ("key", "s"), ("from", "t"), ("to", "t"),
        ("minutes", "i"), ("grade", "s"), ("state", "s"), ("rules", "s"), ("site", "i"),
        ("activity", "i"), ("service_day", "s"),
    ),
    Topic.TRANSFERS: (
        ("id", "i"), ("volunteer", "s"), ("kind", "s"), ("minutes", "i"), ("reference", "s"),
        ("reverses", "i"), ("at", "t"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Window:
    """Items after a number, within a span of time (ms UTC, both ends optional), of some part.

    Events and intervals belong to the part of their site, transfers to that of the volunteer.
    """

    after: int = 0
    since_ms: int | None = None
    until_ms: int | None = None
    part: Reach = EVERYWHERE


def items(session: Session, topic: Topic, window: Window, limit: int) -> list[dict[str, Any]]:
    """Return about so many items; the first column is the number to go on after."""
    rows = session.execute(_statement(session, topic, window).limit(limit + ENTRIES_MAX)).all()
    # A transfer between two volunteers is two items of one number: they stay on one page.
    end = limit
    while limit <= end < len(rows) and rows[end][0] == rows[limit - 1][0]:
        end += 1
    return [_item(topic, row) for row in rows[:end]]


def stream(session: Session, topic: Topic, window: Window) -> Iterator[list[dict[str, Any]]]:
    """Give all items in pieces; memory does not grow with their number."""
    statement = _statement(session, topic, window)
    rows = session.execute(statement.execution_options(yield_per=PIECE))
    for piece in rows.partitions():
        yield [_item(topic, row) for row in piece]


def _statement(session: Session, topic: Topic, window: Window) -> sa.Select[Any]:
    """Return the statement of a topic, narrowed to the part that may be read."""
    statement = _STATEMENTS[topic](window)
    if window.part.everywhere:
        return statement
    if topic is Topic.TRANSFERS:
        members = (
            sa.select(Membership.volunteer_id)
            .join(Organisation, Organisation.id == Membership.organisation_id)
            .where(Membership.until_ms.is_(None), in_reach(session, window.part))
        )
        return statement.where(Volunteer.id.in_(members))
    column = StoredEvent.site if topic is Topic.EVENTS else ServiceInterval.site
    return statement.where(
        column.in_(sa.select(Site.id).where(site_in_reach(session, window.part)))
    )


def newest(session: Session, topic: Topic) -> int:
    """Return the number of the newest item, 0 without any."""
    number = StoredEvent.leaf_index + 1 if topic is Topic.EVENTS else Transfer.id
    return session.scalar(sa.select(sa.func.coalesce(sa.func.max(number), 0))) or 0


def instant(ms: int | None) -> str | None:
    """Write an instant.

    >>> instant(1_795_222_923_004), instant(None)
    ('2026-11-21T01:02:03.004Z', None)
    """
    if ms is None:
        return None
    moment = dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat(timespec="milliseconds")
    return moment.removesuffix("+00:00") + "Z"


def _item(topic: Topic, row: Any) -> dict[str, Any]:
    values = dict(zip((name for name, _ in COLUMNS[topic]), row, strict=True))
    if topic is Topic.EVENTS:
        values["kind"] = EventType(values["kind"]).name
        values["verdict"] = Verdict(values["verdict"]).name
        values["hash"] = values["hash"].hex()
    if topic is Topic.INTERVALS:
        values["service_day"] = values["service_day"].isoformat()
    for name, kind in COLUMNS[topic]:
        if kind == "t":
            values[name] = instant(values[name])
    return values


def _events(window: Window) -> sa.Select[Any]:
    row = StoredEvent
    # Leaves count from 0; a number to go on after counts from 1.
    number = row.leaf_index + 1
    statement = sa.select(
        number, row.terminal_id, row.seq, row.type, row.verdict, row.utc_ms, row.unc_ms, row.site,
        row.activity, row.card_asn, row.card_ctr, row.received_ms, row.event_hash,
    ).where(row.leaf_index >= window.after)  # fmt: skip
    found: sa.Select[Any] = _within(statement, row.received_ms, window).order_by(row.leaf_index)
    return found


def _intervals(window: Window) -> sa.Select[Any]:
    row = ServiceInterval
    statement = (
        sa.select(
            row.id, Volunteer.number, row.key, row.start_ms, row.end_ms, row.credited_minutes,
            row.grade, row.state, row.rules, row.site, row.activity, row.service_day,
        )
        .join(Volunteer, Volunteer.id == row.person)
        .where(row.current, row.id > window.after)
    )  # fmt: skip
    found: sa.Select[Any] = _within(statement, row.start_ms, window).order_by(row.id)
    return found


def _transfers(window: Window) -> sa.Select[Any]:
    row = Transfer
    statement = (
        sa.select(
            row.id, Volunteer.number, row.kind, Entry.minutes, row.ref, row.reverses, row.at_ms
        )
        .join(Entry, Entry.transfer_id == row.id)
        .join(Account, Account.id == Entry.account_id)
        .join(Volunteer, Volunteer.id == Account.owner)
        .where(Account.kind == "volunteer", row.id > window.after)
    )
    found: sa.Select[Any] = _within(statement, row.at_ms, window).order_by(row.id, Volunteer.number)
    return found


def _within(statement: Any, column: Any, window: Window) -> Any:
    if window.since_ms is not None:
        statement = statement.where(column >= window.since_ms)
    if window.until_ms is not None:
        statement = statement.where(column < window.until_ms)
    return statement


_STATEMENTS = {
    Topic.EVENTS: _events,
    Topic.INTERVALS: _intervals,
    Topic.TRANSFERS: _transfers,
}
