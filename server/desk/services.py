# SPDX-License-Identifier: Apache-2.0
"""Jobs of the desk: plan, lay the card down, answer, spoil, hand over; and what they change.

Every function works inside the caller's unit of work. A job is found by its reference; making
jobs have a natural key, the person: whoever asks again gets the one that is open.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from card.card_keys import CardKeys
from card.issue_journal import CardJournal
from card.personalise import plan as card_plan
from card.profile import STANDARD, CardData
from card.updates import Wanted
from keys.errors import KeysError
from keys.usage import KeyUsage
from server.db import from_millis
from server.desk import (
    boxes,
    content,
    life,
    memory,
    personal_data,  # noqa: F401 - it joins copy and erasure by itself
    policy,
    sessions,
    tasks,
)
from server.desk.content import Bench, Shape
from server.desk.models import DeskJob
from server.desk.sessions import Answered, Ended, Table
from server.desk.tasks import PinWork, Work
from server.errors import Problem, Refused
from server.issuing.models import CardOrder
from server.people import audit
from server.people import services as people
from server.people.models import Card, Volunteer
from server.updates.carrying import wanted_from_json, wanted_to_json

PIN_DIGITS = range(4, 13)
JOBS_SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class PinWish:
    """A PIN of an application that has one: AID in hex, number, the PINs as digits."""

    aid: str
    number: int
    new: str = field(repr=False)
    old: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is to be done with a card.

    Attributes:
        kind: One of `policy.KINDS`.
        number: The volunteer's number, of a first card.
        asn: The card, where one is known; of `replace` the old one.
        reason: Why, in the clerk's words; needed to replace, block and unblock.
        cause: LOST, DAMAGED or EXPIRY, to replace.
        id_checked: A valid document was seen.
        valid_to: A new last day, to refresh.
        for_good: Block the chip for ever.
        box_id: The box whose blank is used.
        pin: For the two PIN jobs.
    """

    kind: str
    number: str = ""
    asn: str = ""
    reason: str = ""
    cause: str = ""
    id_checked: bool = False
    valid_to: dt.date | None = None
    for_good: bool = False
    box_id: int | None = None
    pin: PinWish | None = None


def create(session: Session, bench: Bench, new: NewJob) -> DeskJob:
    """Make a job, or return the open one for the same person or card.

    Raises:
        Refused: A rule says no; the text says which.
    """
    reason = new.reason.strip()[: policy.REASON_LENGTH_MAX]
    if new.kind not in policy.KINDS:
        raise Refused("kind", "没有这种任务", f"a job is one of {', '.join(policy.KINDS)}")
    if new.kind in (policy.REPLACE, policy.BLOCK, policy.UNBLOCK) and not reason:
        raise Refused("reason", "请填写原因", "say why")
    job = DeskJob(
        reference=secrets.token_hex(16), kind=new.kind, state=policy.PLANNED, reason=reason,
        actor=bench.actor, box_id=new.box_id, created_ms=bench.now_ms, changed_ms=bench.now_ms,
    )  # fmt: skip
    found = _fill(session, bench, new, job)
    if found is not job:
        return found
    session.add(job)
    session.flush()
    _audit(session, bench, job, "planned", reason=reason)
    return job


def find(session: Session, bench: Bench, reference: str, *, lock: bool = False) -> DeskJob:
    """Return a job.

    Raises:
        Problem: 404 there is none; 403 it is about a person elsewhere.
    """
    wanted = sa.select(DeskJob).where(DeskJob.reference == reference)
    job = session.scalar(wanted.with_for_update() if lock else wanted)
    if job is None:
        raise Problem(404, "no-job", "没有这个任务", "no such job")
    bench.must_reach(session, job.volunteer_id)
    return job


def listed(
    session: Session, bench: Bench, after: int, limit: int, *, open_only: bool
) -> list[DeskJob]:
    """Return jobs within reach, newest first; `after` is the last one seen, 0 for the newest."""
    wanted = sa.select(DeskJob).order_by(DeskJob.id.desc()).limit(min(limit, JOBS_SHOWN_MAX))
    if after:
        wanted = wanted.where(DeskJob.id < after)
    if open_only:
        wanted = wanted.where(DeskJob.state.in_(policy.OPEN))
    return [job for job in session.scalars(wanted) if bench.reaches(session, job.volunteer_id)]


def begin(session: Session, bench: Bench, reference: str, atr: bytes) -> Answered:
    """Begin a job with the card that was just powered, or go on with it."""
    job = find(session, bench, reference, lock=True)
    return sessions.begin(session, bench, _table(session, bench, job), atr)


def answer(
    session: Session, bench: Bench, reference: str, key: tuple[str, int], answers: Sequence[bytes]
) -> Answered:
    """Take the card's answers; `key` is the session and its step."""
    job = find(session, bench, reference, lock=True)
    return sessions.answer(session, bench, _table(session, bench, job), key, answers)


def plan(session: Session, bench: Bench, reference: str) -> dict[str, Any]:
    """Say what a job would do, secrets and personal data masked.

    Raises:
        Problem: 404 there is no such job.
    """
    job = find(session, bench, reference)
    work = _work(session, bench, job)
    if work.data is None:
        fields = [name for name in Wanted.__slots__ if getattr(work.wanted, name) is not None]
        return {"steps": [], "writes": None, "free_bytes": None, "fields": fields}
    keys = CardKeys.from_store(bench.store.for_new_cards(), work.asn, work.key_version)
    steps: list[dict[str, Any]] = []
    planned = card_plan(work.data, keys)
    for command in planned.show():
        if not steps or steps[-1]["zh"] != command.step_zh:
            steps.append({"zh": command.step_zh, "en": command.step_en, "commands": []})
        steps[-1]["commands"].append(command.apdu)
    return {
        "steps": steps, "writes": planned.writes, "free_bytes": STANDARD.free_bytes, "fields": [],
    }  # fmt: skip


def spoil(session: Session, bench: Bench, reference: str, reason: str) -> DeskJob:
    """Note that the blank in hand is thrown away; the job goes on with another one.

    Raises:
        Refused: No reason, or the job makes no card or is over.
    """
    job = find(session, bench, reference, lock=True)
    reason = reason.strip()[: policy.REASON_LENGTH_MAX]
    if job.kind not in policy.MAKING or job.state not in policy.OPEN or job.asn is None:
        raise Refused("not-spoilt", "此任务没有可作废的卡", "there is no card to throw away")
    if not reason:
        raise Refused("reason", "请填写作废原因", "say why the card is thrown away")
    lines: list[dict[str, Any]] = []
    journal = CardJournal(memory.entries(session, job.asn), lines.append, now=_now(bench))
    journal.spoilt(reason, bench.actor)
    memory.note(session, job, job.asn, lines, bench.now_ms)
    if job.box_id is not None:
        moved = boxes.Moved(policy.SPOILT, asn=job.asn, reason=reason)
        boxes.move(session, bench, job.box_id, moved)
    job.state, job.changed_ms = policy.PLANNED, bench.now_ms
    _audit(session, bench, job, "spoilt", reason=reason)
    return job


def cancel(session: Session, bench: Bench, reference: str) -> DeskJob:
    """Give a job up; its order is called off.

    Raises:
        Refused: The job is over, or a card was begun and not thrown away yet.
    """
    job = find(session, bench, reference, lock=True)
    if job.state not in policy.OPEN:
        raise Refused("job-over", "此任务已结束", "this job is over")
    begun = CardJournal(memory.entries(session, job.asn), lambda _line: None).writes
    if job.kind in policy.MAKING and begun:
        raise Refused(
            "card-begun", "已写过卡：请完成，或先登记作废",
            "a card was begun: finish it, or note it as spoilt first",
        )  # fmt: skip
    job.state, job.changed_ms, job.sealed = policy.CANCELLED, bench.now_ms, None
    if job.kind in policy.MAKING:
        life.called_off(session, bench, job)
        boxes.leave_out(session, job)
    _audit(session, bench, job, "cancelled")
    return job


def next_of_box(session: Session, bench: Bench, box_id: int) -> DeskJob | None:
    """Return the job for the next person of a box, None when nobody waits.

    Raises:
        Refused: That person may not get a card; `leave_out` lets the box go on.
        Problem: 404 there is no such box.
    """
    box = boxes.find(session, bench, box_id)
    if box.closed_ms is not None:
        raise Refused("box-closed", "此盒已盘点结束", "the box is closed")
    line = boxes.following(session, box_id)
    if line is None:
        return None
    number = session.get_one(Volunteer, line.volunteer_id).number
    job = create(session, bench, NewJob(policy.ISSUE, number, box_id=box_id))
    if job.box_id != box_id:
        raise Refused(
            "job-elsewhere", "此人的卡正在别处办理", "this person's card is being made elsewhere"
        )
    line.job_id = job.id
    return job


def hand_over(session: Session, bench: Bench, reference: str) -> DeskJob:
    """Note that the holder got the card of a box.

    Raises:
        Refused: The card is not made yet.
    """
    job = find(session, bench, reference, lock=True)
    if job.state != policy.DONE or job.kind not in policy.MAKING:
        raise Refused("not-made", "卡片尚未制成", "the card is not made yet")
    _hand_over(session, bench, job)
    return job


def document(session: Session, job: DeskJob) -> dict[str, Any]:
    """Return what people may know of a job."""
    person = session.get(Volunteer, job.volunteer_id) if job.volunteer_id else None
    return {
        "id": job.id, "reference": job.reference, "kind": job.kind, "state": job.state,
        "asn": job.asn, "old_asn": job.old_asn, "order_no": job.order_no, "box": job.box_id,
        "masked_name": person.masked_name if person else "", "reason": job.reason,
        "actor": job.actor, "writes": job.writes, "text_zh": job.outcome_zh,
        "text_en": job.outcome_en, "result": job.result, "created_ms": job.created_ms,
        "changed_ms": job.changed_ms,
    }  # fmt: skip


def _fill(session: Session, bench: Bench, new: NewJob, job: DeskJob) -> DeskJob:
    """Decide what a new job is about; return the open one there is for the same, if any."""
    if new.kind == policy.ISSUE:
        volunteer = people.find_volunteer(session, new.number)
        bench.must_reach(session, volunteer.id)
        open_one = _open(session, DeskJob.volunteer_id == volunteer.id, policy.MAKING)
        if open_one is not None:
            return open_one
        job.order_no = life.first_order(session, bench, volunteer, job.reference)
        return _to_make(session, bench, job, volunteer)
    if new.kind == policy.REPLACE:
        bench.must_reach(session, people.find_card(session, new.asn).volunteer_id)
        open_one = _open(session, DeskJob.old_asn == new.asn, policy.MAKING)
        if open_one is not None:
            return open_one
        old = life.Old(new.asn, new.cause, new.id_checked)
        volunteer, job.order_no = life.replacement(session, bench, old, job.reference)
        job.old_asn = new.asn
        return _to_make(session, bench, job, volunteer)
    if new.kind == policy.READ:
        job.asn = None
        return job
    card = people.find_card(session, new.asn)
    bench.must_reach(session, card.volunteer_id)
    open_one = _open(session, DeskJob.asn == new.asn, (new.kind,))
    if open_one is not None and new.pin is None:
        return open_one
    job.asn, job.volunteer_id = card.asn, card.volunteer_id
    _fill_sealed(session, bench, new, job)
    if new.kind == policy.BLOCK:
        life.blocked(session, bench, job)
    return job


def _fill_sealed(session: Session, bench: Bench, new: NewJob, job: DeskJob) -> None:
    if new.kind == policy.REFRESH:
        volunteer = session.get_one(Volunteer, job.volunteer_id)
        wanted = content.record_of(session, bench, volunteer, new.valid_to)
        _seal(bench, job, wanted_to_json(wanted))
    elif new.kind == policy.BLOCK:
        _seal(bench, job, wanted_to_json(tasks.block_of(for_good=new.for_good)))
    elif new.kind in (policy.PIN_CHANGE, policy.PIN_UNBLOCK):
        _seal(bench, job, _pin_json(new))


def _to_make(session: Session, bench: Bench, job: DeskJob, volunteer: Volunteer) -> DeskJob:
    """Take a serial and gather what the card will say."""
    order = session.scalars(sa.select(CardOrder).where(CardOrder.order_no == job.order_no)).one()
    job.volunteer_id = volunteer.id
    job.asn = people.next_card_serial(session)
    shape = Shape(job.asn, order.valid_to)
    _seal(bench, job, tasks.data_to_json(content.card_data(session, bench, volunteer, shape)))
    return job


def _open(
    session: Session, condition: sa.ColumnElement[bool], kinds: Sequence[str]
) -> DeskJob | None:
    wanted = sa.select(DeskJob).where(
        condition, DeskJob.kind.in_(kinds), DeskJob.state.in_(policy.OPEN)
    )
    return session.scalar(wanted.order_by(DeskJob.id).limit(1))


def _table(session: Session, bench: Bench, job: DeskJob) -> Table:
    return Table(
        job,
        lambda: _work(session, bench, job),
        lambda ended: _finish(session, bench, job, ended),
    )


def _work(session: Session, bench: Bench, job: DeskJob) -> Work:
    """Return what a job does at the card, from its sealed field."""
    today = from_millis(job.created_ms).astimezone(people.BIRTHDAY_ZONE).date()
    if job.kind == policy.READ or job.asn is None:
        return Work(policy.READ, b"", 0, today)
    asn = bytes.fromhex(job.asn)
    if job.kind in policy.MAKING:
        data = _data(bench, job)
        return Work(job.kind, asn, data.key_version, today, data)
    card = people.find_card(session, job.asn)
    work = Work(job.kind, asn, card.key_version, today)
    if job.sealed is None:
        return work
    held = _unseal(bench, job)
    if job.kind in (policy.PIN_CHANGE, policy.PIN_UNBLOCK):
        return Work(job.kind, asn, card.key_version, today, pin=_pin(bench, card, held))
    return Work(job.kind, asn, card.key_version, today, wanted=wanted_from_json(held))


def _finish(session: Session, bench: Bench, job: DeskJob, ended: Ended) -> tuple[str, str]:
    """Write down how an operation ended, and what follows from it."""
    job.changed_ms = bench.now_ms
    if ended.error is not None:
        job.state = policy.STOPPED
        meaning, advice = ended.error.meaning, ended.error.advice
        zh, en = f"{meaning.zh}；{advice.zh}", f"{meaning.en}; {advice.en}"
        _audit(session, bench, job, "stopped", error=ended.error.code)
    else:
        job.state = policy.DONE
        # What people may see of a card stays on the page that asked; the database keeps less.
        job.result = {} if job.kind == policy.READ else ended.told
        zh, en = _DONE_TEXTS[job.kind]
        _follow(session, bench, job, ended)
        zh, en = life.with_what_ended(job, (zh, en))
        _audit(session, bench, job, "done", writes=job.writes)
    if job.kind not in policy.MAKING and job.state == policy.DONE:
        job.sealed = None
    job.outcome_zh, job.outcome_en = zh[:300], en[:300]
    return job.outcome_zh, job.outcome_en


def _follow(session: Session, bench: Bench, job: DeskJob, ended: Ended) -> None:
    if job.kind in policy.MAKING:
        life.made(session, bench, job, _data(bench, job))
        if job.box_id is None:
            _hand_over(session, bench, job)
        else:
            boxes.issued(session, bench, job)
    elif job.kind == policy.UNBLOCK:
        life.unblocked(session, bench, job)
    elif job.kind == policy.READ:
        job.asn = ended.told["asn"]
        card = session.scalar(sa.select(Card).where(Card.asn == job.asn))
        if card is not None and not bench.reaches(session, card.volunteer_id):
            ended.told.clear()
            ended.told["asn"], card = job.asn, None
        job.volunteer_id = card.volunteer_id if card is not None else None
        ended.told["known"] = card is not None
        ended.told["state"] = card.state if card is not None else ""
        ended.told["card"] = card.id if card is not None else None


def _hand_over(session: Session, bench: Bench, job: DeskJob) -> None:
    """Let the card count from now on, and forget what was on it."""
    if job.sealed is None:
        return  # it was handed over before
    life.handed_over(session, bench, job, _data(bench, job))
    job.sealed = None
    _audit(session, bench, job, "handed-over")


_DONE_TEXTS = {
    policy.ISSUE: ("已发卡并回读核对", "issued and read back"),
    policy.REPLACE: (
        "已补换并回读核对，旧卡已列入黑名单",
        "replaced and read back; old card listed",
    ),
    policy.READ: ("已读卡", "read"),
    policy.REFRESH: ("卡内容已更新并回读核对", "refreshed and read back"),
    policy.BLOCK: (
        "卡片已锁定，并已列入黑名单",
        "the card is blocked, on the chip and the hotlist",
    ),
    policy.UNBLOCK: ("卡片已解锁", "the card is unblocked"),
    policy.PIN_CHANGE: ("密码已更改", "the PIN is changed"),
    policy.PIN_UNBLOCK: ("密码已解锁并重设", "the PIN is unblocked and set"),
}


def _pin_json(new: NewJob) -> bytes:
    """Write a PIN wish to be sealed.

    Raises:
        Refused: It does not fit.
    """
    pin = new.pin
    if pin is None:
        raise Refused("pin", "请输入密码", "a PIN is needed")
    for digits in (pin.new, pin.old) if new.kind == policy.PIN_CHANGE else (pin.new,):
        if not (digits.isascii() and digits.isdigit()) or len(digits) not in PIN_DIGITS:
            raise Refused("pin", "密码为 4 至 12 位数字", "a PIN has 4 to 12 digits")
        if len(digits) % 2:
            raise Refused("pin", "密码须为偶数位", "a PIN has an even number of digits")
    aid = pin.aid.strip()
    if not (5 <= len(aid) // 2 <= 16) or any(c not in "0123456789abcdefABCDEF" for c in aid):
        raise Refused("aid", "应用标识（AID）不对", "that is no application identifier")
    return json.dumps({"aid": aid, "number": pin.number, "new": pin.new, "old": pin.old}).encode()


def _pin(bench: Bench, card: Card, held: bytes) -> PinWork:
    values = json.loads(held)
    try:
        key = bench.store.card_key(
            KeyUsage.PIN_UNBLOCK, card.key_version, bytes.fromhex(card.asn)[2:]
        )
    except KeysError:
        key = None  # a change by who knows the old PIN needs none
    return PinWork(
        bytes.fromhex(values["aid"]), values["number"], bytes.fromhex(values["new"]),
        bytes.fromhex(values["old"]), key,
    )  # fmt: skip


def _data(bench: Bench, job: DeskJob) -> CardData:
    return tasks.data_from_json(_unseal(bench, job))


def _seal(bench: Bench, job: DeskJob, text: bytes) -> None:
    job.sealed = bench.store.seal(KeyUsage.PERSONAL_DATA, text, _place(job))


def _unseal(bench: Bench, job: DeskJob) -> bytes:
    if job.sealed is None:
        raise Problem(409, "job-over", "此任务已结束", "this job is over", state=job.state)
    return bench.store.open_sealed(KeyUsage.PERSONAL_DATA, job.sealed, _place(job))


def _place(job: DeskJob) -> bytes:
    return f"yika/desk-job/1\n{job.reference}".encode()


def _now(bench: Bench) -> Any:
    return lambda: from_millis(bench.now_ms)


def _audit(session: Session, bench: Bench, job: DeskJob, what: str, **detail: Any) -> None:
    subject = f"card:{job.asn}" if job.asn else f"deskjob:{job.reference}"
    audit.record(
        session, bench.now_ms, bench.actor, f"desk.{what}", subject, kind=job.kind,
        job=job.reference, **detail,
    )  # fmt: skip
