# SPDX-License-Identifier: Apache-2.0
"""What is sealed of an application, who finds it again, and who may open it.

Fields stand at places named by the person's row, so a new number leaves them as they are; the
person's key itself is sealed for the number.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from keys.fingerprint_key import FingerprintKey
from keys.person_key import PersonKey
from server.applications.documents import Document
from server.applications.models import Application, ApplicationKey, ApplicationPhoto
from server.db import insert_new
from server.errors import Refused
from server.people import personal
from server.people.models import Volunteer
from server.people.personal import Reader

FINGERPRINTS = "applications"
KEY_ID = 1
PIECE = 500  # of values in one IN list
# What a partner may be given; which of these one gets, its profile says.
BANK_FIELDS = (
    "number", "name", "birth", "document_kind", "document_number", "mobile", "address",
    "emergency_name", "emergency_mobile", "carrier", "branch_code", "photo", "photo_sha256",
)  # fmt: skip
_SEALED = frozenset(
    {
        "name", "birth", "document_number", "mobile", "address", "emergency_name",
        "emergency_mobile", "photo",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody to call, and how."""

    name: str
    mobile: str

    def __repr__(self) -> str:
        """Say nothing of either."""
        return "Contact(…)"


@dataclass(frozen=True, slots=True)
class Details:
    """What an application knows of a person beyond name and birth date."""

    document: Document
    mobile: str
    address: str
    emergency: Contact

    def __repr__(self) -> str:
        """Say nothing of it."""
        return "Details(…)"


def fingerprints(session: Session, store: KeyStore) -> FingerprintKey:
    """Open the key of fingerprints, making it the first time."""
    row = session.get(ApplicationKey, KEY_ID)
    if row is None:
        _, sealed = FingerprintKey.fresh(store, FINGERPRINTS)
        insert_new(session, ApplicationKey, id=KEY_ID, sealed=sealed)
        row = session.get_one(ApplicationKey, KEY_ID)
    return FingerprintKey.opened(store, FINGERPRINTS, row.sealed)


def document_fingerprint(key: FingerprintKey, document: Document) -> bytes:
    """Return what finds the same document again."""
    return key.of("document", document.kind, document.number)


def person_fingerprint(key: FingerprintKey, name: str, birth: dt.date) -> bytes:
    """Return what finds the same name with the same birth date again."""
    return key.of("person", name.casefold().replace(" ", ""), birth.isoformat())


def seal_details(key: PersonKey, volunteer_id: int, known: Details) -> dict[str, bytes]:
    """Seal the details of a person; return the columns of an application."""
    contact = json.dumps([known.emergency.name, known.emergency.mobile], ensure_ascii=False)
    plain = {
        "document": known.document.number,
        "mobile": known.mobile,
        "address": known.address,
        "emergency": contact,
    }
    return {
        f"sealed_{field}": key.seal(text.encode(), place_of(volunteer_id, field))
        for field, text in plain.items()
    }


def place_of(volunteer_id: int, field: str) -> bytes:
    """Return the place that a field is sealed for."""
    return f"application/{volunteer_id}/{field}".encode()


def newest(session: Session, volunteer_id: int) -> Application | None:
    """Return the newest application of a person."""
    return session.scalar(
        sa.select(Application)
        .where(Application.volunteer_id == volunteer_id)
        .order_by(Application.id.desc())
        .limit(1)
    )


def newest_photo(session: Session, application_id: int) -> ApplicationPhoto | None:
    """Return the newest photo of an application."""
    return session.scalar(
        sa.select(ApplicationPhoto)
        .where(ApplicationPhoto.application_id == application_id)
        .order_by(ApplicationPhoto.id.desc())
        .limit(1)
    )


def photo(session: Session, store: KeyStore, application_id: int, reader: Reader) -> bytes:
    """Open the photo of an application (JPEG), and note who looked and why.

    Raises:
        Refused: there is none, no reason is given, or the person's data is erased.
    """
    application = session.get(Application, application_id)
    row = newest_photo(session, application_id) if application else None
    if application is None or row is None:
        raise Refused("no-photo", "没有照片", "there is no photo")
    volunteer = session.get_one(Volunteer, application.volunteer_id)
    key = personal.key_of(session, store, volunteer)
    personal.note_reading(session, volunteer, reader, ["photo"])
    return key.open(row.sealed, place_of(volunteer.id, "photo"))


def bank_record(
    session: Session,
    store: KeyStore,
    volunteer_id: int,
    fields: Collection[str],
    reader: Reader,
) -> dict[str, Any]:
    """Open exactly the named fields of a volunteer for a partner, and note it.

    `birth` is ISO 8601, `photo` JPEG bytes, `photo_sha256` hex; all else is text.

    Raises:
        Refused: a field is not one of `BANK_FIELDS`, there is no application, or the data is
            erased.
    """
    unknown = set(fields) - set(BANK_FIELDS)
    if unknown:
        raise Refused("fields", "没有这些字段", f"no such fields: {', '.join(sorted(unknown))}")
    volunteer = session.get_one(Volunteer, volunteer_id)
    application = newest(session, volunteer_id)
    if application is None:
        raise Refused("no-application", "没有申请资料", f"no application of {volunteer.number}")
    key = None
    if _SEALED & set(fields):
        key = personal.key_of(session, store, volunteer)
        read = [field for field in BANK_FIELDS if field in fields and field in _SEALED]
        personal.note_reading(session, volunteer, reader, read)
    opened = _Opened(session, volunteer, application, key)
    return {field: opened.value(field) for field in BANK_FIELDS if field in fields}


def mobile(session: Session, store: KeyStore, volunteer_id: int, reader: Reader) -> str | None:
    """Open a volunteer's mobile number; None when none is known or the data is erased."""
    volunteer = session.get_one(Volunteer, volunteer_id)
    application = newest(session, volunteer_id)
    if application is None or volunteer.erased_ms is not None:
        return None
    key = personal.key_of(session, store, volunteer)
    personal.note_reading(session, volunteer, reader, ["mobile"])
    return key.open(application.sealed_mobile, place_of(volunteer_id, "mobile")).decode() or None


def masked_document(application: Application) -> str:
    """Return a document number as pages show it: its end only."""
    return f"***{application.document_tail}"


@dataclass(slots=True)
class _Opened:
    """The fields of one volunteer, each opened when it is asked for."""

    session: Session
    volunteer: Volunteer
    application: Application
    key: PersonKey | None

    def value(self, field: str) -> Any:
        """Return a field of `BANK_FIELDS`."""
        if field in _SEALED:
            return self._sealed(field)
        if field == "photo_sha256":
            row = newest_photo(self.session, self.application.id)
            return row.sha256.hex() if row else ""
        if field == "number":
            return self.volunteer.number
        return getattr(self.application, field) or ""

    def _sealed(self, field: str) -> Any:
        assert self.key is not None
        if field in ("name", "birth"):
            known = personal.opened_identity(self.key, self.volunteer)
            return known.name if field == "name" else known.birth.isoformat()
        if field == "photo":
            row = newest_photo(self.session, self.application.id)
            return self._open(row.sealed, "photo") if row else b""
        if field.startswith("emergency_"):
            name, number = json.loads(self._open(self.application.sealed_emergency, "emergency"))
            return name if field == "emergency_name" else number
        column = "document" if field == "document_number" else field
        return self._open(getattr(self.application, f"sealed_{column}"), column).decode()

    def _open(self, sealed: bytes, field: str) -> bytes:
        assert self.key is not None
        return self.key.open(sealed, place_of(self.volunteer.id, field))
