# SPDX-License-Identifier: Apache-2.0
"""Tables of bank partners: their declarations, their files both ways, lines that were refused."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, Millis

IN, OUT = DIRECTIONS = ("in", "out")
# A file from a partner ends ACCP, PART or RJCT; HELD waits for the one before it, or for its day.
# One of ours is SENT, then ACKD or NACK by the partner's answer.
STATUSES = ("ACCP", "PART", "RJCT", "HELD", "SENT", "ACKD", "NACK")
LINE_STATES = ("RJCT", "QUAR", "DONE")
TAKEN = "direction = 'out' or status in ('ACCP', 'PART')"


def _one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} in ({listed})", column)


class BankPartner(Base):
    """A partner, its declaration as given, and our own keys towards it, sealed."""

    __tablename__ = "bank_partner"
    __table_args__ = (_one_of("state", ("active", "off")),)

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(sa.String(12), unique=True)
    declaration: Mapped[str] = mapped_column(sa.Text)
    state: Mapped[str] = mapped_column(sa.String(8))
    sign_public: Mapped[str] = mapped_column(sa.Text)
    sign_sealed: Mapped[bytes]
    open_public: Mapped[str | None] = mapped_column(sa.Text)
    open_sealed: Mapped[bytes | None]
    ssh_key: Mapped[str | None] = mapped_column(sa.Text)  # who may come in by SFTP
    account: Mapped[str | None] = mapped_column(sa.String(64))  # the service account of HTTPS
    created_by: Mapped[str] = mapped_column(sa.String(64))
    created_ms: Mapped[Millis]
    changed_ms: Mapped[Millis]


class BankFile(Base):
    """A file to or from a partner; a sequence number is used up once, by a file that counted."""

    __tablename__ = "bank_file"
    __table_args__ = (
        _one_of("direction", DIRECTIONS),
        _one_of("status", STATUSES),
        sa.UniqueConstraint("partner", "direction", "name", "sha256"),
        sa.Index(
            "uq_bank_file_taken", "partner", "direction", "name", unique=True,
            sqlite_where=sa.text(TAKEN), postgresql_where=sa.text(TAKEN),
        ),
        sa.Index("ix_bank_file_made", "partner", "made_ms"),
        sa.Index("ix_bank_file_wire", "partner", "wire_sha256"),
    )  # fmt: skip

    id: Mapped[Id]
    partner: Mapped[str] = mapped_column(sa.String(12))
    direction: Mapped[str] = mapped_column(sa.String(3))
    kind: Mapped[str] = mapped_column(sa.String(3))
    sequence: Mapped[int]
    name: Mapped[str] = mapped_column(sa.String(64))
    sha256: Mapped[str] = mapped_column(sa.CHAR(64))  # of the content, before it was encrypted
    wire_sha256: Mapped[str] = mapped_column(sa.CHAR(64))  # of the file as it travelled
    size: Mapped[int] = mapped_column(sa.BigInteger)
    business_date: Mapped[dt.date | None]
    test: Mapped[bool]
    status: Mapped[str] = mapped_column(sa.String(4))
    records: Mapped[int]
    accepted: Mapped[int]
    rejected: Mapped[int]
    quarantined: Mapped[int]
    finding: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON)
    answer_name: Mapped[str | None] = mapped_column(sa.String(64))
    answer_sha256: Mapped[str | None] = mapped_column(sa.CHAR(64))
    channel: Mapped[str] = mapped_column(sa.String(8))
    actor: Mapped[str] = mapped_column(sa.String(64))
    made_ms: Mapped[Millis]
    answered_ms: Mapped[Millis | None]


class BankLine(Base):
    """A record that did not take effect: why, in which field; quarantined ones wait for staff."""

    __tablename__ = "bank_line"
    __table_args__ = (
        _one_of("state", LINE_STATES),
        sa.Index("ix_bank_line_state", "state", "file_id"),
    )

    file_id: Mapped[int] = mapped_column(
        sa.ForeignKey("bank_file.id"), primary_key=True, autoincrement=False
    )
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    batch: Mapped[int]
    state: Mapped[str] = mapped_column(sa.String(4))
    code: Mapped[str] = mapped_column(sa.CHAR(3))
    field: Mapped[str] = mapped_column(sa.String(32))
    expected: Mapped[str] = mapped_column(sa.String(80))
    found: Mapped[str] = mapped_column(sa.String(80))
    record: Mapped[dict[str, str] | None] = mapped_column(sa.JSON)  # of a quarantined one
    resolved_by: Mapped[str | None] = mapped_column(sa.String(64))
    resolved_ms: Mapped[Millis | None]


class BankSummary(Base):
    """What a partner's month came to for one volunteer, as its transaction summary told."""

    __tablename__ = "bank_summary"
    __table_args__ = (sa.CheckConstraint("purchases >= 0 and amount_fen >= 0", "counts"),)

    partner: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    month: Mapped[str] = mapped_column(sa.CHAR(6), primary_key=True)
    number: Mapped[str] = mapped_column(sa.CHAR(10), primary_key=True)
    purchases: Mapped[int] = mapped_column(sa.BigInteger)
    amount_fen: Mapped[int] = mapped_column(sa.BigInteger)
    points: Mapped[int] = mapped_column(sa.BigInteger)
    file_id: Mapped[int] = mapped_column(sa.ForeignKey("bank_file.id"), index=True)
