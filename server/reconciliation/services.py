# SPDX-License-Identifier: Apache-2.0
"""Derive people's service time and take leaders' decisions; each call inside one unit of work."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple, dataclass

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from server.errors import Refused
from server.people import audit
from server.people.models import Volunteer
from server.people.services import mark_dirty
from server.reconciliation.corrections import Said, write
from server.reconciliation.credit import approvable
from server.reconciliation.loading import load_corrected
from server.reconciliation.models import (
    Correction,
    ReconException,
    ServiceInterval,
    TrainingRecord,
)
from server.reconciliation.parameters import MINUTE_MS
from server.reconciliation.policy import DEFAULT_POLICY, Policy, judge_arrays
from server.reconciliation.rules_set import CLONE_RULE, list_clones
from server.reconciliation.storing import store_exceptions, store_intervals, store_training
from server.reconciliation.training import CLASS_MINUTES, class_hours, list_training
from server.rows import among
from server.rows import hold as take_lock

# One derivation at a time, so that two never take `current` from each other's rows.
DERIVING_LOCK = 0x59494B42
# Volunteers derived at once: some hundred MB, some seconds of one processor.
SLAB = 20_000
# Both ends of these are known or capped by the plan: a leader's word makes them B, not A.
GRADE_B_RULES = frozenset({12, 52})


@dataclass(frozen=True, slots=True)
class Summary:
    """What one derivation did."""

    persons: int
    intervals: int
    exceptions: int
    new_intervals: int
    new_exceptions: int

    def plus(self, other: Summary) -> Summary:
        """Return what both together did."""
        return Summary(*(sum(pair) for pair in zip(astuple(self), astuple(other), strict=True)))


NOTHING = Summary(0, 0, 0, 0, 0)


def reconcile(
    session: Session,
    persons: Collection[int] | None,
    now_ms: int,
    policy: Policy = DEFAULT_POLICY,
) -> Summary:
    """Derive the given volunteers (None: everybody, minors through their guardians included)."""
    hold(session)
    if persons is not None:
        return _derived(session, _with_wards(session, persons), now_ms, policy)
    done, after = NOTHING, 0
    while slab := next_slab(session, after):
        done, after = done.plus(_derived(session, slab, now_ms, policy)), slab[-1]
    return done


def reconcile_slab(
    session: Session, after: int, now_ms: int, policy: Policy = DEFAULT_POLICY
) -> tuple[Summary, list[int]]:
    """Derive the volunteers that follow one, as many as fit into memory; return who they are."""
    hold(session)
    slab = next_slab(session, after)
    return (_derived(session, slab, now_ms, policy), slab) if slab else (NOTHING, slab)


def hold(session: Session) -> None:
    """Let nobody else derive until this unit of work ends; SQLite has a single writer anyway."""
    take_lock(session, DERIVING_LOCK)


def next_slab(session: Session, after: int) -> list[int]:
    """Return the volunteers that follow one, by number, as many as fit into memory."""
    following = sa.select(Volunteer.id).where(Volunteer.id > after).order_by(Volunteer.id)
    return list(session.scalars(following.limit(SLAB)))


def _derived(session: Session, wanted: Collection[int], now_ms: int, policy: Policy) -> Summary:
    loaded, times = load_corrected(session, wanted, policy)
    result = judge_arrays(loaded.history, times, now_ms, policy)
    summary = Summary(
        persons=int(loaded.history.persons["derive"].sum()),
        intervals=len(result.intervals),
        exceptions=len(result.exceptions),
        new_intervals=store_intervals(session, loaded, result, wanted, now_ms),
        new_exceptions=store_exceptions(session, loaded, result, wanted, now_ms),
    )
    trained = list_training(loaded.history, policy, times)
    store_training(session, loaded, trained, wanted, now_ms)
    if (result.exceptions["rule"] == CLONE_RULE).any():
        list_clones(session, now_ms)
    return summary


def training(session: Session, volunteer_id: int, unit_minutes: int = CLASS_MINUTES) -> int:
    """Return a volunteer's whole class-hours of training, of so many minutes each."""
    minutes = training_minutes(session, [volunteer_id]).get(volunteer_id, 0)
    return class_hours(minutes, unit_minutes)


def training_minutes(session: Session, persons: Collection[int]) -> dict[int, int]:
    """Return the minutes of training of some people; who has none is not in it."""
    return _sums(session, TrainingRecord.person, TrainingRecord.minutes, persons)


def service_minutes(session: Session, volunteer_id: int, since_ms: int = 0) -> int:
    """Return a volunteer's credited minutes of services that began at an instant or later."""
    return service_minutes_of(session, [volunteer_id], since_ms).get(volunteer_id, 0)


def service_minutes_of(
    session: Session, persons: Collection[int], since_ms: int = 0
) -> dict[int, int]:
    """Return the credited minutes of some people since an instant; who has none is not in it."""
    since = ServiceInterval.start_ms >= since_ms
    credited = ServiceInterval.credited_minutes
    return _sums(session, ServiceInterval.person, credited, persons, since)


def _sums(
    session: Session,
    person: InstrumentedAttribute[int],
    minutes: InstrumentedAttribute[int],
    persons: Collection[int],
    *also: sa.ColumnElement[bool],
) -> dict[int, int]:
    """Sum minutes of current rows person by person."""
    current = person.class_.current
    part = among(session, person, sorted(set(persons)))
    sums = sa.select(person, sa.func.sum(minutes)).where(current, part, minutes > 0, *also)
    return {number: int(total) for number, total in session.execute(sums.group_by(person))}


def _with_wards(session: Session, persons: Collection[int]) -> set[int]:
    """Add the minors whose guardian is among them: the guardian's taps decide their hours."""
    found = set(persons)
    wards = sa.select(Volunteer.id).where(among(session, Volunteer.guardian_id, sorted(found)))
    return found | set(session.scalars(wards))


def queue_for_ledger(session: Session, persons: Collection[int] | None) -> None:
    """Queue people (None: everybody) so that the worker posts what changed."""
    if persons is None:
        persons = list(session.scalars(sa.select(Volunteer.id)))
    mark_dirty(session, persons)


def approve(
    session: Session,
    number: int,
    span_ms: tuple[int, int],
    said: Said,
) -> Correction:
    """Credit the span a leader approves for an exception; the rules cap it.

    Raises:
        Refused: nothing waits under this number, the rule is not a leader's to set aside, or the
            span is empty or beyond the proposal.
    """
    made = decide_credit(session, number, span_ms, said)
    reconcile(session, [made.person], said.now_ms)
    return made


def decide_credit(
    session: Session, number: int, span_ms: tuple[int, int], said: Said, second: str | None = None
) -> Correction:
    """Write the decision of `approve` without deriving anew; `second` approved it after `said`.

    Raises:
        Refused: as `approve`; nothing was written.
    """
    waiting = _waiting(session, number)
    if not approvable(waiting.rule):
        raise Refused(
            "not-approvable",
            "这类异常不能由负责人批准，只能驳回或交管理员核查",
            f"rule {waiting.rule} is not a leader's to set aside: reject it or ask staff",
        )
    start, end = span_ms
    if end <= start:
        raise Refused("empty-span", "结束须晚于开始", "an end comes after its start")
    low, high = waiting.proposed_start_ms, waiting.proposed_end_ms
    if (low is not None and start < low) or (high is not None and end > high):
        raise Refused(
            "beyond-proposal", "只能在建议的时段以内批准", "approve within the proposed span"
        )
    minutes = (end - start) // MINUTE_MS
    grade = "B" if waiting.rule in GRADE_B_RULES else "C"
    credit = (start, end, minutes, grade)
    return _decide(session, waiting, "approved", credit, said, second)


def reject(session: Session, number: int, said: Said) -> Correction:
    """Settle an exception with nothing credited.

    Raises:
        Refused: nothing waits under this number.
    """
    waiting = _waiting(session, number)
    made = _decide(session, waiting, "rejected", (None, None, 0, "C"), said)
    reconcile(session, [waiting.person], said.now_ms)
    return made


def _waiting(session: Session, number: int) -> ReconException:
    found = session.get(ReconException, number, with_for_update=True)
    if found is None:
        raise Refused("unknown-exception", "没有这条异常", f"no exception {number}")
    if found.state != "open" or not found.current:
        raise Refused("exception-settled", "这条异常已经处理过了", "it is settled already")
    return found


def _decide(
    session: Session,
    waiting: ReconException,
    decision: str,
    credit: tuple[int | None, int | None, int, str],
    said: Said,
    second: str | None = None,
) -> Correction:
    start, end, minutes, grade = credit
    made = write(
        session,
        said,
        person=waiting.person,
        exception_id=waiting.id,
        rule=waiting.rule,
        terminal=waiting.terminal,
        seq=waiting.seq,
        decision=decision,
        start_ms=start,
        end_ms=end,
        minutes=minutes,
        grade=grade,
        approved_by=second or said.actor,
    )
    audit.record(
        session, said.now_ms, said.actor, f"exception.{decision}", f"exception:{waiting.id}",
        reason=said.reason,
    )  # fmt: skip
    return made
