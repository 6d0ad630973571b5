# SPDX-License-Identifier: Apache-2.0
"""A person's sealed fields: each under the person's own key, opened only with a reason.

Whoever wants to read a field says why; who, what and why stand in the audit trail, never the value.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from keys.custody import KeyStore
from keys.person_key import PersonKey
from server.errors import Refused
from server.people import audit
from server.people.models import SealedPersonKey, Volunteer

NAME, BIRTH = "name", "birth"
REASON_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Reader:
    """Who wants to read personal data, and what for."""

    actor: str
    why: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of a person beyond the number."""

    name: str
    birth: dt.date


def seal_identity(store: KeyStore, number: str, known: Identity) -> tuple[bytes, bytes, bytes]:
    """Seal a new person's name and birth date; return key, name and birth date, all sealed."""
    key, sealed_key = PersonKey.fresh(store, number)
    return sealed_key, *sealed_identity(key, number, known)


def sealed_identity(key: PersonKey, number: str, known: Identity) -> tuple[bytes, bytes]:
    """Seal name and birth date for a number; return both."""
    name = key.seal(known.name.encode(), _place(number, NAME))
    birth = key.seal(known.birth.isoformat().encode(), _place(number, BIRTH))
    return name, birth


def opened_identity(key: PersonKey, volunteer: Volunteer) -> Identity:
    """Open name and birth date without a note: for sealing them anew, not for showing them."""
    name = key.open(volunteer.sealed_name, _place(volunteer.number, NAME)).decode()
    birth = key.open(volunteer.sealed_birth, _place(volunteer.number, BIRTH)).decode()
    return Identity(name, dt.date.fromisoformat(birth))


def identity(session: Session, store: KeyStore, volunteer: Volunteer, reader: Reader) -> Identity:
    """Open a person's name and birth date, and note who read them and why.

    Raises:
        Refused: the person's data was erased, or no reason is given.
        BadSeal: a field was changed, or belongs to somebody else.
    """
    key = key_of(session, store, volunteer)
    note_reading(session, volunteer, reader, [NAME, BIRTH])
    return opened_identity(key, volunteer)


def note_reading(
    session: Session, volunteer: Volunteer, reader: Reader, fields: Sequence[str]
) -> None:
    """Note who reads which fields of a person, and why.

    Raises:
        Refused: no reason is given.
    """
    why = reader.why.strip()
    if not 0 < len(why) <= REASON_LENGTH_MAX:
        raise Refused(
            "reason", "请说明查看原因", f"say why, in at most {REASON_LENGTH_MAX} characters"
        )
    audit.record(
        session, reader.now_ms, reader.actor, "volunteer.read", f"volunteer:{volunteer.number}",
        fields=list(fields), why=why,
    )  # fmt: skip


def key_of(session: Session, store: KeyStore, volunteer: Volunteer) -> PersonKey:
    """Open a person's key, for sealing further fields of theirs.

    Raises:
        Refused: the person's data was erased.
    """
    row = session.get(SealedPersonKey, volunteer.id)
    if row is None:
        raise Refused(
            "erased", "此人的个人信息已删除", f"the personal data of {volunteer.number} is erased"
        )
    return PersonKey.opened(store, volunteer.number, row.sealed)


def _place(number: str, field: str) -> bytes:
    return f"volunteer/{number}/{field}".encode()
