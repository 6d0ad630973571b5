# SPDX-License-Identifier: Apache-2.0
"""Applicants: volunteers with a preliminary number, until they are given the official one.

Whatever stands under the number is sealed for that number, so a new number seals it anew.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy.orm import Session

from keys.custody import KeyStore
from server.errors import Refused
from server.people import audit, personal, policy, sequences, sign_in
from server.people.models import CODE, SealedPersonKey, Volunteer
from server.people.services import mark_dirty, minor_until_ms


@dataclass(frozen=True, slots=True)
class NewApplicant:
    """What is needed to take in an applicant; without a code they cannot sign in yet."""

    name: str
    birth: dt.date
    guardian_id: int | None = None
    with_code: bool = True
    official: bool = False


def add_applicant(
    session: Session, store: KeyStore, new: NewApplicant, actor: str, now_ms: int
) -> tuple[Volunteer, str]:
    """Take in an applicant; return the row and the one-time code, "" when none was wanted.

    `official` gives the 10-digit number at once, for people who were volunteers before.
    """
    code = sign_in.new_code() if new.with_code else ""
    # Hashed before the number is taken: nobody waits for a hash under the counter's lock.
    secret_hash = sign_in.hash_secret(code) if code else sign_in.hash_of_nobody()
    number = _next_number(session, official=new.official)
    sealed_key, sealed_name, sealed_birth = personal.seal_identity(
        store, number, personal.Identity(new.name, new.birth)
    )
    volunteer = Volunteer(
        number=number,
        sealed_name=sealed_name,
        sealed_birth=sealed_birth,
        masked_name=policy.mask_name(new.name),
        minor_until_ms=minor_until_ms(new.birth, now_ms),
        guardian_id=new.guardian_id,
        created_ms=now_ms,
        secret_hash=secret_hash,
        secret_kind=CODE,
        code_ms=now_ms if code else None,
    )
    session.add(volunteer)
    session.flush()
    session.add(SealedPersonKey(volunteer_id=volunteer.id, sealed=sealed_key, made_ms=now_ms))
    session.flush()
    audit.record(session, now_ms, actor, "volunteer.added", f"volunteer:{number}")
    return volunteer, code


def make_official(
    session: Session, store: KeyStore, volunteer: Volunteer, actor: str, now_ms: int
) -> str:
    """Give an applicant the official number, sealing what is known of them for it.

    The number is taken from a counter that never goes back, so none is given twice, whoever
    leaves.

    Raises:
        Refused: the person has an official number, or their data is erased.
    """
    before = volunteer.number
    if not policy.is_preliminary_number(before):
        raise Refused(
            "official-already", "此人已有正式义工号", "this person has an official number"
        )
    key = personal.key_of(session, store, volunteer)
    known = personal.opened_identity(key, volunteer)
    number = _next_number(session, official=True)
    name, birth = personal.sealed_identity(key, number, known)
    volunteer.number, volunteer.sealed_name, volunteer.sealed_birth = number, name, birth
    row = session.get_one(SealedPersonKey, volunteer.id)
    row.sealed = key.sealed_for(store, number)
    mark_dirty(session, [volunteer.id])
    audit.record(
        session, now_ms, actor, "volunteer.made-official", f"volunteer:{number}",
        preliminary=before,
    )  # fmt: skip
    session.flush()
    return number


def _next_number(session: Session, *, official: bool) -> str:
    if official:
        return policy.volunteer_number(sequences.next_value(session, sequences.VOLUNTEER))
    return policy.preliminary_number(sequences.next_value(session, sequences.PRELIMINARY))
