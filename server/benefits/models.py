# SPDX-License-Identifier: Apache-2.0
"""Tables of benefits: who is insured from when to when, claims, donations, campaigns."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, Millis


class Insured(Base):
    """A stretch of cover of one volunteer; without an end it runs on."""

    __tablename__ = "insured"
    __table_args__ = (sa.Index("ix_insured_open", "until_day", "volunteer_id"),)

    id: Mapped[Id]
    volunteer_id: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"), index=True)
    from_day: Mapped[dt.date]
    until_day: Mapped[dt.date | None]  # the first day without cover


class InsuranceFile(Base):
    """One day's difference file as it was written; written again it is the same bytes."""

    __tablename__ = "insurance_file"

    day: Mapped[dt.date] = mapped_column(primary_key=True)
    added: Mapped[int]
    removed: Mapped[int]
    insured: Mapped[int]
    sha256: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    made_ms: Mapped[Millis]


class Claim(Base):
    """A claim as it was checked: what for, by which service it is covered. Append-only."""

    __tablename__ = "insurance_claim"
    __table_args__ = (
        sa.CheckConstraint("kind in ('death', 'disability', 'medical')", "kind"),
        sa.CheckConstraint("cost_fen >= 0 and pays_fen >= 0", "amounts"),
    )

    id: Mapped[Id]
    volunteer_id: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"), index=True)
    kind: Mapped[str] = mapped_column(sa.String(12))
    at_ms: Mapped[Millis]
    cost_fen: Mapped[int] = mapped_column(sa.BigInteger)
    pays_fen: Mapped[int] = mapped_column(sa.BigInteger)
    code: Mapped[str] = mapped_column(sa.String(24))
    interval_id: Mapped[int | None] = mapped_column(sa.ForeignKey("service_interval.id"))
    actor: Mapped[str] = mapped_column(sa.String(64))
    made_ms: Mapped[Millis]


class Donation(Base):
    """What a bank donated in one volunteer's name in one month: 10 fen a purchase. Append-only.

    `refunds` are purchases of that month or an earlier one that were taken back.
    """

    __tablename__ = "donation"
    __table_args__ = (
        sa.UniqueConstraint("partner", "month", "volunteer_id"),
        sa.CheckConstraint("purchases >= 0 and refunds >= 0", "counts"),
    )

    id: Mapped[Id]
    partner: Mapped[str] = mapped_column(sa.String(16))
    month: Mapped[str] = mapped_column(sa.CHAR(7))  # YYYY-MM
    volunteer_id: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"), index=True)
    purchases: Mapped[int] = mapped_column(sa.BigInteger)
    refunds: Mapped[int] = mapped_column(sa.BigInteger)
    amount_fen: Mapped[int] = mapped_column(sa.BigInteger)
    cause_ref: Mapped[str] = mapped_column(sa.String(120))
    made_ms: Mapped[Millis]


class Campaign(Base):
    """A benefit of the Foundation or a partner, for cardholders who opted in."""

    __tablename__ = "benefit_campaign"

    id: Mapped[Id]
    name_zh: Mapped[str] = mapped_column(sa.String(120))
    name_en: Mapped[str] = mapped_column(sa.String(120))
    from_day: Mapped[dt.date]
    until_day: Mapped[dt.date]
    least_minutes: Mapped[int]
    made_by: Mapped[str] = mapped_column(sa.String(64))
    made_ms: Mapped[Millis]
