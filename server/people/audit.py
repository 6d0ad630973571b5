# SPDX-License-Identifier: Apache-2.0
"""Write the audit trail."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from server.people.models import Audit

# Who acts when no person does: the server itself, by a rule.
SYSTEM_ACTOR = "system"


def record(
    session: Session, at_ms: int, actor: str, action: str, subject: str, **detail: Any
) -> None:
    """Add one line; it becomes durable with the unit of work that it describes.

    `action` is noun.verb, `subject` kind:identifier; `detail` holds no secret, no name, no
    document number.
    """
    session.add(Audit(at_ms=at_ms, actor=actor, action=action, subject=subject, detail=detail))
