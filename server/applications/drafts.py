# SPDX-License-Identifier: Apache-2.0
"""Applications that are being filled in: kept sealed, found by a code, forgotten after a month.

The code is the only way to a draft; of it only a digest is kept.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from keys.person_key import PersonKey
from server.applications.models import ApplicationDraft
from server.people import sign_in

# People come back after a weekend; after a month they begin anew.
LIFE_MS = 30 * 86_400_000
# Two sign-in codes: 88 bits, which nobody tries out.
CODES = 2
# All fields of a form and a few acceptances, with room.
FIELDS_BYTES_MAX = 16 * 1024


@dataclass(frozen=True, slots=True)
class Draft:
    """What was filled in so far; `photo` is the file as it was uploaded."""

    id: int
    fields: dict[str, str] = field(repr=False)
    photo: bytes = field(repr=False)


def begin(session: Session, store: KeyStore, actor: str, now_ms: int) -> str:
    """Begin a draft; return the code that finds it again."""
    forget_old(session, now_ms)
    code = "-".join(sign_in.new_code() for _ in range(CODES))
    digest = _digest(code)
    key, sealed_key = PersonKey.fresh(store, _name(digest))
    session.add(
        ApplicationDraft(
            code_sha256=digest,
            sealed_key=sealed_key,
            sealed=key.seal(b"{}", _place(digest, "fields")),
            sealed_photo=None,
            entered_by=actor,
            created_ms=now_ms,
            changed_ms=now_ms,
        )
    )
    session.flush()
    return code


def load(session: Session, store: KeyStore, code: str, now_ms: int) -> Draft | None:
    """Return the draft of a code, None when there is none or it is too old."""
    digest = _digest(code)
    row = _row(session, digest, now_ms)
    if row is None:
        return None
    key = PersonKey.opened(store, _name(digest), row.sealed_key)
    fields = json.loads(key.open(row.sealed, _place(digest, "fields")))
    photo = key.open(row.sealed_photo, _place(digest, "photo")) if row.sealed_photo else b""
    return Draft(row.id, fields, photo)


def save(
    session: Session, store: KeyStore, code: str, draft: Draft, now_ms: int
) -> bool:  # fmt: skip
    """Keep what was filled in; False when the draft is gone or there is too much of it."""
    digest = _digest(code)
    row = _row(session, digest, now_ms)
    raw = json.dumps(draft.fields, ensure_ascii=False).encode()
    if row is None or len(raw) > FIELDS_BYTES_MAX:
        return False
    key = PersonKey.opened(store, _name(digest), row.sealed_key)
    row.sealed = key.seal(raw, _place(digest, "fields"))
    row.sealed_photo = key.seal(draft.photo, _place(digest, "photo")) if draft.photo else None
    row.changed_ms = now_ms
    session.flush()
    return True


def forget(session: Session, code: str) -> None:
    """Remove a draft: it was handed in, or nobody wants it."""
    session.execute(
        sa.delete(ApplicationDraft).where(ApplicationDraft.code_sha256 == _digest(code))
    )


def forget_old(session: Session, now_ms: int) -> None:
    """Remove drafts that nobody has touched for a month."""
    session.execute(
        sa.delete(ApplicationDraft).where(ApplicationDraft.changed_ms < now_ms - LIFE_MS)
    )


def _row(session: Session, digest: bytes, now_ms: int) -> ApplicationDraft | None:
    return session.scalar(
        sa.select(ApplicationDraft).where(
            ApplicationDraft.code_sha256 == digest,
            ApplicationDraft.changed_ms >= now_ms - LIFE_MS,
        )
    )


def _digest(code: str) -> bytes:
    return hashlib.sha256(sign_in.as_printed(code).encode()).digest()


def _name(digest: bytes) -> str:
    return f"draft/{digest.hex()}"


def _place(digest: bytes, field_name: str) -> bytes:
    return f"{_name(digest)}/{field_name}".encode()
