# SPDX-License-Identifier: Apache-2.0
"""Tables of structure: regions, organisations, memberships, sub-sites by host name."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigInt, Id, Millis


class Region(Base):
    """A province, city, county, town or street by its public code; `retired_ms` once it is gone."""

    __tablename__ = "region"
    __table_args__ = (sa.CheckConstraint("level between 1 and 4", "level"),)

    code: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    level: Mapped[int] = mapped_column(sa.SmallInteger)
    parent: Mapped[str | None] = mapped_column(sa.String(12), index=True)
    name_zh: Mapped[str] = mapped_column(sa.String(64))
    name_en: Mapped[str] = mapped_column(sa.String(64))
    retired_ms: Mapped[Millis | None]


class Organisation(Base):
    """An organisation of volunteers in a region; one below another has a parent."""

    __tablename__ = "organisation"

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(sa.String(32), unique=True)
    name_zh: Mapped[str] = mapped_column(sa.String(64))
    name_en: Mapped[str] = mapped_column(sa.String(64))
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    region: Mapped[str] = mapped_column(sa.String(12), index=True)
    created_ms: Mapped[Millis]
    closed_ms: Mapped[Millis | None]


class Membership(Base):
    """Somebody belongs to an organisation; ended, never deleted."""

    __tablename__ = "membership"
    __table_args__ = (
        sa.Index(
            "ix_membership_current",
            "volunteer_id",
            "organisation_id",
            unique=True,
            sqlite_where=sa.text("until_ms IS NULL"),
            postgresql_where=sa.text("until_ms IS NULL"),
        ),
        sa.Index("ix_membership_organisation_id", "organisation_id"),
    )

    id: Mapped[Id]
    volunteer_id: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"))
    organisation_id: Mapped[int] = mapped_column(sa.BigInteger)
    from_ms: Mapped[Millis]
    until_ms: Mapped[Millis | None]
    actor: Mapped[str] = mapped_column(sa.String(64))


class SubSite(Base):
    """A host name under which the pages show an organisation's or a region's own look."""

    __tablename__ = "sub_site"

    host: Mapped[str] = mapped_column(sa.String(253), primary_key=True)
    organisation_id: Mapped[int | None] = mapped_column(BigInt)
    region: Mapped[str] = mapped_column(sa.String(12), default="", server_default="")
    title_zh: Mapped[str] = mapped_column(sa.String(64))
    title_en: Mapped[str] = mapped_column(sa.String(64))
    colour: Mapped[str] = mapped_column(sa.String(16))
    logo: Mapped[bytes | None]
    changed_ms: Mapped[Millis]
