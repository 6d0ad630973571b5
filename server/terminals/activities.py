# SPDX-License-Identifier: Apache-2.0
"""Activities asked for by one person and approved by another; once, or repeated.

Terminals hear of an activity only once it is approved. An application that nobody decided before
its first time is over has expired. Every function works inside the caller's unit of work, writes
its audit line there, and steps the version of the site's configuration where terminals must hear.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.people import audit, sequences
from server.structure.rights import Reach
from server.terminals.models import Activity, ActivityApplication, Site
from server.terminals.places import site_in_reach
from server.terminals.services import CONFIG, find_site

DAY_MS = 24 * 3_600_000
LENGTH_MAX_MS = 7 * DAY_MS  # a camp of a week; longer ones are planned by the day
AHEAD_MAX_MS = 366 * DAY_MS  # nobody plans further, and a slip of the year is found
TIMES_MAX = 60  # a weekly activity for more than a year; a site's terminals hold 200 activities
EVERY_DAYS_MAX = 31
CAPACITY_MAX = 10_000
NAME_MAX, REASON_MIN, REASON_MAX = 64, 4, 200
WAITING_MAX = 500  # of one site; who needs more decides on what waits first
CODE = re.compile(r"[A-Z0-9]{1,12}", re.ASCII)

APPLIED, APPROVED, REFUSED, CANCELLED, EXPIRED = (
    "applied", "approved", "refused", "cancelled", "expired",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wish:
    """An activity somebody wants: instants ms UTC of the first time, and how it repeats."""

    site_id: int
    code: str
    name_zh: str
    name_en: str
    start_ms: int
    end_ms: int
    every_days: int = 0
    times: int = 1
    planned_min: int = 0
    capacity: int | None = None
    minors: bool = True


def apply(session: Session, wish: Wish, actor: str, now_ms: int) -> ActivityApplication:
    """File an application.

    Raises:
        Refused: the wish breaks a rule, or too many of the site wait already.
    """
    site = find_site(session, wish.site_id)
    _check(wish, now_ms)
    waiting = sa.select(sa.func.count()).where(
        ActivityApplication.site_id == site.id,
        ActivityApplication.state == APPLIED,
        ActivityApplication.end_ms > now_ms,
    )
    if session.scalars(waiting).one() >= WAITING_MAX:
        raise Refused("waiting", "等待审批的申请太多", "too many applications wait for a decision")
    made = ActivityApplication(
        site_id=site.id, code=wish.code, name_zh=wish.name_zh.strip(),
        name_en=wish.name_en.strip(), start_ms=wish.start_ms, end_ms=wish.end_ms,
        every_days=wish.every_days, times=wish.times, planned_min=wish.planned_min,
        capacity=wish.capacity, minors=wish.minors, state=APPLIED, applied_by=person(actor),
        applied_ms=now_ms,
    )  # fmt: skip
    session.add(made)
    session.flush()
    subject = f"activity-application:{made.id}"
    audit.record(session, now_ms, actor, "activity.applied", subject, site=site.id)
    return made


def approve(session: Session, application_id: int, actor: str, now_ms: int) -> Sequence[Activity]:
    """Approve an application; return the activities it became.

    Raises:
        Refused: it is the applicant who wants to approve, it was decided or has expired, or the
            code is taken at the site.
    """
    found = _undecided(session, application_id, actor, now_ms)
    codes = [_code(found, number) for number in range(found.times)]
    taken = session.scalar(
        sa.select(Activity.code)
        .where(Activity.site_id == found.site_id, Activity.code.in_(codes))
        .limit(1)
    )
    if taken is not None:
        raise Refused("code-taken", f"活动代码 {taken} 已被使用", f"the code {taken} is taken")
    found.state, found.decided_by, found.decided_ms = APPROVED, person(actor), now_ms
    made = [_activity(found, number, code) for number, code in enumerate(codes)]
    session.add_all(made)
    session.get_one(Site, found.site_id).config_version = sequences.next_value(session, CONFIG)
    session.flush()
    audit.record(
        session, now_ms, actor, "activity.approved", f"activity-application:{found.id}",
        activities=len(made), first=made[0].id,
    )  # fmt: skip
    return made


def refuse(
    session: Session, application_id: int, reason: str, actor: str, now_ms: int
) -> ActivityApplication:
    """Refuse an application, with a reason that the applicant reads."""
    found = _undecided(session, application_id, actor, now_ms)
    found.reason = _reason(reason)
    found.state, found.decided_by, found.decided_ms = REFUSED, person(actor), now_ms
    subject = f"activity-application:{found.id}"
    audit.record(session, now_ms, actor, "activity.refused", subject, reason=found.reason)
    return found


def cancel(
    session: Session, application_id: int, reason: str, actor: str, now_ms: int
) -> ActivityApplication:
    """Take an application back, or call off what of an approved one has not begun.

    Who applied may do it as well as who approves; what has begun stays, people have tapped.
    """
    found = find(session, application_id)
    said = _reason(reason)
    if found.state not in (APPLIED, APPROVED):
        raise Refused("decided", "此申请已结束", "this application is over")
    if found.state == APPROVED and not _call_off(session, found, now_ms):
        raise Refused("begun", "所有场次均已开始", "every time of it has begun")
    found.state, found.reason = CANCELLED, said
    found.decided_by, found.decided_ms = person(actor), now_ms
    subject = f"activity-application:{found.id}"
    audit.record(session, now_ms, actor, "activity.cancelled", subject, reason=said)
    return found


def find(session: Session, application_id: int) -> ActivityApplication:
    """Return an application, its row locked, or refuse."""
    found = session.get(ActivityApplication, application_id, with_for_update=True)
    if found is None:
        raise Refused("unknown-application", "没有这个申请", f"no application {application_id}")
    return found


def listing(
    session: Session, within: Reach, now_ms: int, *, waiting: bool = False, limit: int = 200
) -> list[tuple[ActivityApplication, Site]]:
    """Return applications for sites in reach, the newest first; those that wait: soonest first."""
    row = ActivityApplication
    statement = (
        sa.select(row, Site)
        .join(Site, Site.id == row.site_id)
        .where(site_in_reach(session, within))
        .limit(limit)
    )
    if waiting:
        statement = statement.where(row.state == APPLIED, row.end_ms > now_ms)
        statement = statement.order_by(row.start_ms, row.id)
    else:
        statement = statement.order_by(row.id.desc())
    return [(each[0], each[1]) for each in session.execute(statement)]


def activities_of(session: Session, application_id: int) -> list[Activity]:
    """Return what an application became, in the order of time."""
    statement = sa.select(Activity).where(Activity.application_id == application_id)
    return list(session.scalars(statement.order_by(Activity.start_ms, Activity.id)))


def state_now(application: ActivityApplication, now_ms: int) -> str:
    """Return an application's state; one that nobody decided in time has expired."""
    if application.state == APPLIED and application.end_ms <= now_ms:
        return EXPIRED
    return application.state


def person(actor: str) -> str:
    """Return a user's name, however an actor names the user.

    >>> person("user:li"), person("li")
    ('li', 'li')
    """
    return actor.removeprefix("user:")


def _check(wish: Wish, now_ms: int) -> None:
    if not CODE.fullmatch(wish.code):
        raise Refused("activity-code", "活动代码为 1 至 12 位大写字母或数字",
                      "a code has 1 to 12 of A-Z and 0-9")  # fmt: skip
    if not (0 < len(wish.name_zh.strip()) <= NAME_MAX and len(wish.name_en) <= NAME_MAX):
        raise Refused("name-length", "名称太长或为空", f"a name has 1 to {NAME_MAX} characters")
    if not 0 < wish.end_ms - wish.start_ms <= LENGTH_MAX_MS:
        raise Refused("activity-time", "活动结束须晚于开始，且不超过 7 天",
                      "an activity ends after it starts and lasts a week at most")  # fmt: skip
    if not now_ms < wish.end_ms <= now_ms + AHEAD_MAX_MS:
        raise Refused("activity-past", "活动须在未来一年之内", "an activity lies in the next year")
    repeats = wish.times > 1
    if not 1 <= wish.times <= TIMES_MAX or (repeats and not 1 <= wish.every_days <= EVERY_DAYS_MAX):
        raise Refused("repeat", f"最多 {TIMES_MAX} 次，间隔 1 至 {EVERY_DAYS_MAX} 天",
                      f"at most {TIMES_MAX} times, {EVERY_DAYS_MAX} days apart")  # fmt: skip
    if repeats and wish.every_days * DAY_MS < wish.end_ms - wish.start_ms:
        raise Refused("overlap", "两次活动重叠", "one time overlaps the next")
    if wish.capacity is not None and not 1 <= wish.capacity <= CAPACITY_MAX:
        raise Refused("capacity", f"人数为 1 至 {CAPACITY_MAX}", f"1 to {CAPACITY_MAX} people")
    if not 0 <= wish.planned_min <= LENGTH_MAX_MS // 60_000:
        raise Refused("planned", "计划时长不对", "the planned minutes are wrong")


def _undecided(
    session: Session, application_id: int, actor: str, now_ms: int
) -> ActivityApplication:
    found = find(session, application_id)
    state = state_now(found, now_ms)
    if state == EXPIRED:
        raise Refused("expired", "申请已过期，请重新申请", "it has expired: apply again")
    if state != APPLIED:
        raise Refused("decided", "此申请已有结果", "this application was decided")
    if found.applied_by == person(actor):
        raise Refused("same-person", "申请人不能审批自己的申请", "nobody decides on an own wish")
    return found


def _activity(found: ActivityApplication, number: int, code: str) -> Activity:
    later_ms = number * found.every_days * DAY_MS
    return Activity(
        site_id=found.site_id, code=code, name_zh=found.name_zh, name_en=found.name_en,
        start_ms=found.start_ms + later_ms, end_ms=found.end_ms + later_ms, family=found.code,
        planned_min=found.planned_min, minors=found.minors, application_id=found.id,
        capacity=found.capacity,
    )  # fmt: skip


def _code(found: ActivityApplication, number: int) -> str:
    """Return the code of one time: the first has the code itself, later ones a number behind."""
    return found.code if number == 0 else f"{found.code}{number + 1:02d}"


def _call_off(session: Session, found: ActivityApplication, now_ms: int) -> bool:
    """Call off the times that have not begun; tell whether there were any."""
    ahead = [
        each
        for each in activities_of(session, found.id)
        if each.start_ms > now_ms and each.cancelled_ms is None
    ]
    for each in ahead:
        each.cancelled_ms = now_ms
    if ahead:
        session.get_one(Site, found.site_id).config_version = sequences.next_value(session, CONFIG)
    return bool(ahead)


def _reason(text: str) -> str:
    said = text.strip()
    if not REASON_MIN <= len(said) <= REASON_MAX:
        raise Refused("reason", f"请说明理由（至少 {REASON_MIN} 字）",
                      f"give a reason of {REASON_MIN} to {REASON_MAX} characters")  # fmt: skip
    return said
