# SPDX-License-Identifier: Apache-2.0
"""A volunteer reports a missed tap or disputes an interval; a leader answers."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.people import audit
from server.reconciliation.corrections import REASON_LENGTH_MAX, REASON_LENGTH_MIN, Entered, Said
from server.reconciliation.corrections import enter_time as write_time
from server.reconciliation.models import (
    HoursRequest,
    Notification,
    ServiceInterval,
)
from server.reconciliation.parameters import DAY_MS, DEFAULT_POLICY, MINUTE_MS
from server.terminals.models import Site

MISSED, DISPUTE = "missed", "dispute"
# A leader answers within two weeks; memory of a shift is not good for longer.
DUE_MS = 14 * DAY_MS
# A missed tap of last winter is not remembered by anybody: eight weeks.
REACH_MS = 56 * DAY_MS
OPEN_MAX = 10  # requests of one person that wait at the same time


@dataclass(frozen=True, slots=True)
class Asked:
    """What a volunteer asks: of an interval (a dispute), or of a span at a site (a missed tap)."""

    person: int
    text: str
    interval: int | None = None
    site: int | None = None
    start_ms: int | None = None
    end_ms: int | None = None


def ask(session: Session, asked: Asked, now_ms: int) -> HoursRequest:
    """File a request; the leaders of the site are told.

    Raises:
        Refused: the text is too short, too many wait, the interval is not the person's, or the
            span is empty, too long, too old or to come.
    """
    if not REASON_LENGTH_MIN <= len(asked.text) <= REASON_LENGTH_MAX:
        raise Refused("text", "请写明情况（4 至 200 字）", "say what happened, 4 to 200 characters")
    waiting = sa.select(sa.func.count()).where(
        HoursRequest.person == asked.person, HoursRequest.state == "open"
    )
    if (session.scalar(waiting) or 0) >= OPEN_MAX:
        raise Refused("too-many", "待答复的申请太多", f"at most {OPEN_MAX} wait at the same time")
    kind, site, span = _subject(session, asked, now_ms)
    made = HoursRequest(
        person=asked.person, kind=kind, interval_id=asked.interval, site=site, start_ms=span[0],
        end_ms=span[1], text=asked.text, state="open", made_ms=now_ms, due_ms=now_ms + DUE_MS,
    )  # fmt: skip
    session.add(made)
    session.flush()
    word = ("漏刷卡申请", "a missed tap") if kind == MISSED else ("时长异议", "a dispute")
    notify(session, now_ms, word, site=site, due_ms=made.due_ms)
    audit.record(
        session, now_ms, f"volunteer:{asked.person}", "hours.asked", f"hours-request:{made.id}",
        kind=kind,
    )  # fmt: skip
    return made


def _subject(
    session: Session, asked: Asked, now_ms: int
) -> tuple[str, int, tuple[int | None, int | None]]:
    if asked.interval is not None:
        found = session.get(ServiceInterval, asked.interval)
        if found is None or found.person != asked.person or not found.current:
            raise Refused("unknown-interval", "没有这段时间", "no such interval of yours")
        return DISPUTE, found.site or 0, (asked.start_ms, asked.end_ms)
    start_ms, end_ms = asked.start_ms or 0, asked.end_ms or 0
    if asked.site is None or session.get(Site, asked.site) is None:
        raise Refused("unknown-site", "没有这个服务点", "no such site")
    if not MINUTE_MS <= end_ms - start_ms <= DEFAULT_POLICY.max_shift_ms:
        raise Refused("span", "时间段不对", "an end after its start, within one shift")
    if end_ms > now_ms or start_ms < now_ms - REACH_MS:
        raise Refused("reach", "只能申请最近八周内的时间", "within the last eight weeks")
    return MISSED, asked.site, (start_ms, end_ms)


def withdraw(session: Session, number: int, person: int, now_ms: int) -> HoursRequest:
    """Take a request back while nobody has answered it."""
    found = _open_request(session, number)
    if found.person != person:
        raise Refused("unknown-request", "没有这个申请", f"no request {number}")
    found.state, found.decided_ms = "withdrawn", now_ms
    return found


def answer(
    session: Session, number: int, span_ms: tuple[int, int] | None, said: Said
) -> HoursRequest:
    """Answer a request: with a span accept it and enter the time (grade C), without refuse it.

    Raises:
        Refused: it is answered already, or the time cannot be entered.
    """
    found = _open_request(session, number)
    if span_ms is not None:
        activity = None
        if found.interval_id is not None:
            activity = session.get_one(ServiceInterval, found.interval_id).activity
        entered = Entered(found.person, found.site, *span_ms, activity)
        found.correction_id = write_time(session, entered, said).id
    elif not REASON_LENGTH_MIN <= len(said.reason) <= REASON_LENGTH_MAX:
        raise Refused("reason", "请写明原因（4 至 200 字）", "say why in 4 to 200 characters")
    found.state = "accepted" if span_ms is not None else "refused"
    found.decided_by, found.decided_ms, found.answer = said.actor, said.now_ms, said.reason
    word = ("您的申请已获同意", "your request was accepted")
    if span_ms is None:
        word = ("您的申请未获同意", "your request was refused")
    notify(session, said.now_ms, word, person=found.person)
    audit.record(
        session, said.now_ms, said.actor, f"hours.{found.state}", f"hours-request:{number}",
        reason=said.reason,
    )  # fmt: skip
    return found


def _open_request(session: Session, number: int) -> HoursRequest:
    found = session.get(HoursRequest, number, with_for_update=True)
    if found is None:
        raise Refused("unknown-request", "没有这个申请", f"no request {number}")
    if found.state != "open":
        raise Refused("request-answered", "这个申请已经答复", "it is answered already")
    return found


def notify(
    session: Session,
    at_ms: int,
    words: tuple[str, str],
    *,
    person: int | None = None,
    site: int | None = None,
    due_ms: int | None = None,
) -> None:
    """Tell a volunteer or the leaders of a site something on their pages."""
    session.add(
        Notification(person=person, site=site, at_ms=at_ms, due_ms=due_ms, zh=words[0], en=words[1])
    )
