# SPDX-License-Identifier: Apache-2.0
"""Tables of reconciliation: derived intervals, the exception queue, leaders' corrections.

Intervals and exceptions are derived: a new derivation adds rows and takes `current` from the old
ones, so that what was believed before stays readable. Corrections are decisions and append-only.
"""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigInt, Id, Millis
from server.structure.models import Organisation

INTERVAL_STATES = ("credited", "zero", "held", "open", "exception")
EXCEPTION_STATES = ("open", "approved", "rejected", "closed")


def _one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} in ({listed})", column)


class ServiceInterval(Base):
    """One service of one person as last derived; `rules` lists the rules that had a part."""

    __tablename__ = "service_interval"
    __table_args__ = (
        _one_of("state", INTERVAL_STATES),
        sa.CheckConstraint("credited_minutes >= 0", "credited"),
        sa.Index("ix_service_interval_person", "person", "current", "start_ms"),
        sa.Index("ix_service_interval_site", "site", "current", "start_ms"),
    )

    id: Mapped[Id]
    person: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"))
    # What stays the same when the interval is derived again: in:T:S, out:T:S or correction:N.
    key: Mapped[str] = mapped_column(sa.String(64))
    in_terminal: Mapped[int | None] = mapped_column(sa.BigInteger)
    in_seq: Mapped[int | None] = mapped_column(sa.BigInteger)
    out_terminal: Mapped[int | None] = mapped_column(sa.BigInteger)
    out_seq: Mapped[int | None] = mapped_column(sa.BigInteger)
    correction_id: Mapped[int | None] = mapped_column(sa.ForeignKey("correction.id"))
    start_ms: Mapped[Millis]
    end_ms: Mapped[Millis | None]
    raw_ms: Mapped[Millis | None]
    credited_minutes: Mapped[int]
    grade: Mapped[str] = mapped_column(sa.String(1))
    state: Mapped[str] = mapped_column(sa.String(16))
    rules: Mapped[str] = mapped_column(sa.String(120))
    site: Mapped[int | None] = mapped_column(sa.BigInteger)
    activity: Mapped[int | None] = mapped_column(sa.BigInteger)
    service_day: Mapped[dt.date]
    engine_version: Mapped[int]
    # Ids of the parameters that applied beside the policy, with commas.
    parameters: Mapped[str] = mapped_column(sa.String(200), default="", server_default="")
    made_ms: Mapped[Millis]
    current: Mapped[bool]


class ReconException(Base):
    """One matter that a person must settle before minutes count."""

    __tablename__ = "recon_exception"
    __table_args__ = (
        _one_of("state", EXCEPTION_STATES),
        sa.Index("ix_recon_exception_person", "person", "current"),
        sa.Index("ix_recon_exception_queue", "state", "current"),
    )

    id: Mapped[Id]
    person: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"))
    rule: Mapped[int]
    terminal: Mapped[int] = mapped_column(sa.BigInteger)
    seq: Mapped[int] = mapped_column(sa.BigInteger)
    other_terminal: Mapped[int | None] = mapped_column(sa.BigInteger)
    other_seq: Mapped[int | None] = mapped_column(sa.BigInteger)
    detail_zh: Mapped[str] = mapped_column(sa.String(200))
    detail_en: Mapped[str] = mapped_column(sa.String(200))
    proposed_start_ms: Mapped[Millis | None]
    proposed_end_ms: Mapped[Millis | None]
    state: Mapped[str] = mapped_column(sa.String(16))
    made_ms: Mapped[Millis]
    current: Mapped[bool]


class BootClock(Base):
    """The corrected times of all events of one boot, kept; derived, and made again at any time."""

    __tablename__ = "boot_clock"

    terminal_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    boot: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    # Stands for the settings and the version of the rules that made it.
    made_by: Mapped[int] = mapped_column(sa.BigInteger)
    times: Mapped[bytes]


class Correction(Base):
    """A leader's decision; it refers to what it corrects and is never edited.

    `record` is what was decided in canonical form, signed by the server when it was written.
    """

    __tablename__ = "correction"

    id: Mapped[Id]
    person: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"), index=True)
    exception_id: Mapped[int | None] = mapped_column(sa.ForeignKey("recon_exception.id"))
    rule: Mapped[int]
    terminal: Mapped[int | None] = mapped_column(sa.BigInteger)
    seq: Mapped[int | None] = mapped_column(sa.BigInteger)
    decision: Mapped[str] = mapped_column(sa.String(16))
    start_ms: Mapped[Millis | None]
    end_ms: Mapped[Millis | None]
    minutes: Mapped[int]
    grade: Mapped[str] = mapped_column(sa.String(1))
    leader: Mapped[str] = mapped_column(sa.String(64))
    approved_by: Mapped[str | None] = mapped_column(sa.String(64))
    at_ms: Mapped[Millis]
    reason: Mapped[str] = mapped_column(sa.String(200))
    # Where and what for, if no tap says it.
    site: Mapped[int | None] = mapped_column(sa.BigInteger)
    activity: Mapped[int | None] = mapped_column(sa.BigInteger)
    record: Mapped[bytes | None]
    signature: Mapped[bytes | None] = mapped_column(sa.LargeBinary(64))
    key_id: Mapped[int | None] = mapped_column(sa.BigInteger)


class TrainingRecord(Base):
    """A class one person went to by tapping, as last derived; without an end it has no minutes."""

    __tablename__ = "training_record"
    __table_args__ = (
        sa.CheckConstraint("minutes >= 0", "minutes"),
        sa.Index("ix_training_record_person", "person", "current"),
        sa.Index("ix_training_record_activity", "activity", "current"),
    )

    id: Mapped[Id]
    person: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"))
    in_terminal: Mapped[int] = mapped_column(sa.BigInteger)
    in_seq: Mapped[int] = mapped_column(sa.BigInteger)
    out_terminal: Mapped[int | None] = mapped_column(sa.BigInteger)
    out_seq: Mapped[int | None] = mapped_column(sa.BigInteger)
    start_ms: Mapped[Millis]
    end_ms: Mapped[Millis | None]
    minutes: Mapped[int]
    site: Mapped[int] = mapped_column(sa.BigInteger)
    activity: Mapped[int | None] = mapped_column(sa.BigInteger)
    service_day: Mapped[dt.date]
    made_ms: Mapped[Millis]
    current: Mapped[bool]


class Merit(Base):
    """Credit or points that an organisation gave a volunteer; never edited, taken back by a minus.

    `actor` is who gave it, in the organisation's name.
    """

    __tablename__ = "merit"
    __table_args__ = (
        _one_of("kind", ("credit", "points")),
        sa.CheckConstraint("value <> 0", "value"),
        sa.Index("ix_merit_person", "person"),
    )

    id: Mapped[Id]
    person: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"))
    organisation: Mapped[int] = mapped_column(sa.ForeignKey(Organisation.id))
    kind: Mapped[str] = mapped_column(sa.String(8))
    value: Mapped[int]
    reason: Mapped[str] = mapped_column(sa.String(200))
    actor: Mapped[str] = mapped_column(sa.String(64))
    at_ms: Mapped[Millis]


class RuleParameter(Base):
    """What an activity, a site, a region or everybody has of its own from an instant on."""

    __tablename__ = "rule_parameter"

    id: Mapped[Id]
    from_ms: Mapped[Millis]
    activity: Mapped[int | None] = mapped_column(sa.BigInteger)
    site: Mapped[int | None] = mapped_column(sa.BigInteger)
    region: Mapped[str] = mapped_column(sa.String(12))
    settings: Mapped[dict[str, int]] = mapped_column(sa.JSON)
    actor: Mapped[str] = mapped_column(sa.String(64))
    reason: Mapped[str] = mapped_column(sa.String(200))
    at_ms: Mapped[Millis]


class LostTerminal(Base):
    """A terminal that will never report again: nobody waits for its records."""

    __tablename__ = "lost_terminal"

    terminal_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    since_ms: Mapped[Millis]
    at_ms: Mapped[Millis]
    actor: Mapped[str] = mapped_column(sa.String(64))
    reason: Mapped[str] = mapped_column(sa.String(200))


class HoursRequest(Base):
    """A volunteer says that a tap is missing or that an interval is wrong; a leader answers."""

    __tablename__ = "hours_request"
    __table_args__ = (
        _one_of("kind", ("missed", "dispute")),
        _one_of("state", ("open", "accepted", "refused", "withdrawn")),
        sa.Index("ix_hours_request_person", "person"),
        sa.Index("ix_hours_request_site", "site", "state"),
    )

    id: Mapped[Id]
    person: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"))
    kind: Mapped[str] = mapped_column(sa.String(8))
    interval_id: Mapped[int | None] = mapped_column(sa.ForeignKey("service_interval.id"))
    site: Mapped[int] = mapped_column(sa.BigInteger)
    start_ms: Mapped[Millis | None]
    end_ms: Mapped[Millis | None]
    text: Mapped[str] = mapped_column(sa.String(200))
    state: Mapped[str] = mapped_column(sa.String(10))
    made_ms: Mapped[Millis]
    due_ms: Mapped[Millis]
    decided_by: Mapped[str | None] = mapped_column(sa.String(64))
    decided_ms: Mapped[Millis | None]
    answer: Mapped[str | None] = mapped_column(sa.String(200))
    correction_id: Mapped[int | None] = mapped_column(sa.ForeignKey("correction.id"))


class OutageSettlement(Base):
    """Entries of an outage that one person wants settled as proposed and a second one approves.

    Approved, it takes effect at `effective_ms`; `settled` says of how many entries it did.
    """

    __tablename__ = "outage_settlement"
    __table_args__ = (
        _one_of("state", ("proposed", "approved", "refused", "undone", "done")),
        sa.CheckConstraint(
            "state not in ('approved', 'done') or decided_by <> proposed_by", "second"
        ),
        sa.Index("ix_outage_settlement_site", "site", "state"),
    )

    id: Mapped[Id]
    site: Mapped[int] = mapped_column(sa.BigInteger)
    rule: Mapped[int]
    from_ms: Mapped[Millis]
    until_ms: Mapped[Millis]
    entries: Mapped[list[int]] = mapped_column(sa.JSON)
    reason: Mapped[str] = mapped_column(sa.String(200))
    state: Mapped[str] = mapped_column(sa.String(8))
    proposed_by: Mapped[str] = mapped_column(sa.String(64))
    proposed_ms: Mapped[Millis]
    decided_by: Mapped[str | None] = mapped_column(sa.String(64))
    decided_ms: Mapped[Millis | None]
    effective_ms: Mapped[Millis | None]
    settled: Mapped[int | None]


class Notification(Base):
    """What a volunteer or the leaders of a site are told on their pages."""

    __tablename__ = "notification"
    __table_args__ = (
        sa.CheckConstraint("(person is null) <> (site is null)", "audience"),
        sa.Index("ix_notification_person", "person", "read_ms"),
        sa.Index("ix_notification_site", "site", "read_ms"),
        sa.Index("ix_notification_once", "once", unique=True),
    )

    id: Mapped[Id]
    person: Mapped[int | None] = mapped_column(BigInt)
    site: Mapped[int | None] = mapped_column(sa.BigInteger)
    at_ms: Mapped[Millis]
    due_ms: Mapped[Millis | None]
    zh: Mapped[str] = mapped_column(sa.String(200))
    en: Mapped[str] = mapped_column(sa.String(200))
    read_ms: Mapped[Millis | None]
    # What is told only once: whoever would tell it again finds it told.
    once: Mapped[str | None] = mapped_column(sa.String(64))
