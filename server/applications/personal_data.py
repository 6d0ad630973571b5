# SPDX-License-Identifier: Apache-2.0
"""What applications know of a person, for their own copy of it and for its erasure."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from server.applications import records
from server.applications.models import Acceptance, Application, ApplicationPhoto
from server.applications.policy import OPEN_STATES, State
from server.people import personal
from server.people.models import Volunteer
from server.privacy import dossier, erasing

SEALED = ("document", "mobile", "address", "emergency")


def applications_of(session: Session, store: KeyStore, person: Volunteer) -> list[dict[str, Any]]:
    """Return every application of a person, its sealed fields opened."""
    rows = session.scalars(
        sa.select(Application).where(Application.volunteer_id == person.id).order_by(Application.id)
    ).all()
    key = personal.key_of(session, store, person) if rows and person.erased_ms is None else None
    return [
        {
            "submitted": dossier.instant(row.submitted_ms),
            "channel": row.channel,
            "state": row.state,
            "decided": dossier.instant(row.decided_ms),
            "reason": row.reason,
            "preliminary_number": row.preliminary_number,
            "carrier": row.carrier,
            "branch": row.branch_code,
            "document_kind": row.document_kind,
            **{name: _opened(key, row, name) for name in SEALED},
        }
        for row in rows
    ]


def accepted_by(session: Session, _store: KeyStore, person: Volunteer) -> list[dict[str, Any]]:
    """Return what a person accepted, and when."""
    rows = session.scalars(
        sa.select(Acceptance).where(Acceptance.volunteer_id == person.id).order_by(Acceptance.id)
    )
    return [
        {"what": row.kind, "version": row.version, "at": dossier.instant(row.at_ms)} for row in rows
    ]


def erase_applications(session: Session, person: Volunteer, now_ms: int) -> None:
    """Blank what identifies a person; photos go, what was accepted stays as evidence."""
    mine = sa.select(Application.id).where(Application.volunteer_id == person.id)
    session.execute(
        sa.delete(ApplicationPhoto).where(ApplicationPhoto.application_id.in_(mine)),
        execution_options={"synchronize_session": "fetch"},
    )
    rows = session.scalars(sa.select(Application).where(Application.volunteer_id == person.id))
    for row in rows:
        row.document_fingerprint = row.person_fingerprint = None
        row.document_tail = ""
        for name in SEALED:
            setattr(row, f"sealed_{name}", b"")
        row.changed_ms = now_ms
        if row.state in OPEN_STATES:
            row.state = State.WITHDRAWN
    session.flush()


def _opened(key: Any, row: Application, name: str) -> Any:
    sealed: bytes = getattr(row, f"sealed_{name}")
    if key is None or not sealed:
        return None
    text = key.open(sealed, records.place_of(row.volunteer_id, name)).decode()
    return json.loads(text) if name == "emergency" else text


dossier.PARTS |= {"applications": applications_of, "accepted": accepted_by}
erasing.PARTS["applications"] = erase_applications
