# SPDX-License-Identifier: Apache-2.0
"""What staff see of orders and do to them: worklists, search, one order, many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from server.db import Database
from server.issuing import branches, bulk, dates, events, search, worklists
from server.issuing.events import CardEvent, Detail
from server.issuing.history import order_history
from server.issuing.models import BulkAction, CardOrder
from server.issuing.policy import (
    BY_STAFF,
    ENDED,
    REISSUE_REQUESTED,
    rows,
)
from server.issuing.wording import (
    CODES,
    DUE_NAMES,
    EVENT_NAMES,
    STATE_NAMES,
    Result,
)
from server.people import audit
from server.people.models import Volunteer
from server.portal.display import local, masked_number
from server.portal.errors import NotFound
from server.portal.names import Name
from server.portal.services.places import DEFAULT_ZONE_QUARTERS
from server.structure.organisations import place_of_volunteer
from server.structure.rights import Place

# What staff may say of an order on its page, and the right it takes.
SAYINGS = {
    "lost": "cards.block", "damaged": "cards.block", "suspended": "cards.block",
    "resumed": "cards.block", "found": "cards.block", "corrected": "cards.order",
    "cancelled": "cards.order", "announced": "cards.order",
}  # fmt: skip
_REASON_OF = {"lost": "LOST", "damaged": "DAMAGED", "expired": "EXPIRY", "cut_closed": "LOST"}


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: the name on the audit trail, and whether a place is in reach."""

    actor: str
    reaches: Callable[[Place], bool]
    everywhere: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One order of a list, masked."""

    order_no: str
    masked_name: str
    number_tail: str
    state: Name
    branch: str
    due: date | None
    late: bool
    reject_code: str


@dataclass(frozen=True, slots=True)
class WorkPage:
    """One worklist and how long each is; a count is None for who reaches a part only."""

    name: str
    counts: dict[str, int | None]
    rows: list[Row]
    page: int
    pages: int


def read_worklist(database: Database, asker: Asker, name: str, page: int, now_ms: int) -> WorkPage:
    """Read a page of a worklist, narrowed to what is in reach.

    Raises:
        NotFound: there is no such list.
    """
    if name not in worklists.NAMES:
        raise NotFound
    with database.reading() as session:
        counts = worklists.counts(session, now_ms)
        lines = worklists.read(session, name, now_ms, page)
        if not asker.everywhere:
            lines = [line for line in lines if _reached(session, asker, line.volunteer_id)]
        named: dict[tuple[str | None, str | None], str] = {}
        shown = []
        for line in lines:
            where = (line.partner, line.branch_code)
            if where not in named:
                named[where] = branches.name_of(session, *where)
            shown.append(
                Row(
                    line.order_no, line.masked_name, line.number_tail, state_name(line.state),
                    named[where], dates.last_day(line.due_ms) if line.due_ms else None, line.late,
                    line.reject_code or "",
                )
            )  # fmt: skip
    pages = max(1, -(-counts[name] // worklists.PAGE))
    known = {key: count if asker.everywhere else None for key, count in counts.items()}
    return WorkPage(name, known, shown, page, pages)


@dataclass(frozen=True, slots=True)
class FoundPerson:
    """Somebody a search may mean, masked."""

    id: int
    masked_name: str
    masked_number: str
    state: Name | None


def find_people(
    database: Database, store: KeyStore, asker: Asker, query: str, now_ms: int
) -> list[FoundPerson]:
    """Search for people; that somebody searched, not for what, is on the audit trail."""
    with database.writing() as session:
        ids = search.find(session, store, query)
        kept = [one for one in ids if asker.everywhere or _reached(session, asker, one)]
        audit.record(session, now_ms, asker.actor, "cards.searched", "volunteer:*", found=len(kept))
        found = []
        for volunteer_id in kept:
            person = session.get_one(Volunteer, volunteer_id)
            state = session.scalar(
                sa.select(CardOrder.state)
                .where(CardOrder.volunteer_id == volunteer_id)
                .order_by(CardOrder.id.desc())
                .limit(1)
            )
            found.append(
                FoundPerson(
                    person.id, person.masked_name, masked_number(person.number),
                    state_name(state) if state else None,
                )
            )  # fmt: skip
    return found


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of an order, in words."""

    at: datetime
    event: Name
    to: Name
    actor: str
    cause: str


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One order with its steps, what is due, and what may be said of it."""

    order_no: str
    volunteer_id: int
    masked_name: str
    masked_number: str
    kind: str
    carrier: str
    reason: str
    branch: str
    state: Name
    final: bool
    dues: list[tuple[Name, datetime]]
    deadlines: dict[str, date]
    steps: list[StepRow]
    vest: str
    reject_code: str
    sayings: list[tuple[str, Name]]
    reissue: str


def read_order(database: Database, order_no: str, asker: Asker, now_ms: int) -> OrderPage:
    """Read an order; the reading is on the audit trail.

    Raises:
        NotFound: there is none, or it is out of reach.
    """
    with database.writing() as session:
        order = _order(session, order_no, asker)
        person = session.get_one(Volunteer, order.volunteer_id)
        audit.record(
            session, now_ms, asker.actor, "cardorder.viewed", f"cardorder:{order.order_no}"
        )
        return order_page(session, order, person)


def order_page(session: Session, order: CardOrder, person: Volunteer) -> OrderPage:
    """Put what is shown of an order into words."""
    found = order_history(session, order)
    ways = {row.event for row in rows() if row.state == order.state and BY_STAFF in row.sources}
    return OrderPage(
        order_no=order.order_no,
        volunteer_id=order.volunteer_id,
        masked_name=person.masked_name,
        masked_number=masked_number(person.number),
        kind=order.kind,
        carrier=order.carrier or "",
        reason=order.reason,
        branch=branches.name_of(session, order.partner, order.branch_code),
        state=state_name(order.state),
        final=order.state in ("replaced", "cut_closed", "cancelled"),
        dues=[(Name(*DUE_NAMES[due.kind]), _moment(due.raised_ms)) for due in found.dues],
        deadlines=_deadlines(order),
        steps=[
            StepRow(
                _moment(step.at_ms), Name(*EVENT_NAMES[step.event]), state_name(step.to_state),
                step.actor, step.cause_ref,
            )
            for step in found.steps
        ],
        vest=found.vest.state if found.vest else "",
        reject_code=order.reject_code or "",
        sayings=[(one, Name(*EVENT_NAMES[one])) for one in SAYINGS if one in ways],
        reissue=_REASON_OF.get(order.state, "") if order.state in ENDED else "",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Saying:
    """What staff say of an order on its page, and why."""

    event: str
    reason: str
    id_checked: bool = False


def say(database: Database, order_no: str, saying: Saying, asker: Asker, now_ms: int) -> Result:
    """Apply what staff say; the reason stands with the step as its cause.

    Raises:
        NotFound: there is no such order, it is out of reach, or nobody says this on a page.
    """
    with database.writing() as session:
        order = _order(session, order_no, asker)
        if saying.event not in (*SAYINGS, REISSUE_REQUESTED):
            raise NotFound
        detail = Detail(
            reason=_REASON_OF.get(order.state, "LOST"), branch=order.branch_code,
            id_checked=saying.id_checked,
        )  # fmt: skip
        told = CardEvent(
            order_no, saying.event, now_ms, f"page:{now_ms}:{saying.reason}"[:120], BY_STAFF,
            asker.actor, None, detail,
        )  # fmt: skip
        return events.apply(session, told, now_ms)


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """What a bulk action would do to one order, in words; `why` says why nothing."""

    order_no: str
    masked_name: str
    state: Name
    to: Name | None
    why: Name | None


def preview(
    database: Database, action: str, order_nos: Sequence[str], asker: Asker
) -> list[PreviewRow]:
    """Say what a bulk action would do to the orders in reach.

    Raises:
        Refused: there is no such action, or too many orders.
    """
    with database.reading() as session:
        return [
            PreviewRow(
                one.order_no, one.masked_name, state_name(one.state),
                state_name(one.to) if one.to else None,
                Name(*CODES[one.code]) if one.code else None,
            )
            for one in bulk.preview(session, action, _in_reach(session, order_nos, asker))
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class BulkRow:
    """One bulk action of late."""

    id: int
    action: Name
    orders: int
    done: int
    reason: str
    actor: str
    state: str
    effective: datetime


def begin_bulk(database: Database, wanted: bulk.Wanted, asker: Asker, now_ms: int) -> int:
    """Begin a bulk action; return its number.

    Raises:
        Refused: nothing it could be done to, or no reason.
    """
    with database.writing() as session:
        reached = _in_reach(session, wanted.order_nos, asker)
        kept = bulk.Wanted(wanted.action, reached, wanted.reason)
        return bulk.begin(session, kept, asker.actor, now_ms).id


def undo_bulk(database: Database, bulk_id: int, asker: Asker, now_ms: int) -> None:
    """Call a bulk action off.

    Raises:
        Refused: it took effect, or there is none.
    """
    with database.writing() as session:
        bulk.undo(session, bulk_id, asker.actor, now_ms)


def read_bulks(database: Database) -> list[BulkRow]:
    """Read the newest bulk actions."""
    with database.reading() as session:
        return [_bulk(row) for row in bulk.lately(session)]


def state_name(state: str) -> Name:
    """Return what a state of an order is called."""
    return Name(*STATE_NAMES[state])


def _bulk(row: BulkAction) -> BulkRow:
    done = sum(code == "applied" for code in row.results.values())
    return BulkRow(
        row.id, Name(*EVENT_NAMES[row.action]), len(row.orders), done, row.reason, row.actor,
        row.state, _moment(row.effective_ms),
    )  # fmt: skip


def _order(session: Session, order_no: str, asker: Asker) -> CardOrder:
    order = session.scalar(sa.select(CardOrder).where(CardOrder.order_no == order_no))
    if order is None or not (asker.everywhere or _reached(session, asker, order.volunteer_id)):
        raise NotFound
    return order


def _in_reach(session: Session, order_nos: Sequence[str], asker: Asker) -> Sequence[str]:
    if asker.everywhere:
        return order_nos
    owners = session.execute(
        sa.select(CardOrder.order_no, CardOrder.volunteer_id).where(
            CardOrder.order_no.in_(order_nos)
        )
    )
    return [row.order_no for row in owners if _reached(session, asker, row.volunteer_id)]


def _reached(session: Session, asker: Asker, volunteer_id: int) -> bool:
    return asker.reaches(place_of_volunteer(session, volunteer_id))


def _deadlines(order: CardOrder) -> dict[str, date]:
    found = {
        "make": order.due_make_ms, "notice": order.due_notice_ms, "branch": order.due_branch_ms,
    }  # fmt: skip
    days = {name: dates.last_day(at_ms) for name, at_ms in found.items() if at_ms is not None}
    if order.valid_to is not None:
        days["valid"] = order.valid_to
    return days


def _moment(at_ms: int) -> datetime:
    return local(at_ms, DEFAULT_ZONE_QUARTERS)
