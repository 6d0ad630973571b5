# SPDX-License-Identifier: Apache-2.0
"""Passkeys (WebAuthn level 2): register, sign in, list, remove.

A challenge is made without storing anything: a nonce, the time, and a MAC over purpose and
browser; once answered it is written down, so that it serves once. The origin and the site's name
(RP ID) are those of the request's host; an answer made for any other is refused. A counter that
does not rise means the key was copied: it is marked and opens nothing any more.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import struct
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from server.errors import Refused
from server.people import audit
from server.people.models import Passkey, PasskeyChallenge

REGISTER, SIGN_IN = PURPOSES = ("register", "sign-in")
CHALLENGE_LIFETIME_MS = 5 * 60_000  # long enough to find the other phone
PASSKEYS_MAX = 10  # a phone, a laptop, a security key, and those one forgot
NAME_MAX = 64
ANSWER_LENGTH_MAX = 16_384  # an answer with the largest attestation has some 6 kB
CREDENTIAL_ID_MAX = 1_023  # WebAuthn level 2, section 6.1
PUBLIC_KEY_MAX = 1_024  # RSA with 4096 bits has 530
NONCE_SIZE, TIME_SIZE, MAC_SIZE = 8, 8, 16
# What a hostile answer makes the decoders of CBOR, COSE and JSON raise.
_BROKEN = (
    WebAuthnException, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
    RecursionError, struct.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose passkeys: a volunteer or a user, and how the audit trail names the person."""

    volunteer_id: int | None
    user_id: int | None
    actor: str

    @property
    def staff(self) -> bool:
        """Tell whether the authenticator must verify the person, by PIN or finger."""
        return self.user_id is not None

    def owns(self) -> sa.ColumnElement[bool]:
        """Return the condition that a passkey is this person's."""
        if self.user_id is not None:
            return Passkey.user_id == self.user_id
        return Passkey.volunteer_id == self.volunteer_id


@dataclass(frozen=True, slots=True)
class Door:
    """Where somebody stands: the site's name (RP ID), the origin, the browser, the time.

    `browser` binds challenges: the hash of the session's token, or of a value in a cookie.
    """

    rp_id: str
    origin: str
    secret: bytes
    browser: bytes
    now_ms: int


def challenge(door: Door, purpose: str) -> bytes:
    """Return 32 bytes to be signed: nonce 8, time 8, MAC 16."""
    head = secrets.token_bytes(NONCE_SIZE) + door.now_ms.to_bytes(TIME_SIZE, "big")
    return head + _mac(door, purpose, head)


def registration_options(session: Session, owner: Owner, door: Door) -> str:
    """Return the JSON that a browser's `navigator.credentials.create` takes."""
    known = [PublicKeyCredentialDescriptor(id=row.credential_id) for row in listing(session, owner)]
    options = generate_registration_options(
        rp_id=door.rp_id,
        rp_name="Yika 义卡",
        # Opaque, the same for all keys of the person, and different at every server.
        user_id=hmac.digest(door.secret, b"yika/user-handle/1\0" + owner.actor.encode(), "sha256"),
        user_name=owner.actor.partition(":")[2],
        challenge=challenge(door, REGISTER),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=_verification(owner.staff),
        ),
        exclude_credentials=known,
    )
    return options_to_json(options)


def register(session: Session, owner: Owner, name: str, answer: str, door: Door) -> Passkey:
    """Take a new passkey in.

    Raises:
        Refused: the answer is not one to our challenge, from our origin, by an authenticator that
            did what was asked; or the person has too many; or the key is known.
    """
    if not 0 < len(name.strip()) <= NAME_MAX:
        raise Refused("passkey-name", "请给通行密钥起个名字", "give the passkey a name")
    if len(listing(session, owner)) >= PASSKEYS_MAX:
        raise Refused("passkeys", f"最多 {PASSKEYS_MAX} 个", f"at most {PASSKEYS_MAX} passkeys")
    said = _challenge_of(session, answer, door, REGISTER)
    try:
        verified = verify_registration_response(
            credential=answer,
            expected_challenge=said,
            expected_rp_id=door.rp_id,
            expected_origin=door.origin,
            require_user_verification=owner.staff,
        )
    except _BROKEN as error:
        raise _refused() from error
    fits = len(verified.credential_id) <= CREDENTIAL_ID_MAX
    if not fits or len(verified.credential_public_key) > PUBLIC_KEY_MAX:
        raise _refused()
    if session.scalar(_by_credential(verified.credential_id)) is not None:
        raise Refused("passkey-known", "此通行密钥已登记", "this passkey is registered already")
    made = Passkey(
        credential_id=verified.credential_id,
        volunteer_id=owner.volunteer_id,
        user_id=owner.user_id,
        public_key=verified.credential_public_key,
        counter=verified.sign_count,
        name=name.strip(),
        created_ms=door.now_ms,
    )
    session.add(made)
    session.flush()
    audit.record(session, door.now_ms, owner.actor, "passkey.added", owner.actor, passkey=made.id)
    return made


def sign_in_options(door: Door, *, staff: bool) -> str:
    """Return the JSON that `navigator.credentials.get` takes; any passkey of ours may answer."""
    options = generate_authentication_options(
        rp_id=door.rp_id,
        challenge=challenge(door, SIGN_IN),
        user_verification=_verification(staff),
    )
    return options_to_json(options)


def sign_in(session: Session, answer: str, door: Door, *, staff: bool) -> Passkey | None:
    """Return the passkey that answered, its counter stepped; None when a copy was found out.

    The caller commits in either case: the challenge is spent, and a copy is marked.

    Raises:
        Refused: no passkey of this site answered rightly to our challenge; nobody is told why.
    """
    said = _challenge_of(session, answer, door, SIGN_IN)
    known = session.scalar(_by_credential(credential_id(answer)).with_for_update())
    if known is None or known.cloned_ms is not None or staff is not (known.user_id is not None):
        raise _refused()
    try:
        verified = verify_authentication_response(
            credential=answer,
            expected_challenge=said,
            expected_rp_id=door.rp_id,
            expected_origin=door.origin,
            credential_public_key=known.public_key,
            credential_current_sign_count=0,  # compared below, where a copy is written down
            require_user_verification=staff,
        )
    except _BROKEN as error:
        raise _refused() from error
    # WebAuthn level 2, section 7.2 step 21: both zero means that the authenticator has no counter.
    counts = verified.new_sign_count > 0 or known.counter > 0
    if counts and verified.new_sign_count <= known.counter:
        known.cloned_ms = door.now_ms
        audit.record(
            session, door.now_ms, audit.SYSTEM_ACTOR, "passkey.cloned", f"passkey:{known.id}",
            held=known.counter, said=verified.new_sign_count,
        )  # fmt: skip
        return None
    known.counter, known.used_ms = verified.new_sign_count, door.now_ms
    return known


def listing(session: Session, owner: Owner) -> list[Passkey]:
    """Return a person's passkeys, the oldest first."""
    return list(session.scalars(sa.select(Passkey).where(owner.owns()).order_by(Passkey.id)))


def remove(session: Session, owner: Owner, passkey_id: int, now_ms: int) -> None:
    """Remove a passkey of one's own."""
    statement = sa.select(Passkey).where(owner.owns(), Passkey.id == passkey_id)
    found = session.scalar(statement)
    if found is None:
        raise Refused("unknown-passkey", "没有这个通行密钥", "no such passkey")
    session.delete(found)
    audit.record(session, now_ms, owner.actor, "passkey.removed", owner.actor, passkey=passkey_id)


def _challenge_of(session: Session, answer: str, door: Door, purpose: str) -> bytes:
    """Return the challenge that an answer is to, and spend it."""
    if len(answer) > ANSWER_LENGTH_MAX:
        raise _refused()
    try:
        client = json.loads(base64url_to_bytes(_member(answer, "response")["clientDataJSON"]))
        said = base64url_to_bytes(client["challenge"])
    except _BROKEN as error:
        raise _refused() from error
    head, mac = said[: NONCE_SIZE + TIME_SIZE], said[NONCE_SIZE + TIME_SIZE :]
    made_ms = int.from_bytes(head[NONCE_SIZE:], "big")
    right = hmac.compare_digest(mac, _mac(door, purpose, head))
    if not right or not 0 <= door.now_ms - made_ms <= CHALLENGE_LIFETIME_MS:
        raise _refused()
    session.execute(
        sa.delete(PasskeyChallenge).where(
            PasskeyChallenge.made_ms < door.now_ms - CHALLENGE_LIFETIME_MS
        )
    )
    spent = PasskeyChallenge(
        challenge=said, purpose=purpose, bound_to=_digest(door.browser), made_ms=made_ms
    )
    try:
        with session.begin_nested():
            session.add(spent)
    except sa.exc.IntegrityError as error:
        raise _refused() from error
    return said


def credential_id(answer: str) -> bytes:
    """Return which passkey says that it answers; refused like everything that is not understood."""
    try:
        return base64url_to_bytes(_member(answer, "id"))
    except _BROKEN as error:
        raise _refused() from error


def _member(answer: str, name: str) -> Any:
    return json.loads(answer)[name]


def _by_credential(credential_id: bytes) -> sa.Select[Passkey]:
    return sa.select(Passkey).where(Passkey.credential_id == credential_id)


def _mac(door: Door, purpose: str, head: bytes) -> bytes:
    message = b"\0".join((b"yika/passkey/1", purpose.encode(), _digest(door.browser), head))
    return hmac.digest(door.secret, message, "sha256")[:MAC_SIZE]


def _digest(browser: bytes) -> bytes:
    return hashlib.sha256(browser).digest()


def _verification(staff: bool) -> UserVerificationRequirement:
    required, preferred = (
        UserVerificationRequirement.REQUIRED,
        UserVerificationRequirement.PREFERRED,
    )
    return required if staff else preferred


def _refused() -> Refused:
    return Refused(
        "passkey", "通行密钥验证未通过，请重试或使用密码",
        "the passkey was not accepted: try again, or use your password",
    )  # fmt: skip
