# SPDX-License-Identifier: Apache-2.0
"""What the desk knows of a person, for their own copy of it and for its erasure."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from card.issue_journal import CardJournal
from keys.custody import KeyStore
from server.db import from_millis
from server.desk import boxes, memory, policy
from server.desk.models import DeskJob, DeskSession, DeskStock
from server.people.models import Volunteer
from server.privacy import dossier, erasing

ERASED_ZH, ERASED_EN = "此人资料已删除", "the person's data was erased"
REASON = "erased"
ACTOR = "system"


def jobs_of(session: Session, _store: KeyStore, person: Volunteer) -> list[dict[str, Any]]:
    """Return what was done at the desk with a person's cards, oldest first."""
    return [
        {
            "at": dossier.instant(job.created_ms),
            "kind": job.kind,
            "state": job.state,
            "card": job.asn,
            "reason": job.reason,
            "by": job.actor,
            "changed": dossier.instant(job.changed_ms),
        }
        for job in session.scalars(_of(person))
    ]


def erase_jobs(session: Session, person: Volunteer, now_ms: int) -> None:
    """Destroy what jobs put on a person's cards and what the cards answered; give up open jobs.

    The journals and the count of blanks stay: they hold serials only.
    """
    mine = sa.select(DeskJob.id).where(DeskJob.volunteer_id == person.id)
    for job in session.scalars(_of(person).with_for_update()).all():
        if job.state in policy.OPEN:
            _give_up(session, job, now_ms)
        job.sealed, job.reason, job.result = None, "", {}
    session.execute(
        sa.update(DeskSession)
        .where(DeskSession.job_id.in_(mine))
        .values(over=True, sealed=b"")
        .execution_options(synchronize_session="fetch")
    )
    session.flush()


def _of(person: Volunteer) -> sa.Select[DeskJob]:
    return sa.select(DeskJob).where(DeskJob.volunteer_id == person.id).order_by(DeskJob.id)


def _give_up(session: Session, job: DeskJob, now_ms: int) -> None:
    """End an open job; a blank that was begun counts as thrown away."""
    job.state, job.changed_ms = policy.CANCELLED, now_ms
    job.outcome_zh, job.outcome_en = ERASED_ZH, ERASED_EN
    if job.kind not in policy.MAKING:
        return
    boxes.leave_out(session, job)
    lines: list[dict[str, Any]] = []
    known = memory.entries(session, job.asn)
    journal = CardJournal(known, lines.append, now=lambda: from_millis(now_ms))
    if job.asn is None or not journal.writes:
        return
    journal.spoilt(REASON, ACTOR)
    memory.note(session, job, job.asn, lines, now_ms)
    if job.box_id is not None:
        spoilt = DeskStock(
            box_id=job.box_id, what=policy.SPOILT, count=1, asn=job.asn, reason=REASON,
            actor=ACTOR, at_ms=now_ms,
        )  # fmt: skip
        session.add(spoilt)


dossier.PARTS["desk_jobs"] = jobs_of
erasing.PARTS["desk"] = erase_jobs
