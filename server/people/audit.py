# SPDX-License-Identifier: Apache-2.0
"""Write the audit trail, each line chained to the one before by a hash.

Lines are written where the act is done; the links are added when the unit of work commits, under
the lock of the chain's head. That lock is always the last one taken and is held for the commit
only, so that people neither wait for each other's work nor deadlock.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Session

from server.people.audit_chain import Line, link_hash
from server.people.models import Audit, AuditHead, AuditLink

# Who acts when no person does: the server itself, by a rule.
SYSTEM_ACTOR = "system"
HEAD_ID = 1
_PENDING = "yika.audit"


def record(
    session: Session, at_ms: int, actor: str, action: str, subject: str, **detail: Any
) -> None:
    """Add one line; it becomes durable with the unit of work that it describes.

    `action` is noun.verb, `subject` kind:identifier; `detail` holds no secret, no name, no
    document number.
    """
    line = Audit(at_ms=at_ms, actor=actor, action=action, subject=subject, detail=detail)
    session.add(line)
    session.info.setdefault(_PENDING, []).append(line)


def head(session: Session) -> tuple[int, bytes]:
    """Return number and hash of the last link; 0 and 32 zero bytes when there is none."""
    found = session.get_one(AuditHead, HEAD_ID)
    return found.number, found.hash


def line_of(row: Audit) -> Line:
    """Return what the hash is over."""
    return Line(row.id, row.at_ms, row.actor, row.action, row.subject, row.detail)


@event.listens_for(Session, "before_commit")
def _link(session: Session) -> None:
    """Chain the lines of this unit of work, in the order they were written."""
    lines: list[Audit] = session.info.pop(_PENDING, [])
    if not lines:
        return
    session.flush()
    statement = sa.select(AuditHead).where(AuditHead.id == HEAD_ID)
    end = session.scalars(
        statement.with_for_update().execution_options(populate_existing=True)
    ).one()
    for row in lines:
        end.number += 1
        end.hash = link_hash(end.hash, end.number, line_of(row))
        session.add(AuditLink(number=end.number, audit_id=row.id, hash=end.hash))


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    """Drop the lines that were never written."""
    session.info.pop(_PENDING, None)
