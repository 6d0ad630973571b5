# SPDX-License-Identifier: Apache-2.0
"""Tables of sites, activities, terminals with their boxes, keys and PSAMs, and signed notices."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigInt, Id, Millis

TERMINAL_STATES = ("pending", "active", "quarantined", "revoked")


class Site(Base):
    """A place where volunteers serve."""

    __tablename__ = "site"

    id: Mapped[Id]
    name_zh: Mapped[str] = mapped_column(sa.String(64))
    name_en: Mapped[str] = mapped_column(sa.String(64))
    tz_q: Mapped[int]
    # Code of the region, "" = none; place in units of 1e-7 degree, for rules of places and travel.
    region: Mapped[str] = mapped_column(sa.String(12), default="", server_default="")
    organisation_id: Mapped[int | None] = mapped_column(BigInt, index=True)
    lat_e7: Mapped[int | None] = mapped_column(sa.BigInteger)
    lon_e7: Mapped[int | None] = mapped_column(sa.BigInteger)
    config_version: Mapped[int] = mapped_column(sa.BigInteger)
    rules: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)


class Activity(Base):
    """A planned piece of service at a site, approved; `cancelled_ms` once it does not happen."""

    __tablename__ = "activity"
    __table_args__ = (sa.UniqueConstraint("site_id", "code"),)

    id: Mapped[Id]
    site_id: Mapped[int] = mapped_column(sa.ForeignKey("site.id"), index=True)
    code: Mapped[str] = mapped_column(sa.String(16))
    name_zh: Mapped[str] = mapped_column(sa.String(64))
    name_en: Mapped[str] = mapped_column(sa.String(64))
    start_ms: Mapped[Millis]
    end_ms: Mapped[Millis]
    family: Mapped[str] = mapped_column(sa.String(32))
    planned_min: Mapped[int] = mapped_column(default=0)
    minors: Mapped[bool] = mapped_column(default=True)
    application_id: Mapped[int | None] = mapped_column(BigInt, index=True)
    capacity: Mapped[int | None]
    cancelled_ms: Mapped[Millis | None]


class ActivityApplication(Base):
    """A wish for an activity, once or repeated; approved by somebody else it becomes activities."""

    __tablename__ = "activity_application"
    __table_args__ = (
        sa.CheckConstraint("state in ('applied', 'approved', 'refused', 'cancelled')", "state"),
        sa.CheckConstraint(
            "state not in ('approved', 'refused') or decided_by <> applied_by", "two_people"
        ),
    )

    id: Mapped[Id]
    site_id: Mapped[int] = mapped_column(sa.ForeignKey("site.id"), index=True)
    code: Mapped[str] = mapped_column(sa.String(12))
    name_zh: Mapped[str] = mapped_column(sa.String(64))
    name_en: Mapped[str] = mapped_column(sa.String(64))
    start_ms: Mapped[Millis]  # of the first time
    end_ms: Mapped[Millis]
    every_days: Mapped[int]  # between two times; 0 with one time
    times: Mapped[int]
    planned_min: Mapped[int]
    capacity: Mapped[int | None]
    minors: Mapped[bool]
    state: Mapped[str] = mapped_column(sa.String(16), index=True)
    applied_by: Mapped[str] = mapped_column(sa.String(64))
    applied_ms: Mapped[Millis]
    decided_by: Mapped[str | None] = mapped_column(sa.String(64))
    decided_ms: Mapped[Millis | None]
    reason: Mapped[str] = mapped_column(sa.String(200), default="", server_default="")


class SiteOperator(Base):
    """Somebody who may sign on at a site's terminals, by a card and a PIN.

    `pin` is the verifier the terminals compare with; the PIN itself is nowhere.
    """

    __tablename__ = "site_operator"
    __table_args__ = (sa.CheckConstraint("role in ('operator', 'supervisor')", "role"),)

    site_id: Mapped[int] = mapped_column(sa.ForeignKey("site.id"), primary_key=True)
    asn: Mapped[str] = mapped_column(sa.CHAR(20), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(64))
    role: Mapped[str] = mapped_column(sa.String(16))
    pin: Mapped[str] = mapped_column(sa.String(128), default="")


class SiteMessage(Base):
    """A line for the displays of a site's terminals, from one instant until another."""

    __tablename__ = "site_message"

    id: Mapped[Id]
    site_id: Mapped[int] = mapped_column(sa.ForeignKey("site.id"), index=True)
    zh: Mapped[str] = mapped_column(sa.String(200))
    en: Mapped[str] = mapped_column(sa.String(200))
    from_ms: Mapped[Millis]
    until_ms: Mapped[Millis]


class Terminal(Base):
    """A terminal; its row is the lock under which its uploads are stored."""

    __tablename__ = "terminal"
    __table_args__ = (
        sa.CheckConstraint("state in ('pending', 'active', 'quarantined', 'revoked')", "state"),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(sa.String(64), unique=True)
    site_id: Mapped[int] = mapped_column(sa.ForeignKey("site.id"), index=True)
    state: Mapped[str] = mapped_column(sa.String(16))
    last_contact_ms: Mapped[Millis | None]
    unsent: Mapped[int | None]
    created_by: Mapped[str] = mapped_column(sa.String(64))
    approved_by: Mapped[str | None] = mapped_column(sa.String(64))
    bad_proofs: Mapped[int] = mapped_column(default=0)
    config_version: Mapped[int] = mapped_column(sa.BigInteger)
    activity_choice: Mapped[str] = mapped_column(sa.String(8), default="schedule")
    fixed_activity: Mapped[int | None] = mapped_column(sa.BigInteger)
    created_ms: Mapped[Millis]


class TerminalKey(Base):
    """A terminal's public key; `id` is the key_id in its events.

    After a change of key, or a revocation at a sequence number, it signs only the events before
    `until_seq`; `replaces` is the key that vouched for it.
    """

    __tablename__ = "terminal_key"

    id: Mapped[Id]
    terminal_id: Mapped[int] = mapped_column(sa.ForeignKey("terminal.id"), index=True)
    public_key: Mapped[bytes] = mapped_column(sa.LargeBinary(64), unique=True)
    suite: Mapped[int]
    until_seq: Mapped[int | None] = mapped_column(sa.BigInteger)
    replaces: Mapped[int | None] = mapped_column(sa.BigInteger)
    valid_from_ms: Mapped[Millis | None]
    revoked_ms: Mapped[Millis | None]


class Psam(Base):
    """A PSAM enrolled to one terminal from one of its sequence numbers on."""

    __tablename__ = "psam"
    __table_args__ = (
        sa.CheckConstraint("state in ('pending', 'active', 'quarantined', 'revoked')", "state"),
    )

    number: Mapped[bytes] = mapped_column(sa.LargeBinary(6), primary_key=True)
    terminal_id: Mapped[int] = mapped_column(sa.ForeignKey("terminal.id"), index=True)
    dpk_idx: Mapped[int]
    hardware: Mapped[bool]
    from_seq: Mapped[int] = mapped_column(sa.BigInteger)
    state: Mapped[str] = mapped_column(sa.String(16))
    created_by: Mapped[str] = mapped_column(sa.String(64))
    approved_by: Mapped[str | None] = mapped_column(sa.String(64))
    gap_flags: Mapped[int] = mapped_column(default=0)


class Replacement(Base):
    """A new box in the place of a dead one: ordered by one person, approved by another."""

    __tablename__ = "replacement"
    __table_args__ = (sa.CheckConstraint("state in ('ordered', 'approved', 'cancelled')", "state"),)

    id: Mapped[Id]
    terminal_id: Mapped[int] = mapped_column(sa.ForeignKey("terminal.id"), index=True)
    reason: Mapped[str] = mapped_column(sa.String(200))
    ordered_by: Mapped[str] = mapped_column(sa.String(64))
    ordered_ms: Mapped[Millis]
    state: Mapped[str] = mapped_column(sa.String(16))
    approved_by: Mapped[str | None] = mapped_column(sa.String(64))
    approved_ms: Mapped[Millis | None]
    key_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    last_seq: Mapped[int | None] = mapped_column(sa.BigInteger)


class EnrolToken(Base):
    """A one-time token for enrolling a terminal; only its hash is kept."""

    __tablename__ = "enrol_token"

    hash: Mapped[bytes] = mapped_column(sa.LargeBinary(32), primary_key=True)
    terminal_id: Mapped[int] = mapped_column(sa.ForeignKey("terminal.id"), index=True)
    expires_ms: Mapped[Millis]
    used_ms: Mapped[Millis | None]


class HotlistIssue(Base):
    """A signed hotlist as handed out; one row a version."""

    __tablename__ = "hotlist"

    version: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    built_ms: Mapped[Millis]
    body: Mapped[bytes]


class ConfigNotice(Base):
    """A signed configuration as handed out to one terminal."""

    __tablename__ = "config_notice"

    terminal_id: Mapped[int] = mapped_column(sa.ForeignKey("terminal.id"), primary_key=True)
    version: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    built_ms: Mapped[Millis]
    body: Mapped[bytes]
