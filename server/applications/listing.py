# SPDX-License-Identifier: Apache-2.0
"""Lists of applications for the people who decide, masked; and one of them with all it needs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.applications import records
from server.applications.deciding import conditions
from server.applications.entering import masked, namesakes
from server.applications.models import Application, ApplicationPhoto
from server.applications.policy import OPEN_STATES, Condition, Fault, State
from server.errors import Refused
from server.people.models import Volunteer
from server.people.policy import is_preliminary_number, is_volunteer_number

ITEMS_MAX = 100


@dataclass(frozen=True, slots=True)
class Item:
    """One application in a list: nothing of it identifies more than a masked name."""

    id: int
    number: str
    masked_name: str
    state: str
    channel: str
    entered_by: str
    carrier: str
    branch_code: str
    organisation_id: int | None
    submitted_ms: int
    decided_by: str
    decided_ms: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Full:
    """One application with its conditions and what staff should look at."""

    item: Item
    volunteer_id: int
    document_kind: str
    document_tail: str
    conditions: tuple[Condition, ...]
    warnings: tuple[Fault, ...]
    photo_size: tuple[int, int] | None
    minor: bool
    frozen: bool


@dataclass(frozen=True, slots=True)
class Sought:
    """What a list is narrowed to; `organisations` None means all of them.

    `text` is a preliminary or official number, or the last four characters of a document.
    """

    states: tuple[State, ...] = OPEN_STATES
    organisations: Collection[int] | None = None
    text: str = ""


def list_applications(
    session: Session, sought: Sought, before: int | None = None, limit: int = ITEMS_MAX
) -> list[Item]:
    """List applications, the newest first, below a number (None: from the newest)."""
    statement = _joined().where(Application.state.in_(sought.states))
    if before is not None:
        statement = statement.where(Application.id < before)
    if sought.organisations is not None:
        statement = statement.where(Application.organisation_id.in_(sorted(sought.organisations)))
    if text := sought.text.strip().upper():
        statement = statement.where(_matches(text))
    rows = session.execute(statement.order_by(Application.id.desc()).limit(limit))
    return [_item(*row) for row in rows]


def counts(session: Session, organisations: Collection[int] | None = None) -> dict[str, int]:
    """Return how many applications stand in each state."""
    statement = sa.select(Application.state, sa.func.count()).group_by(Application.state)
    if organisations is not None:
        statement = statement.where(Application.organisation_id.in_(sorted(organisations)))
    found = dict(iter(session.execute(statement)))
    return {state: found.get(state, 0) for state in State}


def find(session: Session, application_id: int) -> Item:
    """Return one application.

    Raises:
        Refused: there is no such one.
    """
    row = session.execute(_joined().where(Application.id == application_id)).first()
    if row is None:
        raise Refused("unknown-application", "没有这份申请", f"no application {application_id}")
    return _item(*row)


def full(session: Session, application_id: int, now_ms: int) -> Full:
    """Return one application with everything a decision needs.

    Raises:
        Refused: there is no such one.
    """
    item = find(session, application_id)
    row = session.get_one(Application, application_id)
    person = session.get_one(Volunteer, row.volunteer_id)
    photo = records.newest_photo(session, row.id)
    warnings = []
    if row.person_fingerprint and row.document_fingerprint:
        warnings = namesakes(session, row.person_fingerprint, row.document_fingerprint)
    if photo is not None and photo.maybe_upscaled:
        warnings.append(
            Fault("photo", "photo-upscaled", "照片可能经过放大", "the photo may be enlarged", True)
        )
    return Full(
        item=item,
        volunteer_id=person.id,
        document_kind=row.document_kind,
        document_tail=row.document_tail,
        conditions=conditions(session, person.id, now_ms),
        warnings=tuple(warnings),
        photo_size=_size(photo),
        minor=(person.minor_until_ms or 0) > now_ms,
        frozen=row.frozen_ms is not None,
    )


def _size(photo: ApplicationPhoto | None) -> tuple[int, int] | None:
    return (photo.width, photo.height) if photo else None


def _joined() -> sa.Select[Application, str, str]:
    return sa.select(Application, Volunteer.number, Volunteer.masked_name).join(
        Volunteer, Volunteer.id == Application.volunteer_id
    )


def _matches(text: str) -> sa.ColumnElement[bool]:
    if is_preliminary_number(text):
        return Application.preliminary_number == text
    if is_volunteer_number(text):
        return Volunteer.number == text
    return Application.document_tail == text


def _item(row: Application, number: str, name: str) -> Item:
    return Item(
        id=row.id,
        number=number,
        masked_name=name,
        state=row.state,
        channel=row.channel,
        entered_by=row.entered_by,
        carrier=row.carrier,
        branch_code=row.branch_code or "",
        organisation_id=row.organisation_id,
        submitted_ms=row.submitted_ms,
        decided_by=row.decided_by or "",
        decided_ms=row.decided_ms,
        reason=row.reason or "",
    )


__all__ = ["Full", "Item", "Sought", "counts", "find", "full", "list_applications", "masked"]
