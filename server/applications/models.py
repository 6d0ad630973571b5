# SPDX-License-Identifier: Apache-2.0
"""Tables of applications: who applies, what they accepted, their photo, drafts, imports.

Everything that says who somebody is stands sealed under the person's own key; two fingerprints
under a key of the store find the same person again.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.applications.policy import ENDED_STATES, Agreement, Carrier, Channel, State
from server.db import Base, Id, Millis

FINGERPRINT_BYTES = 32
_ENDED = ", ".join(f"'{state}'" for state in ENDED_STATES)


def one_of_check(column: str, values: type[State | Carrier | Channel | Agreement]) -> str:
    """Return the SQL that a column is one of an enumeration's words."""
    listed = ", ".join(f"'{value}'" for value in values)
    return f"{column} in ({listed})"


class Application(Base):
    """One application; a person whose application ended may have another."""

    __tablename__ = "application"
    __table_args__ = (
        sa.CheckConstraint(one_of_check("state", State), "state"),
        sa.CheckConstraint(one_of_check("carrier", Carrier), "carrier"),
        sa.CheckConstraint(one_of_check("channel", Channel), "channel"),
        sa.Index(
            "ix_application_document_open",
            "document_fingerprint",
            unique=True,
            sqlite_where=sa.text(f"state not in ({_ENDED})"),
            postgresql_where=sa.text(f"state not in ({_ENDED})"),
        ),
        sa.Index("ix_application_state", "state", "id"),
        sa.Index("ix_application_volunteer_id", "volunteer_id"),
        sa.Index("ix_application_person_fingerprint", "person_fingerprint"),
        sa.Index("ix_application_preliminary_number", "preliminary_number"),
    )

    id: Mapped[Id]
    volunteer_id: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"))
    preliminary_number: Mapped[str | None] = mapped_column(sa.CHAR(10))
    state: Mapped[str] = mapped_column(sa.String(10))
    carrier: Mapped[str] = mapped_column(sa.String(6))
    branch_code: Mapped[str | None] = mapped_column(sa.String(16))
    organisation_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    document_kind: Mapped[str] = mapped_column(sa.String(24))
    document_tail: Mapped[str] = mapped_column(sa.String(4))
    document_fingerprint: Mapped[bytes | None] = mapped_column(sa.LargeBinary(FINGERPRINT_BYTES))
    person_fingerprint: Mapped[bytes | None] = mapped_column(sa.LargeBinary(FINGERPRINT_BYTES))
    sealed_document: Mapped[bytes]
    sealed_mobile: Mapped[bytes]
    sealed_address: Mapped[bytes]
    sealed_emergency: Mapped[bytes]
    channel: Mapped[str] = mapped_column(sa.String(8))
    entered_by: Mapped[str] = mapped_column(sa.String(64))
    submitted_ms: Mapped[Millis]
    changed_ms: Mapped[Millis]
    decided_by: Mapped[str | None] = mapped_column(sa.String(64))
    decided_ms: Mapped[Millis | None]
    reason: Mapped[str | None] = mapped_column(sa.String(200))
    frozen_ms: Mapped[Millis | None]  # since then carrier and branch stand in an order


class ApplicationPhoto(Base):
    """The photo that goes onto the card, sealed; the newest of an application counts."""

    __tablename__ = "application_photo"

    id: Mapped[Id]
    application_id: Mapped[int] = mapped_column(sa.ForeignKey("application.id"), index=True)
    sealed: Mapped[bytes]
    sha256: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    width: Mapped[int]
    height: Mapped[int]
    maybe_upscaled: Mapped[bool]
    at_ms: Mapped[Millis]


class AgreementText(Base):
    """One version of what people accept or declare; append-only."""

    __tablename__ = "agreement"

    kind: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    title_zh: Mapped[str] = mapped_column(sa.String(200))
    title_en: Mapped[str] = mapped_column(sa.String(200))
    text_zh: Mapped[str] = mapped_column(sa.Text)
    text_en: Mapped[str] = mapped_column(sa.Text)
    from_ms: Mapped[Millis]
    actor: Mapped[str] = mapped_column(sa.String(64))


class Acceptance(Base):
    """Somebody accepted a version; append-only."""

    __tablename__ = "acceptance"
    __table_args__ = (sa.Index("ix_acceptance_volunteer_id", "volunteer_id", "kind"),)

    id: Mapped[Id]
    volunteer_id: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"))
    kind: Mapped[str] = mapped_column(sa.String(12))
    version: Mapped[int]
    at_ms: Mapped[Millis]
    channel: Mapped[str] = mapped_column(sa.String(8))
    actor: Mapped[str] = mapped_column(sa.String(64))


class ApplicationRule(Base):
    """A figure of the rules as somebody set it; the newest of a name counts; append-only."""

    __tablename__ = "application_rule"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(sa.String(32))
    value: Mapped[int]
    actor: Mapped[str] = mapped_column(sa.String(64))
    reason: Mapped[str] = mapped_column(sa.String(200))
    at_ms: Mapped[Millis]


class ApplicationKey(Base):
    """The key of fingerprints, sealed by the key store; one row, id 1."""

    __tablename__ = "application_key"

    id: Mapped[Id]
    sealed: Mapped[bytes]


class ApplicationDraft(Base):
    """An application that is being filled in: sealed, found by a code, gone after a month."""

    __tablename__ = "application_draft"

    id: Mapped[Id]
    code_sha256: Mapped[bytes] = mapped_column(sa.LargeBinary(32), unique=True)
    sealed_key: Mapped[bytes]
    sealed: Mapped[bytes]
    sealed_photo: Mapped[bytes | None]
    entered_by: Mapped[str] = mapped_column(sa.String(64))
    created_ms: Mapped[Millis]
    changed_ms: Mapped[Millis] = mapped_column(index=True)


class ApplicationTry(Base):
    """One application begun, gone on with or handed in; `key` stands for the address."""

    __tablename__ = "application_try"
    __table_args__ = (sa.Index(None, "key", "at_ms"),)

    id: Mapped[Id]
    key: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    at_ms: Mapped[Millis]


class LeagueMembership(Base):
    """Somebody joined the Youth League, and left it; what they are today is derived from it."""

    __tablename__ = "league_membership"

    id: Mapped[Id]
    volunteer_id: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"), index=True)
    joined: Mapped[dt.date]
    left: Mapped[dt.date | None]
    actor: Mapped[str] = mapped_column(sa.String(64))
    at_ms: Mapped[Millis]


class VolunteerImport(Base):
    """One imported file of volunteers who served before this system."""

    __tablename__ = "volunteer_import"
    __table_args__ = (
        sa.Index(
            "ix_volunteer_import_sha256",
            "sha256",
            unique=True,
            sqlite_where=sa.text("undone_ms IS NULL"),
            postgresql_where=sa.text("undone_ms IS NULL"),
        ),
    )

    id: Mapped[Id]
    sha256: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    source: Mapped[str] = mapped_column(sa.String(200))
    mapping: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    lines: Mapped[int]
    minutes: Mapped[int] = mapped_column(sa.BigInteger)
    opening_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    actor: Mapped[str] = mapped_column(sa.String(64))
    at_ms: Mapped[Millis]
    undone_by: Mapped[str | None] = mapped_column(sa.String(64))
    undone_ms: Mapped[Millis | None]


class VolunteerImportLine(Base):
    """One line of an import and the volunteer it became."""

    __tablename__ = "volunteer_import_line"

    import_id: Mapped[int] = mapped_column(
        sa.ForeignKey("volunteer_import.id"), primary_key=True, autoincrement=False
    )
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    volunteer_id: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"), index=True)
    minutes: Mapped[int] = mapped_column(sa.BigInteger)
