# SPDX-License-Identifier: Apache-2.0
"""From applicant to volunteer: conditions from real taps, the decision, the official number."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from server.applications import records, settings
from server.applications.branches import day_of, is_open
from server.applications.errors import Unmet
from server.applications.models import Application
from server.applications.policy import (
    OPEN_STATES,
    Condition,
    Rules,
    Standing,
    State,
    state_of,
)
from server.applications.policy import (
    conditions as conditions_of,
)
from server.applications.settings import By
from server.errors import Refused
from server.outbox.services import Message, queue
from server.people import audit
from server.people.applicants import make_official
from server.people.models import Volunteer
from server.reconciliation import services as reconciliation
from server.reconciliation.models import TrainingRecord
from server.structure import organisations

REASON_LENGTH_MAX = 200
PIECE = 500


@dataclass(frozen=True, slots=True)
class Served:
    """What somebody's taps come to: training in hundredths of a class-hour, minutes of service."""

    training: int
    pre_service: int


def conditions(session: Session, volunteer_id: int, now_ms: int) -> tuple[Condition, ...]:
    """Return every condition of a person's approval, met or not, with its figures.

    Raises:
        Refused: the person has no application.
    """
    application = records.newest(session, volunteer_id)
    if application is None:
        raise Refused("no-application", "没有申请", "there is no application")
    rules = settings.current_rules(session)
    return _conditions(session, application, rules, now_ms)


def served(session: Session, volunteer_id: int, rules: Rules) -> Served:
    """Count somebody's training and pre-service from their taps.

    Unless the rules say otherwise, pre-service counts from the class that completed the training.
    """
    minutes = reconciliation.training_minutes(session, [volunteer_id]).get(volunteer_id, 0)
    hundredths = minutes * 100 // rules.class_hour_minutes
    since_ms = 0
    if not rules.pre_service_before_training:
        trained_ms = _trained_ms(session, volunteer_id, rules)
        if trained_ms is None:
            return Served(hundredths, 0)
        since_ms = trained_ms
    return Served(hundredths, reconciliation.service_minutes(session, volunteer_id, since_ms))


def approve(
    session: Session,
    store: KeyStore,
    application_id: int,
    actor: str,
    now_ms: int,
    reason: str = "",
) -> str:
    """Make an applicant a volunteer and return the official number.

    Raises:
        Unmet: conditions are not met; it says which.
        Refused: no such open application, or whoever entered it may not approve it.
    """
    application = _open_application(session, application_id)
    rules = settings.current_rules(session)
    if rules.two_persons and application.entered_by == actor:
        raise Refused(
            "two-persons", "录入人不能审批自己录入的申请", "who entered it may not approve it"
        )
    unmet = tuple(
        one for one in _conditions(session, application, rules, now_ms) if not one.met
    )  # fmt: skip
    if unmet:
        raise Unmet(unmet)
    volunteer = session.get_one(Volunteer, application.volunteer_id)
    if application.organisation_id is not None:
        organisations.join(session, volunteer.id, application.organisation_id, actor, now_ms)
    _decide(application, State.APPROVED, By(actor, now_ms, reason))
    # The counter of numbers stays locked until the commit, so it is taken late.
    number = make_official(session, store, volunteer, actor, now_ms)
    _tell(session, application, "application.approved", {"number": number}, now_ms)
    audit.record(
        session, now_ms, actor, "application.approved", f"application:{application.id}",
        number=number, reason=reason.strip(),
    )  # fmt: skip
    return number


def reject(session: Session, application_id: int, actor: str, now_ms: int, reason: str) -> None:
    """Turn an application down, with a reason; the person may complete it and apply again.

    Raises:
        Refused: no such open application, or no reason.
    """
    application = _open_application(session, application_id)
    _end(session, application, State.REJECTED, By(actor, now_ms, reason))
    _tell(session, application, "application.rejected", {"reason": reason.strip()[:100]}, now_ms)


def withdraw(session: Session, application_id: int, by: By) -> None:
    """Take an application back at the applicant's wish; taps and hours stay theirs.

    Raises:
        Refused: no such open application, or no reason.
    """
    _end(session, _open_application(session, application_id), State.WITHDRAWN, by)


def refresh(session: Session, volunteer_ids: Collection[int] | None, now_ms: int) -> int:
    """Move open applications to where their conditions put them; return how many moved.

    `volunteer_ids` None looks at everybody.
    """
    moved = 0
    waiting = list(_waiting(session, volunteer_ids))
    rules = settings.current_rules(session) if waiting else Rules()
    for application in waiting:
        found = _conditions(session, application, rules, now_ms)
        training = next(one.have for one in found if one.code == "training")
        state = state_of(found, training)
        if state != application.state:
            application.state, application.changed_ms = state, now_ms
            moved += 1
    session.flush()
    return moved


def _waiting(session: Session, volunteer_ids: Collection[int] | None) -> Iterator[Application]:
    """Give the open applications of some people, or of everybody."""
    wanted = sa.select(Application).where(Application.state.in_(OPEN_STATES))
    if volunteer_ids is None:
        yield from session.scalars(wanted.order_by(Application.id)).all()
        return
    ordered = sorted(set(volunteer_ids))
    for low in range(0, len(ordered), PIECE):
        part = Application.volunteer_id.in_(ordered[low : low + PIECE])
        yield from session.scalars(wanted.where(part).order_by(Application.id)).all()


def _conditions(
    session: Session, application: Application, rules: Rules, now_ms: int
) -> tuple[Condition, ...]:
    volunteer = session.get_one(Volunteer, application.volunteer_id)
    done = served(session, volunteer.id, rules)
    standing = Standing(
        training=done.training,
        pre_service=done.pre_service,
        has_photo=records.newest_photo(session, application.id) is not None,
        minor=(volunteer.minor_until_ms or 0) > now_ms,
        has_guardian=volunteer.guardian_id is not None,
        branch_open=is_open(session, application.branch_code, day_of(now_ms)),
        missing=settings.missing_agreements(session, volunteer.id),
    )
    return conditions_of(standing, rules)


def _trained_ms(session: Session, volunteer_id: int, rules: Rules) -> int | None:
    """Return when the training was complete, None while it is not; 0 where none is needed."""
    need = -(-rules.training_hundredths * rules.class_hour_minutes // 100)
    if need <= 0:
        return 0
    rows = session.execute(
        sa.select(TrainingRecord.end_ms, TrainingRecord.minutes)
        .where(
            TrainingRecord.person == volunteer_id,
            TrainingRecord.current,
            TrainingRecord.minutes > 0,
        )
        .order_by(TrainingRecord.end_ms)
    )
    total = 0
    for end_ms, minutes in rows:
        total += minutes
        if total >= need and end_ms is not None:
            return int(end_ms)
    return None


def _open_application(session: Session, application_id: int) -> Application:
    found = session.get(Application, application_id, with_for_update=True)
    if found is None:
        raise Refused("unknown-application", "没有这份申请", f"no application {application_id}")
    if found.state not in OPEN_STATES:
        raise Refused(
            "application-decided",
            "这份申请已经办结",
            f"application {application_id} is {found.state}",
        )
    return found


def _end(session: Session, application: Application, state: State, by: By) -> None:
    reason = by.reason.strip()
    if not 0 < len(reason) <= REASON_LENGTH_MAX:
        raise Refused("reason", "请说明原因", f"say why, in at most {REASON_LENGTH_MAX} characters")
    _decide(application, state, by)
    session.flush()
    audit.record(
        session, by.now_ms, by.actor, f"application.{state}", f"application:{application.id}",
        reason=reason,
    )  # fmt: skip


def _decide(application: Application, state: State, by: By) -> None:
    application.state = state
    application.decided_by = by.actor
    application.decided_ms = application.changed_ms = by.now_ms
    application.reason = by.reason.strip()[:REASON_LENGTH_MAX] or None


def _tell(
    session: Session, application: Application, kind: str, params: dict[str, str], now_ms: int
) -> None:
    once = f"{kind}/{application.id}"
    queue(session, Message(kind, application.volunteer_id, once, params), now_ms)
