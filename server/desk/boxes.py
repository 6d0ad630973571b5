# SPDX-License-Identifier: Apache-2.0
"""A box of blank cards: the people it is for, the next card, spoilt ones, the count at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.desk import policy
from server.desk.content import Bench
from server.desk.models import DeskBox, DeskBoxLine, DeskJob, DeskStock
from server.desk.policy import Stock
from server.errors import Problem, Refused
from server.people import audit
from server.people.models import Volunteer
from server.people.services import find_volunteer

NAME_LENGTH_MAX = 80


@dataclass(frozen=True, slots=True)
class NewBox:
    """A box to open: what stands on it, how many blanks it holds, the numbers of its people."""

    name: str
    received: int
    numbers: Sequence[str]


@dataclass(frozen=True, slots=True)
class Moved:
    """A movement of blanks: what happened to how many; which card, and why."""

    what: str
    count: int = 1
    asn: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """One line of the tick list."""

    position: int
    volunteer_id: int
    masked_name: str
    number: str
    state: str
    reference: str | None
    asn: str | None


def open_box(session: Session, bench: Bench, new: NewBox) -> DeskBox:
    """Open a box; a name that is open already gives that box, if its list is the same.

    Raises:
        Refused: No name, too many or too few, a number twice or unknown, the name of another box.
    """
    name = new.name.strip()
    if not 1 <= len(name) <= NAME_LENGTH_MAX:
        raise Refused("box-name", "请填写盒号", "a box has a name")
    if not 1 <= len(new.numbers) <= policy.BOX_MAX or len(set(new.numbers)) != len(new.numbers):
        raise Refused(
            "box-list", f"名单须有 1 至 {policy.BOX_MAX} 人，且不重复",
            f"1 to {policy.BOX_MAX} people, none twice",
        )  # fmt: skip
    if not 0 <= new.received <= policy.BOX_MAX:
        raise Refused("box-count", "白卡张数不对", "that many blanks do not fit a box")
    people = [find_volunteer(session, number).id for number in new.numbers]
    for volunteer_id in people:
        bench.must_reach(session, volunteer_id)
    known = session.scalar(sa.select(DeskBox).where(DeskBox.name == name))
    if known is not None:
        listed = [line.volunteer_id for line in _lines(session, known.id)]
        if listed == people:
            return known
        raise Refused("box-name", "此盒号已用于另一名单", "the name is another box's")
    box = DeskBox(name=name, opened_by=bench.actor, opened_ms=bench.now_ms, closed_ms=None)
    session.add(box)
    session.flush()
    for position, volunteer_id in enumerate(people, 1):
        session.add(
            DeskBoxLine(
                box_id=box.id, position=position, volunteer_id=volunteer_id,
                state=policy.WAITING, job_id=None,
            )
        )  # fmt: skip
    move(session, bench, box.id, Moved(policy.RECEIVED, new.received))
    audit.record(
        session, bench.now_ms, bench.actor, "deskbox.opened", f"deskbox:{box.id}",
        received=new.received, people=len(people),
    )  # fmt: skip
    return box


def find(session: Session, bench: Bench, box_id: int) -> DeskBox:
    """Return a box.

    Raises:
        Problem: 404 there is none; 403 it is for people elsewhere.
    """
    box = session.get(DeskBox, box_id)
    if box is None:
        raise Problem(404, "no-box", "没有这盒卡", "no such box")
    if not within_reach(session, bench, box_id):
        raise Problem(
            403, "out-of-reach", "此盒不属于您的管辖范围", "this box is for people elsewhere"
        )
    return box


def within_reach(session: Session, bench: Bench, box_id: int) -> bool:
    """Say whether everybody of a box is within reach of who works here."""
    if bench.operator.reach is None:
        return True
    return all(bench.reaches(session, line.volunteer_id) for line in _lines(session, box_id))


def following(session: Session, box_id: int) -> DeskBoxLine | None:
    """Return the line the next card is for, None when nobody waits."""
    return next((line for line in _lines(session, box_id) if line.state == policy.WAITING), None)


def tick_list(session: Session, box_id: int) -> list[Tick]:
    """Return the whole list as it stands."""
    wanted = (
        sa.select(DeskBoxLine, Volunteer.masked_name, Volunteer.number, DeskJob)
        .join(Volunteer, Volunteer.id == DeskBoxLine.volunteer_id)
        .outerjoin(DeskJob, DeskJob.id == DeskBoxLine.job_id)
        .where(DeskBoxLine.box_id == box_id)
        .order_by(DeskBoxLine.position)
    )
    return [
        Tick(
            line.position, line.volunteer_id, masked_name, number, line.state,
            job.reference if job else None, job.asn if job else None,
        )
        for line, masked_name, number, job in session.execute(wanted)
    ]  # fmt: skip


def stock(session: Session, box_id: int) -> Stock:
    """Return the count of a box as of now."""
    wanted = sa.select(DeskStock.what, DeskStock.count).where(DeskStock.box_id == box_id)
    rows = session.execute(wanted.order_by(DeskStock.id))
    return policy.stock((what, count) for what, count in rows)


def spoilt(session: Session, box_id: int) -> list[tuple[str, str]]:
    """Return serial and reason of each card thrown away."""
    wanted = sa.select(DeskStock.asn, DeskStock.reason).where(
        DeskStock.box_id == box_id, DeskStock.what == policy.SPOILT
    )
    return [(asn or "", reason) for asn, reason in session.execute(wanted.order_by(DeskStock.id))]


def move(session: Session, bench: Bench, box_id: int, moved: Moved) -> None:
    """Note that blanks moved."""
    session.add(
        DeskStock(
            box_id=box_id, what=moved.what, count=moved.count, asn=moved.asn,
            reason=moved.reason, actor=bench.actor, at_ms=bench.now_ms,
        )
    )  # fmt: skip


def issued(session: Session, bench: Bench, job: DeskJob) -> None:
    """Tick the line of a job's card and take its blank out of the stock."""
    assert job.box_id is not None
    for line in session.scalars(sa.select(DeskBoxLine).where(DeskBoxLine.job_id == job.id)):
        line.state = policy.ISSUED
    move(session, bench, job.box_id, Moved(policy.USED, asn=job.asn))


def leave_out(session: Session, job: DeskJob) -> None:
    """Let the box go on without the person of a job that was given up."""
    for line in session.scalars(sa.select(DeskBoxLine).where(DeskBoxLine.job_id == job.id)):
        line.state = policy.LEFT_OUT


def close(session: Session, bench: Bench, box_id: int, counted: int, reason: str) -> Stock:
    """Count what is left and close the box; a difference needs its reason.

    Raises:
        Refused: The count differs and nothing is said about it.
    """
    box = find(session, bench, box_id)
    before = stock(session, box_id)
    if counted != before.left and not reason.strip():
        raise Refused(
            "difference", f"应剩 {before.left} 张，盘点 {counted} 张，请说明差异",
            f"{before.left} must be left, {counted} are: say why",
        )  # fmt: skip
    told = reason.strip()[: policy.REASON_LENGTH_MAX]
    move(session, bench, box_id, Moved(policy.COUNTED, counted, reason=told))
    box.closed_ms = bench.now_ms
    session.flush()
    found = stock(session, box_id)
    audit.record(
        session, bench.now_ms, bench.actor, "deskbox.closed", f"deskbox:{box_id}",
        left=found.left, counted=counted, difference=found.difference,
    )  # fmt: skip
    return found


def _lines(session: Session, box_id: int) -> list[DeskBoxLine]:
    wanted = sa.select(DeskBoxLine).where(DeskBoxLine.box_id == box_id)
    return list(session.scalars(wanted.order_by(DeskBoxLine.position)))
