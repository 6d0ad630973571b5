# SPDX-License-Identifier: Apache-2.0
"""Deadlines remind: both sides are told before and after an answer is due; what is told is read."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import insert_new
from server.errors import Refused
from server.reconciliation.models import HoursRequest, Notification
from server.reconciliation.parameters import DAY_MS

# Time for a leader to ask around before the answer is due.
BEFORE_MS = 3 * DAY_MS
# Requests that are looked at in one go; the next look takes the rest.
REMINDED_MAX = 1_000

# To whom (leaders of the site, the volunteer), before and after: Chinese and English.
WORDS = {
    ("site", "before"): ("有申请三天内须答复", "a request must be answered within three days"),
    ("site", "after"): ("有申请已逾期未答复", "a request is overdue"),
    ("person", "before"): ("您的申请将在三天内得到答复", "your request is due within three days"),
    ("person", "after"): (
        "您的申请已逾期，已提醒负责人",
        "your request is overdue; the leaders were reminded",
    ),
}


def remind(session: Session, now_ms: int) -> int:
    """Tell leaders and volunteers of open requests that are due soon or overdue, each once.

    Return how many requests were looked at.
    """
    due = (
        sa.select(HoursRequest)
        .where(HoursRequest.state == "open", HoursRequest.due_ms <= now_ms + BEFORE_MS)
        .order_by(HoursRequest.due_ms)
        .limit(REMINDED_MAX)
    )
    found = session.scalars(due).all()
    for asked in found:
        phase = "after" if asked.due_ms <= now_ms else "before"
        for audience, place in (("site", asked.site), ("person", asked.person)):
            zh, en = WORDS[audience, phase]
            insert_new(
                session, Notification,
                person=place if audience == "person" else None,
                site=place if audience == "site" else None,
                at_ms=now_ms, due_ms=asked.due_ms, zh=zh, en=en,
                once=f"request:{asked.id}:{audience}:{phase}",
            )  # fmt: skip
    return len(found)


def mark_read(
    session: Session,
    number: int,
    now_ms: int,
    *,
    person: int | None = None,
    site: int | None = None,
) -> None:
    """Mark one notification as read by the volunteer or a leader of the site it was meant for.

    Raises:
        Refused: nothing of that number was told them.
    """
    found = session.get(Notification, number)
    if found is None or (found.person, found.site) != (person, site):
        raise Refused("unknown-notice", "没有这条通知", f"no notification {number}")
    if found.read_ms is None:
        found.read_ms = now_ms
