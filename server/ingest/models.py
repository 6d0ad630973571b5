# SPDX-License-Identifier: Apache-2.0
"""Tables of ingest: events for ever, batches with their receipts, evidence, stored ranges.

`event`, `batch`, `event_fork` and `refused_batch` are append-only; the database refuses UPDATE
and DELETE. Events carry no foreign keys: they arrive by COPY, and the service that stores them
holds the terminal's lock and has checked them.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, Millis

EVENT_BYTES = 224
HEADER_BYTES = 192


class StoredEvent(Base):
    """One event as received (224 bytes) with the fields that queries need."""

    __tablename__ = "event"
    __table_args__ = (
        sa.Index("ix_event_card", "card_asn", "card_ctr"),
        sa.Index("ix_event_psam", "psam_no", "psam_seq"),
        sa.Index("ix_event_boot", "terminal_id", "boot"),
    )

    terminal_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    event_hash: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    content_hash: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    type: Mapped[int] = mapped_column(sa.SmallInteger)
    result: Mapped[int] = mapped_column(sa.SmallInteger)
    flags: Mapped[int]
    boot: Mapped[int] = mapped_column(sa.BigInteger)
    up_ms: Mapped[Millis]
    utc_ms: Mapped[Millis]
    unc_ms: Mapped[Millis]
    site: Mapped[int] = mapped_column(sa.BigInteger)
    activity: Mapped[int] = mapped_column(sa.BigInteger)
    card_asn: Mapped[str | None] = mapped_column(sa.CHAR(20))
    card_ctr: Mapped[int]
    psam_no: Mapped[bytes | None] = mapped_column(sa.LargeBinary(6))
    psam_seq: Mapped[int] = mapped_column(sa.BigInteger)
    anchor: Mapped[bytes] = mapped_column(sa.LargeBinary(8))
    proof: Mapped[int] = mapped_column(sa.SmallInteger)
    verdict: Mapped[int] = mapped_column(sa.SmallInteger)
    batch_id: Mapped[int] = mapped_column(sa.BigInteger)
    received_ms: Mapped[Millis]
    leaf_index: Mapped[int] = mapped_column(sa.BigInteger)
    raw: Mapped[bytes] = mapped_column(sa.LargeBinary(224))


class Batch(Base):
    """An accepted upload, its signed header and the receipt that answered it."""

    __tablename__ = "batch"
    __table_args__ = (
        # Of a box that was replaced, `server.ingest.boxes.kept_number`.
        sa.UniqueConstraint("terminal_id", "batch_no"),
        sa.Index("ix_batch_anchor", "terminal_id", "anchor"),
        # Which batch brought an event, and so when it arrived: see `server.ingest.whereabouts`.
        sa.Index("ix_batch_first_seq", "terminal_id", "first_seq"),
    )

    id: Mapped[Id]
    terminal_id: Mapped[int] = mapped_column(sa.ForeignKey("terminal.id"))
    batch_no: Mapped[int] = mapped_column(sa.BigInteger)
    sha256: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    first_seq: Mapped[int] = mapped_column(sa.BigInteger)
    count: Mapped[int]
    up_to_seq: Mapped[int] = mapped_column(sa.BigInteger)
    received_ms: Mapped[Millis]
    header: Mapped[bytes] = mapped_column(sa.LargeBinary(192))
    receipt: Mapped[bytes] = mapped_column(sa.LargeBinary(192))
    anchor: Mapped[bytes] = mapped_column(sa.LargeBinary(8))
    answer: Mapped[int] = mapped_column(sa.SmallInteger)
    # Leaves of the log with this batch in it, as its receipt says: how a leaf is found again.
    log_size: Mapped[int] = mapped_column(sa.BigInteger, index=True, default=0)


class EventFork(Base):
    """A second content (or a second signature) for a sequence number that is already stored."""

    __tablename__ = "event_fork"

    terminal_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    event_hash: Mapped[bytes] = mapped_column(sa.LargeBinary(32), primary_key=True)
    content_hash: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    kind: Mapped[str] = mapped_column(sa.String(16))
    raw: Mapped[bytes] = mapped_column(sa.LargeBinary(224))
    received_ms: Mapped[Millis]
    batch_no: Mapped[int] = mapped_column(sa.BigInteger)


class RefusedBatch(Base):
    """A validly signed upload that is not all stored.

    Its number is known with other content, or it comes from a box that was replaced and goes
    beyond that box's end.
    """

    __tablename__ = "refused_batch"

    terminal_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    sha256: Mapped[bytes] = mapped_column(sa.LargeBinary(32), primary_key=True)
    batch_no: Mapped[int] = mapped_column(sa.BigInteger)
    received_ms: Mapped[Millis]
    body: Mapped[bytes]


class StoredRange(Base):
    """An unbroken run of stored sequence numbers of one terminal; runs never touch."""

    __tablename__ = "stored_range"

    terminal_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    first_seq: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    last_seq: Mapped[int] = mapped_column(sa.BigInteger)


class ChainState(Base):
    """What the next receipt of a terminal needs: the last receipt, the first known fork."""

    __tablename__ = "chain_state"

    terminal_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    last_receipt: Mapped[bytes | None] = mapped_column(sa.LargeBinary(192))
    forked_from: Mapped[int | None] = mapped_column(sa.BigInteger)


class Settlement(Base):
    """How the totals of one CLOSE compared with what is stored, when it was last looked at."""

    __tablename__ = "settlement"
    __table_args__ = (
        sa.CheckConstraint("state in ('equal', 'unequal', 'incomplete')", "state"),
        sa.Index("ix_settlement_state", "state"),
    )

    terminal_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    close_seq: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    day: Mapped[int] = mapped_column(sa.BigInteger)
    state: Mapped[str] = mapped_column(sa.String(16))
    checked_ms: Mapped[Millis]
