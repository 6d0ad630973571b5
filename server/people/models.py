# SPDX-License-Identifier: Apache-2.0
"""Tables of people: volunteers, their cards, users of the pages, the audit trail.

Personal data is sealed under a key of the person's own, which the key store seals; only the number
and the masked name are readable.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigInt, Id, Millis

ROLES = (
    "volunteer", "leader", "staff", "org_manager", "region_manager", "call_centre", "partner",
    "auditor", "admin",
)  # fmt: skip
CODE, PASSWORD = SECRET_KINDS = ("code", "password")
CARD_STATES = ("active", "lost", "blocked", "replaced", "revoked")


class Sequence(Base):
    """A counter row taken under lock; gaps may happen, repetition never."""

    __tablename__ = "sequence"

    name: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    value: Mapped[int] = mapped_column(sa.BigInteger)


class Volunteer(Base):
    """A person who serves; the number is public, name and birth date are sealed."""

    __tablename__ = "volunteer"
    __table_args__ = (sa.CheckConstraint("secret_kind in ('code', 'password')", "secret_kind"),)

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(sa.CHAR(10), unique=True)
    sealed_name: Mapped[bytes]
    sealed_birth: Mapped[bytes]
    masked_name: Mapped[str] = mapped_column(sa.String(64))
    minor_until_ms: Mapped[Millis | None]
    guardian_id: Mapped[int | None] = mapped_column(sa.ForeignKey("volunteer.id"), index=True)
    created_ms: Mapped[Millis]
    secret_hash: Mapped[str] = mapped_column(sa.String(255))
    secret_kind: Mapped[str] = mapped_column(sa.String(8))
    code_ms: Mapped[Millis | None]  # when the one-time code was given, while it serves
    erased_ms: Mapped[Millis | None]


class SealedPersonKey(Base):
    """The key of one person's data, sealed by the key store; without the row the data is gone."""

    __tablename__ = "person_key"

    volunteer_id: Mapped[int] = mapped_column(
        sa.ForeignKey("volunteer.id"), primary_key=True, autoincrement=False
    )
    sealed: Mapped[bytes]
    made_ms: Mapped[Millis]


class Card(Base):
    """A chip card given to a volunteer; `asn` is its application serial, 20 digits."""

    __tablename__ = "card"
    __table_args__ = (
        sa.CheckConstraint(
            "state in ('active', 'lost', 'blocked', 'replaced', 'revoked')", "state"
        ),
    )

    id: Mapped[Id]
    asn: Mapped[str] = mapped_column(sa.CHAR(20), unique=True)
    volunteer_id: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"), index=True)
    state: Mapped[str] = mapped_column(sa.String(16))
    key_version: Mapped[int]
    issued_ms: Mapped[Millis]
    revoked_ms: Mapped[Millis | None]
    reason: Mapped[str | None] = mapped_column(sa.String(200))


class User(Base):
    """Somebody who works with the pages; `role` says with which menu, the grants say what opens."""

    __tablename__ = "user"
    __table_args__ = (
        sa.CheckConstraint(
            "role in ('volunteer', 'leader', 'staff', 'org_manager', 'region_manager',"
            " 'call_centre', 'partner', 'auditor', 'admin')",
            "role",
        ),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(sa.String(64), unique=True)
    secret_hash: Mapped[str] = mapped_column(sa.String(255))
    role: Mapped[str] = mapped_column(sa.String(16))
    site_id: Mapped[int | None]


class RoleGrant(Base):
    """A role given to a user over a scope; what was taken back stays with its end."""

    __tablename__ = "role_grant"
    __table_args__ = (
        sa.CheckConstraint(
            "scope_kind in ('site', 'organisation', 'region', 'partner', 'all')", "scope_kind"
        ),
    )

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user.id"), index=True)
    role: Mapped[str] = mapped_column(sa.String(16))
    scope_kind: Mapped[str] = mapped_column(sa.String(16))
    scope_ref: Mapped[str] = mapped_column(sa.String(32), default="", server_default="")
    granted_by: Mapped[str] = mapped_column(sa.String(64))
    granted_ms: Mapped[Millis]
    revoked_by: Mapped[str | None] = mapped_column(sa.String(64))
    revoked_ms: Mapped[Millis | None]


class Passkey(Base):
    """A person's key for signing in (WebAuthn); `counter` is what the authenticator last said.

    A counter that stood or fell back means a copy: `cloned_ms` is set and the key opens nothing.
    """

    __tablename__ = "passkey"
    __table_args__ = (
        sa.CheckConstraint("(volunteer_id is null) <> (user_id is null)", "one_subject"),
    )

    id: Mapped[Id]
    credential_id: Mapped[bytes] = mapped_column(sa.LargeBinary(1023), unique=True)
    volunteer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("volunteer.id"), index=True)
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("user.id"), index=True)
    public_key: Mapped[bytes] = mapped_column(sa.LargeBinary(1024))  # COSE_Key, RFC 9052
    counter: Mapped[int] = mapped_column(sa.BigInteger)
    name: Mapped[str] = mapped_column(sa.String(64))
    created_ms: Mapped[Millis]
    used_ms: Mapped[Millis | None]
    cloned_ms: Mapped[Millis | None]


class PasskeyChallenge(Base):
    """A challenge that was answered: it serves once; `bound_to` says in whose browser."""

    __tablename__ = "passkey_challenge"

    challenge: Mapped[bytes] = mapped_column(sa.LargeBinary(32), primary_key=True)
    purpose: Mapped[str] = mapped_column(sa.String(16))
    bound_to: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    made_ms: Mapped[Millis]


class Audit(Base):
    """One line of who did what to what; the database refuses to change it."""

    __tablename__ = "audit"

    id: Mapped[Id]
    at_ms: Mapped[Millis]
    actor: Mapped[str] = mapped_column(sa.String(64))
    action: Mapped[str] = mapped_column(sa.String(64), index=True)
    subject: Mapped[str] = mapped_column(sa.String(64), index=True)
    detail: Mapped[dict[str, Any]] = mapped_column(sa.JSON)


class AuditLink(Base):
    """One link of the chain over the audit trail: its hash stands for all lines up to it."""

    __tablename__ = "audit_link"

    number: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    audit_id: Mapped[int] = mapped_column(BigInt, unique=True)
    hash: Mapped[bytes] = mapped_column(sa.LargeBinary(32))


class AuditHead(Base):
    """The end of that chain; exactly one row, id 1, locked by whoever adds a link."""

    __tablename__ = "audit_head"

    id: Mapped[Id]
    number: Mapped[int] = mapped_column(sa.BigInteger)
    hash: Mapped[bytes] = mapped_column(sa.LargeBinary(32))


class DirtyPerson(Base):
    """A person whose hours must be derived again; the same person may wait several times."""

    __tablename__ = "dirty_person"

    id: Mapped[Id]
    volunteer_id: Mapped[int] = mapped_column(BigInt, index=True)


class DirtyBoot(Base):
    """A boot of a terminal about which more is known now: who tapped in it is to be looked at."""

    __tablename__ = "dirty_boot"

    id: Mapped[Id]
    terminal_id: Mapped[int] = mapped_column(sa.BigInteger)
    boot: Mapped[int] = mapped_column(sa.BigInteger)
