# SPDX-License-Identifier: Apache-2.0
"""Secrets of people: one-time codes, passwords, and the check of either.

A volunteer gets a code printed when the card is issued and sets a password at the first sign-in;
the code serves until then and no longer. Unknown names cost the same time and get the same
answer as wrong secrets.
"""

from __future__ import annotations

import secrets
from functools import lru_cache

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.orm import Session

from server.errors import Refused
from server.people import audit
from server.people.models import CODE, PASSWORD, User, Volunteer

# RFC 9106 section 4, second recommended option, with one lane: sign-ins run on web threads.
ARGON2 = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=1)
# No vowels (no words), nothing that looks like something else; 22**10 is more than 44 bits.
CODE_ALPHABET = "BCDFGHJKMNPQRTVWXY2346"
CODE_GROUPS = 2
CODE_GROUP_LENGTH = 5
PASSWORD_LENGTH_MIN = 8
# Longer input costs hashing time and nobody types it.
PASSWORD_LENGTH_MAX = 128


def new_code() -> str:
    """Return a fresh sign-in code, two groups of five characters."""
    groups = (
        "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_GROUP_LENGTH))
        for _ in range(CODE_GROUPS)
    )
    return "-".join(groups)


def as_printed(typed: str) -> str:
    """Return a code as it was printed, however somebody typed it.

    >>> as_printed(" bcdfg hjkmn "), as_printed("bcdfghjkmn")
    ('BCDFG-HJKMN', 'BCDFG-HJKMN')
    """
    bare = "".join(char for char in typed.upper() if char.isalnum())
    starts = range(0, len(bare), CODE_GROUP_LENGTH)
    return "-".join(bare[start : start + CODE_GROUP_LENGTH] for start in starts)


def hash_secret(secret: str) -> str:
    """Return the argon2id hash of a code or password; codes are taken without regard to case."""
    return ARGON2.hash(secret)


def verify_secret(hashed: str, secret: str) -> bool:
    """Tell whether a secret belongs to a hash."""
    if len(secret) > PASSWORD_LENGTH_MAX:
        return False
    try:
        return ARGON2.verify(hashed, secret)
    except (VerificationError, InvalidHashError):
        return False


def sign_in_volunteer(session: Session, number: str, secret: str) -> Volunteer | None:
    """Return the volunteer whose number and secret these are, else None.

    A volunteer whose `secret_kind` is `CODE` must set a password before anything else.
    """
    volunteer = session.scalar(sa.select(Volunteer).where(Volunteer.number == number.strip()))
    hashed = volunteer.secret_hash if volunteer else hash_of_nobody()
    typed = secret
    if volunteer is not None and volunteer.secret_kind == CODE:
        typed = as_printed(secret)
    return volunteer if verify_secret(hashed, typed) and volunteer else None


def sign_in_user(session: Session, name: str, secret: str) -> User | None:
    """Return the user whose name and password these are, else None."""
    user = session.scalar(sa.select(User).where(User.name == name.strip()))
    hashed = user.secret_hash if user else hash_of_nobody()
    return user if verify_secret(hashed, secret) and user else None


def set_volunteer_password(session: Session, volunteer_id: int, password: str, now_ms: int) -> None:
    """Replace a volunteer's code or password; the code is void from here on."""
    check_password(password)
    volunteer = session.get_one(Volunteer, volunteer_id)
    volunteer.secret_hash = hash_secret(password)
    volunteer.secret_kind = PASSWORD
    volunteer.code_ms = None
    subject = f"volunteer:{volunteer.number}"
    audit.record(session, now_ms, subject, "volunteer.password-set", subject)


def renew_code(session: Session, number: str, actor: str, now_ms: int) -> str:
    """Give a volunteer who lost the secret a new one-time code, which voids the old secret."""
    volunteer = session.scalar(sa.select(Volunteer).where(Volunteer.number == number))
    if volunteer is None:
        raise Refused("unknown-volunteer", "没有这个义工号", f"no volunteer {number}")
    if volunteer.erased_ms is not None:
        raise Refused("erased", "此人的个人信息已删除", f"the data of {number} is erased")
    code = new_code()
    volunteer.secret_hash = hash_secret(code)
    volunteer.secret_kind = CODE
    volunteer.code_ms = now_ms
    audit.record(session, now_ms, actor, "volunteer.code-renewed", f"volunteer:{number}")
    return code


def check_password(password: str) -> None:
    """Refuse a password that is too short or too long."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise Refused(
            "password-length",
            f"密码须为 {PASSWORD_LENGTH_MIN} 至 {PASSWORD_LENGTH_MAX} 个字符",
            f"a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters",
        )


@lru_cache(maxsize=1)
def hash_of_nobody() -> str:
    """Return a hash whose secret nobody knows; to compare with it costs as much as any other."""
    return hash_secret(secrets.token_hex(16))
