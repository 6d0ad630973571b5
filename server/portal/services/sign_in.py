# SPDX-License-Identifier: Apache-2.0
"""Sign people in and out, and change their passwords.

A try is written down before the secret is looked at and taken back when it was right, so that
many tries at once cannot slip through between counting and writing. The secret is compared in a
unit of work for reading: it takes tens of milliseconds, and SQLite has one writer.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.errors import Refused
from server.people import audit, passkeys, sign_in
from server.people.models import User, Volunteer
from server.people.passkeys import Door
from server.portal.errors import CurrentWrong, PasswordRefused, SignInRefused, TooManyAttempts
from server.portal.models import PortalSession, SignInFailure
from server.portal.policy import (
    FAILURE_WINDOW_MS,
    SESSION_IDLE_MS,
    SESSION_LENGTH_MAX_MS,
    Attempts,
    PasswordFault,
    Role,
    attempts_allowed,
    password_fault,
)
from server.portal.services.sessions import Principal, principal_of, token_hash
from server.structure import rights

TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Knock:
    """Somebody at the door: who they say they are, their secret, where they come from."""

    desk: bool
    name: str
    secret: str = field(repr=False)
    address: str
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Welcome:
    """A fresh session: the token goes into the cookie and nowhere else."""

    role: Role
    must_change: bool
    token: str = field(repr=False)


class Gate:
    """The way in: sign-in with limits, sign-out, change of password."""

    def __init__(self, database: Database, pepper: bytes) -> None:
        """Use `pepper` to key the hashes of numbers and addresses in the failure table."""
        self._database = database
        self._pepper = pepper

    def sign_in(self, knock: Knock, now_ms: int) -> Welcome:
        """Compare the secret and open a session.

        Raises:
            TooManyAttempts: the limit of this number or this address is reached.
            SignInRefused: number or name unknown, or secret wrong; the work was the same.
        """
        subject = self._key("user" if knock.desk else "volunteer", knock.name.casefold())
        address = self._key("address", knock.address)
        with self._database.writing() as session:
            _reserve(session, subject, address, now_ms)
        with self._database.reading() as session:
            found = _compare(session, knock)
        if found is None:
            raise SignInRefused
        found.way, found.agent = "password", knock.agent
        with self._database.writing() as session:
            _forgive(session, subject, address)
            return _open(session, found, now_ms)

    def sign_in_by_passkey(self, knock: Knock, door: Door) -> Welcome:
        """Check a passkey's answer, which `knock.secret` holds, and open a session.

        Raises:
            TooManyAttempts: the limit of this passkey or this address is reached.
            SignInRefused: no passkey of ours answered rightly, or its owner has no role.
        """
        try:
            claimed = passkeys.credential_id(knock.secret)
        except Refused as error:
            raise SignInRefused from error
        subject = self._key("passkey", claimed.hex())
        address = self._key("address", knock.address)
        with self._database.writing() as session:
            _reserve(session, subject, address, door.now_ms)
        try:
            with self._database.writing() as session:
                found = passkeys.sign_in(session, knock.secret, door, staff=knock.desk)
                whose = (found.volunteer_id, found.user_id) if found else None
        except Refused as error:
            raise SignInRefused from error
        if whose is None:
            raise SignInRefused
        row = PortalSession(
            volunteer_id=whose[0], user_id=whose[1], way="passkey", agent=knock.agent
        )
        with self._database.writing() as session:
            _forgive(session, subject, address)
            return _open(session, row, door.now_ms)

    def sign_out(self, token: str) -> None:
        """End the session of a token; an unknown token is no error."""
        with self._database.writing() as session:
            session.execute(
                sa.delete(PortalSession).where(PortalSession.token_hash == token_hash(token))
            )

    def change_password(self, who: Principal, current: str, new: str, now_ms: int) -> None:
        """Replace the secret, end the one-time code and every other session of the person.

        `current` is not asked of somebody who has just come in with the one-time code.

        Raises:
            CurrentWrong: the current password does not match.
            PasswordRefused: the new one breaks a rule.
            TooManyAttempts: the current password was guessed too often.
        """
        if not who.must_change:
            self._check_current(who, current, now_ms)
        fault = password_fault(new, name=who.name, current=current)
        if fault is None and who.must_change and self._matches(who, sign_in.as_printed(new)):
            fault = PasswordFault.UNCHANGED
        if fault is not None:
            raise PasswordRefused(fault)
        with self._database.writing() as session:
            _store_password(session, who, new, now_ms)
            session.execute(
                sa.delete(PortalSession).where(
                    _owner(who) == who.id, PortalSession.token_hash != who.token_hash
                )
            )

    def _check_current(self, who: Principal, current: str, now_ms: int) -> None:
        key = self._key("password", who.actor)
        with self._database.writing() as session:
            _reserve(session, key, key, now_ms)
        if not self._matches(who, current):
            raise CurrentWrong
        with self._database.writing() as session:
            _forgive(session, key, key)

    def _matches(self, who: Principal, secret: str) -> bool:
        model = Volunteer if who.role is Role.VOLUNTEER else User
        with self._database.reading() as session:
            hashed = session.execute(
                sa.select(model.secret_hash).where(model.id == who.id)
            ).scalar_one()
        return sign_in.verify_secret(hashed, secret)

    def _key(self, kind: str, value: str) -> bytes:
        return hmac.digest(self._pepper, f"{kind}\0{value}".encode(), hashlib.sha256)


def _open(session: Session, row: PortalSession, now_ms: int) -> Welcome:
    """Store a fresh session and return its token, which nobody else learns."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row.token_hash = token_hash(token)
    row.created_ms = row.seen_ms = now_ms
    _forget_ended_sessions(session, now_ms)
    session.add(row)
    session.flush()
    who = principal_of(session, row)
    if who is None:
        raise SignInRefused
    audit.record(session, now_ms, who.actor, "session.opened", who.actor, way=row.way)
    return Welcome(who.role, who.must_change, token)


def _compare(session: Session, knock: Knock) -> PortalSession | None:
    if knock.desk:
        user = sign_in.sign_in_user(session, knock.name, knock.secret)
        # Who has no role left has no door either.
        found = user is not None and bool(rights.grants(session, user.id))
        return PortalSession(user_id=user.id) if user and found else None
    volunteer = sign_in.sign_in_volunteer(session, knock.name, knock.secret)
    return PortalSession(volunteer_id=volunteer.id) if volunteer else None


def _reserve(session: Session, subject: bytes, address: bytes, now_ms: int) -> None:
    """Count this try among the failures, or refuse it without counting.

    A refused try does not prolong the wait, so a person who keeps trying still gets in.
    """
    if session.get_bind().dialect.name == "postgresql":
        # One try per number at a time; SQLite has one writer anyway.
        lock = int.from_bytes(subject[:8], "big", signed=True)
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
    session.execute(
        sa.delete(SignInFailure).where(SignInFailure.at_ms <= now_ms - FAILURE_WINDOW_MS)
    )
    found = {key: _failures(session, key) for key in (subject, address)}
    attempts = Attempts(subject=len(found[subject]) + 1, address=len(found[address]) + 1)
    if not attempts_allowed(attempts):
        oldest = min(at for times in found.values() for at in times)
        raise TooManyAttempts(max(1, -(-(oldest + FAILURE_WINDOW_MS - now_ms) // 1000)))
    session.add_all(SignInFailure(key=key, at_ms=now_ms) for key in {subject, address})


def _failures(session: Session, key: bytes) -> list[int]:
    statement = sa.select(SignInFailure.at_ms).where(SignInFailure.key == key)
    return list(session.execute(statement).scalars())


def _forgive(session: Session, subject: bytes, address: bytes) -> None:
    """Forget the failures of a person who is in, and one of the address: this try."""
    session.execute(sa.delete(SignInFailure).where(SignInFailure.key == subject))
    newest = (
        sa.select(sa.func.max(SignInFailure.id))
        .where(SignInFailure.key == address)
        .scalar_subquery()
    )
    session.execute(sa.delete(SignInFailure).where(SignInFailure.id == newest))


def _forget_ended_sessions(session: Session, now_ms: int) -> None:
    rested = PortalSession.seen_ms < now_ms - SESSION_IDLE_MS
    aged = PortalSession.created_ms < now_ms - SESSION_LENGTH_MAX_MS
    session.execute(sa.delete(PortalSession).where(sa.or_(rested, aged)))


def _store_password(session: Session, who: Principal, new: str, now_ms: int) -> None:
    if who.role is Role.VOLUNTEER:
        sign_in.set_volunteer_password(session, who.id, new, now_ms)
        return
    user = session.get_one(User, who.id)
    user.secret_hash = sign_in.hash_secret(new)
    audit.record(session, now_ms, who.actor, "user.password-set", who.actor)


def _owner(who: Principal) -> sa.orm.InstrumentedAttribute[int | None]:
    return PortalSession.volunteer_id if who.role is Role.VOLUNTEER else PortalSession.user_id
