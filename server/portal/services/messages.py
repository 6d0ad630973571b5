# SPDX-License-Identifier: Apache-2.0
"""Messages as staff see them, narrowed to the people in reach, and the notices that hang now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.errors import Refused
from server.outbox import services as outbox
from server.outbox import templates
from server.outbox.models import OutboxMessage
from server.outbox.policy import CANCELLABLE, RETRYABLE, State
from server.people.models import Volunteer
from server.portal.display import local
from server.portal.errors import NotFound
from server.portal.names import Name
from server.portal.services.places import DEFAULT_ZONE_QUARTERS
from server.structure.models import Membership, Organisation
from server.structure.organisations import in_reach, place_of_volunteer
from server.structure.rights import NOWHERE, Place, Reach

ROWS = 50
NOTICES_MAX = 200  # what hangs ends after a month; more than this nobody reads on one page


@dataclass(frozen=True, slots=True)
class Notice:
    """One public notice: since when and until when it hangs, and its text; names are masked."""

    since: datetime
    until: datetime
    text: Name


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message; never where it goes. What may be done with it follows from its state."""

    id: int
    at: datetime
    masked_name: str
    text: Name
    channel: str
    state: str
    outcome: str
    tries: int

    @property
    def may_retry(self) -> bool:
        """Tell whether it may be set going again."""
        return self.state in RETRYABLE

    @property
    def may_cancel(self) -> bool:
        """Tell whether it may still be called off."""
        return self.state in CANCELLABLE


@dataclass(frozen=True, slots=True)
class Messages:
    """A page of messages; counts by state only for who reaches everybody."""

    rows: list[MessageRow]
    counts: dict[str, int]
    more: int


def notices(database: Database, now_ms: int) -> list[Notice]:
    """Give the public notices that hang now, newest first."""
    with database.reading() as session:
        rows = outbox.published(session, now_ms, NOTICES_MAX)
        return [
            Notice(_moment(one.created_ms), _moment(one.expires_ms), _text(one)) for one in rows
        ]


def read_messages(database: Database, reach: Reach, state: str, before: int) -> Messages:
    """List messages, newest first; `state` "" means all.

    Raises:
        NotFound: there is no such state.
    """
    if state and state not in {*State}:
        raise NotFound
    with database.reading() as session:
        chosen = (
            sa.select(OutboxMessage, Volunteer.masked_name)
            .outerjoin(Volunteer, Volunteer.id == OutboxMessage.volunteer_id)
            .order_by(OutboxMessage.id.desc())
            .limit(ROWS)
        )
        counts: dict[str, int] = {}
        if reach.everywhere:
            counts = _counts(session)
        else:
            chosen = chosen.where(OutboxMessage.volunteer_id.in_(_members(session, reach)))
        if state:
            chosen = chosen.where(OutboxMessage.state == state)
        if before:
            chosen = chosen.where(OutboxMessage.id < before)
        rows = [_row(message, name) for message, name in session.execute(chosen)]
    return Messages(rows, counts, rows[-1].id if len(rows) == ROWS else 0)


def messages_of(session: Session, person: int, limit: int) -> list[MessageRow]:
    """Return the newest messages to one person."""
    rows = session.scalars(
        sa.select(OutboxMessage)
        .where(OutboxMessage.volunteer_id == person)
        .order_by(OutboxMessage.id.desc())
        .limit(limit)
    )
    return [_row(row, "") for row in rows]


def place_of(database: Database, message_id: int) -> Place:
    """Return where the person of a message stands; what is for the public stands nowhere.

    Raises:
        NotFound: there is no such message.
    """
    with database.reading() as session:
        row = session.get(OutboxMessage, message_id)
        if row is None:
            raise NotFound
        person = row.volunteer_id
        return NOWHERE if person is None else place_of_volunteer(session, person)


def act(database: Database, message_id: int, action: str, actor: str, now_ms: int) -> None:
    """Set a message going again ("retry") or call it off.

    Raises:
        Refused: it is under way, or said already.
    """
    done = outbox.retry if action == "retry" else outbox.cancel
    with database.writing() as session:
        done(session, message_id, actor, now_ms)


def _members(session: Session, reach: Reach) -> sa.Select[int]:
    return (
        sa.select(Membership.volunteer_id)
        .join(Organisation, Organisation.id == Membership.organisation_id)
        .where(Membership.until_ms.is_(None), in_reach(session, reach))
    )


def _counts(session: Session) -> dict[str, int]:
    counting = sa.select(OutboxMessage.state, sa.func.count()).group_by(OutboxMessage.state)
    found: dict[str, int] = dict(session.execute(counting).all())
    return found


def _row(row: OutboxMessage, masked_name: str | None) -> MessageRow:
    return MessageRow(
        row.id, _moment(row.created_ms), masked_name or "", _text(row), row.channel, row.state,
        row.outcome, row.tries,
    )  # fmt: skip


def _text(row: OutboxMessage) -> Name:
    try:
        template = templates.checked(row.kind, row.params)
    except Refused:  # queued by an earlier version, whose template had other fields
        return Name(row.kind, row.kind)
    return Name(template.zh.format_map(row.params), template.en.format_map(row.params))


def _moment(at_ms: int) -> datetime:
    return local(at_ms, DEFAULT_ZONE_QUARTERS)
