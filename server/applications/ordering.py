# SPDX-License-Identifier: Apache-2.0
"""What card making needs of applicants: who may have a card made, and what they chose.

A choice of carrier and branch is free until it stands in an order; then it is frozen.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from keys.verify import same
from server.applications import records, settings
from server.applications.branches import day_of, is_open
from server.applications.documents import Document, fault_of
from server.applications.errors import Faulty
from server.applications.models import Application, ApplicationPhoto
from server.applications.policy import ENDED_STATES, Carrier, Fault, State, age_reached
from server.applications.settings import By
from server.errors import Refused
from server.people import audit, personal
from server.people.models import Volunteer
from server.people.policy import is_volunteer_number
from server.people.services import find_volunteer

PIECE = 1_000


@dataclass(frozen=True, slots=True)
class Orderable:
    """A volunteer for whom a first card may be ordered."""

    volunteer_id: int
    number: str
    carrier: str
    branch_code: str
    photo_sha256: bytes


def orderable(session: Session, after: int, limit: int) -> list[Orderable]:
    """List volunteers whose card was not ordered yet, by row number, behind `after` (0: all).

    Only official numbers: an applicant's preliminary number makes no card.
    """
    photo = (
        sa.select(ApplicationPhoto.application_id, sa.func.max(ApplicationPhoto.id).label("id"))
        .group_by(ApplicationPhoto.application_id)
        .subquery()
    )
    rows = session.execute(
        sa.select(
            Volunteer.id, Volunteer.number, Application.carrier, Application.branch_code,
            ApplicationPhoto.sha256,
        )
        .join(Application, Application.volunteer_id == Volunteer.id)
        .join(photo, photo.c.application_id == Application.id)
        .join(ApplicationPhoto, ApplicationPhoto.id == photo.c.id)
        .where(
            Application.state == State.APPROVED,
            Application.frozen_ms.is_(None),
            Volunteer.erased_ms.is_(None),
            Volunteer.id > after,
        )
        .order_by(Volunteer.id)
        .limit(limit)
    )  # fmt: skip
    return [
        Orderable(person, number, carrier, branch or "", sha256)
        for person, number, carrier, branch, sha256 in rows
        if is_volunteer_number(number)
    ]


def freeze(session: Session, volunteer_ids: Collection[int], now_ms: int) -> int:
    """Freeze the choices of people whose cards are being ordered; return how many were free."""
    ordered, frozen = sorted(set(volunteer_ids)), 0
    for low in range(0, len(ordered), PIECE):
        result = session.execute(
            sa.update(Application)
            .where(
                Application.volunteer_id.in_(ordered[low : low + PIECE]),
                Application.state == State.APPROVED,
                Application.frozen_ms.is_(None),
            )
            .values(frozen_ms=now_ms)
            .returning(Application.id)
            .execution_options(synchronize_session=False)
        )
        frozen += len(result.all())
    return frozen


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody chooses for the card."""

    carrier: Carrier
    branch_code: str


def choose(session: Session, store: KeyStore, volunteer_id: int, choice: Choice, by: By) -> None:
    """Change carrier and branch while nothing is ordered, such as when a branch has closed.

    Raises:
        Faulty: the branch is closed, or the carrier is not for somebody so young.
        Refused: there is no application, it has ended, or the choice stands in an order.
    """
    application = records.newest(session, volunteer_id)
    if application is None or application.state in ENDED_STATES:
        raise Refused("no-application", "没有申请", "there is no application")
    if application.frozen_ms is not None:
        raise Refused(
            "choice-frozen", "已送制卡，不能再改", "the card is being made: the choice stands"
        )
    faults = []
    if not is_open(session, choice.branch_code or None, day_of(by.now_ms)):
        faults.append(
            Fault("branch_code", "branch", "请选择开放的领证网点", "choose a branch that is open")
        )
    if choice.carrier is Carrier.CREDIT:
        faults += _credit_fault(session, store, volunteer_id, by)
    if faults:
        raise Faulty(tuple(faults))
    application.carrier, application.branch_code = choice.carrier, choice.branch_code or None
    application.changed_ms = by.now_ms
    session.flush()
    audit.record(
        session, by.now_ms, by.actor, "application.chosen", f"application:{application.id}",
        carrier=choice.carrier, branch=choice.branch_code,
    )  # fmt: skip


def recognise(
    session: Session, store: KeyStore, number: str, document: Document, by: By
) -> Volunteer:
    """Find a volunteer again by number and document, for a new card after a loss.

    The record stays where it is: the new card is bound to the same number.

    Raises:
        Refused: the two do not belong together; which of them is wrong is not said.
    """
    wrong = Refused(
        "not-recognised", "义工号与证件不符", "number and document do not belong together"
    )
    if fault_of(document, day_of(by.now_ms)) is not None:
        raise wrong
    key = records.fingerprints(session, store)
    shown = records.document_fingerprint(key, document)
    try:
        volunteer = find_volunteer(session, number)
    except Refused as error:
        raise wrong from error
    application = records.newest(session, volunteer.id)
    kept = (application.document_fingerprint if application else None) or b"\0" * len(shown)
    found = same(kept, shown)
    audit.record(
        session, by.now_ms, by.actor, "volunteer.recognised", f"volunteer:{number}", found=found
    )
    if not found:
        raise wrong
    return volunteer


def _credit_fault(session: Session, store: KeyStore, volunteer_id: int, by: By) -> list[Fault]:
    rules = settings.current_rules(session)
    volunteer = session.get_one(Volunteer, volunteer_id)
    birth = personal.opened_identity(personal.key_of(session, store, volunteer), volunteer).birth
    day = age_reached(birth, rules.credit_age_min, rules)
    if day <= day_of(by.now_ms):
        return []
    least = rules.credit_age_min
    return [
        Fault(
            "carrier", "credit-age", f"未满 {least} 周岁只能选择借记卡",
            f"under {least} years only a debit card can be chosen",
        )
    ]  # fmt: skip
