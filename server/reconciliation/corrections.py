# SPDX-License-Identifier: Apache-2.0
"""Write corrections: new records that name what they correct, signed by the server (rule 41)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from keys.identity import Identity
from server.errors import Refused
from server.people import audit
from server.people.services import mark_dirty
from server.reconciliation.models import Correction, ServiceInterval
from server.reconciliation.parameters import DEFAULT_POLICY, MINUTE_MS
from server.terminals.models import Activity, Site

CORRECTION_CONTEXT = b"yika/correction/1\0"
REASON_LENGTH_MIN = 4  # "ok" explains nothing to an auditor
REASON_LENGTH_MAX = 200


@dataclass(frozen=True)
class Signer:
    """What signs corrections: the server's identity and its number."""

    identity: Identity
    key_id: int


@dataclass(frozen=True, slots=True)
class Said:
    """Who decided, why, when; who signs."""

    actor: str
    reason: str
    now_ms: int
    signer: Signer | None = None


@dataclass(frozen=True, slots=True)
class Entered:
    """Time without any tap, from a paper sheet or on request (rule 42)."""

    person: int
    site: int
    start_ms: int
    end_ms: int
    activity: int | None = None


def record_of(made: Correction) -> bytes:
    """Return what a correction says in its one byte form: UTF-8 JSON, keys sorted, no spaces."""
    names = (
        "person", "exception_id", "rule", "terminal", "seq", "decision", "start_ms", "end_ms",
        "minutes", "grade", "site", "activity", "leader", "approved_by", "at_ms", "reason",
    )  # fmt: skip
    document = {name: getattr(made, name) for name in names}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def write(session: Session, said: Said, **facts: Any) -> Correction:
    """Write one correction, signed if there is something to sign with; queue the person."""
    facts.setdefault("approved_by", said.actor)
    made = Correction(leader=said.actor, at_ms=said.now_ms, reason=said.reason, **facts)
    made.record = record_of(made)
    if said.signer is not None:
        made.signature = said.signer.identity.sign(CORRECTION_CONTEXT, made.record)
        made.key_id = said.signer.key_id
    session.add(made)
    session.flush()
    mark_dirty(session, [made.person])  # the worker posts what this changes
    return made


def enter_time(session: Session, entered: Entered, said: Said) -> Correction:
    """Enter time without a tap: grade C, never above plan or shift, never a second twice.

    Raises:
        Refused: the span is empty, too long or in the future, or site and activity do not fit.
    """
    _check_reason(said.reason)
    span_ms = entered.end_ms - entered.start_ms
    if span_ms < MINUTE_MS or entered.end_ms > said.now_ms:
        raise Refused(
            "empty-span", "结束须晚于开始，且不晚于现在", "an end after its start, not to come"
        )
    if span_ms > DEFAULT_POLICY.max_shift_ms:
        raise Refused("too-long", "超过最长班次", "longer than the longest shift")
    _check_place(session, entered)
    made = write(
        session, said,
        person=entered.person, exception_id=None, rule=42, terminal=None, seq=None,
        decision="approved", start_ms=entered.start_ms, end_ms=entered.end_ms,
        minutes=span_ms // MINUTE_MS, grade="C", site=entered.site, activity=entered.activity,
    )  # fmt: skip
    audit.record(
        session, said.now_ms, said.actor, "time.entered", f"correction:{made.id}",
        minutes=made.minutes, reason=said.reason,
    )  # fmt: skip
    return made


def take_less(session: Session, interval_id: int, minutes: int, said: Said) -> Correction:
    """Lower the minutes of a credited interval; a proven interval never gains (rule 41).

    Raises:
        Refused: the interval is not current, was not tapped in, or would not become less.
    """
    _check_reason(said.reason)
    found = session.get(ServiceInterval, interval_id)
    if found is None or not found.current or found.in_terminal is None:
        raise Refused("unknown-interval", "没有这段时间", f"no current interval {interval_id}")
    if not 0 <= minutes < found.credited_minutes:
        raise Refused("not-less", "更正只能减少", "a correction takes minutes, it adds none")
    made = write(
        session, said,
        person=found.person, exception_id=None, rule=41, terminal=found.in_terminal,
        seq=found.in_seq, decision="approved", start_ms=found.start_ms, end_ms=found.end_ms,
        minutes=minutes, grade=found.grade, site=found.site, activity=found.activity,
    )  # fmt: skip
    audit.record(
        session, said.now_ms, said.actor, "interval.lowered", f"interval:{interval_id}",
        minutes=minutes, reason=said.reason,
    )  # fmt: skip
    return made


def _check_reason(reason: str) -> None:
    if not REASON_LENGTH_MIN <= len(reason) <= REASON_LENGTH_MAX:
        raise Refused("reason", "请写明原因（4 至 200 字）", "say why in 4 to 200 characters")


def _check_place(session: Session, entered: Entered) -> None:
    if session.get(Site, entered.site) is None:
        raise Refused("unknown-site", "没有这个服务点", f"no site {entered.site}")
    if entered.activity is None:
        return
    activity = session.get(Activity, entered.activity)
    if activity is None or activity.site_id != entered.site:
        raise Refused("unknown-activity", "该服务点没有此活动", "the site has no such activity")
