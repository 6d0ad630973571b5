# SPDX-License-Identifier: Apache-2.0
"""Create the tables of ingest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import append_only_ddl

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("event", "batch", "event_fork", "refused_batch")


def upgrade() -> None:
    _create_event()
    _create_batch()
    _create_event_fork()
    _create_refused_batch()
    _create_stored_range()
    _create_chain_state()
    dialect = op.get_context().dialect.name
    for table in APPEND_ONLY:
        for statement in append_only_ddl(table, dialect):
            op.execute(statement)


def _create_event() -> None:
    op.create_table(
        "event",
        sa.Column("terminal_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("result", sa.SmallInteger(), nullable=False),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("up_ms", sa.BigInteger(), nullable=False),
        sa.Column("utc_ms", sa.BigInteger(), nullable=False),
        sa.Column("unc_ms", sa.BigInteger(), nullable=False),
        sa.Column("site", sa.BigInteger(), nullable=False),
        sa.Column("activity", sa.BigInteger(), nullable=False),
        sa.Column("card_asn", sa.CHAR(length=20), nullable=True),
        sa.Column("card_ctr", sa.Integer(), nullable=False),
        sa.Column("psam_no", sa.LargeBinary(length=6), nullable=True),
        sa.Column("psam_seq", sa.BigInteger(), nullable=False),
        sa.Column("anchor", sa.LargeBinary(length=8), nullable=False),
        sa.Column("proof", sa.SmallInteger(), nullable=False),
        sa.Column("verdict", sa.SmallInteger(), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("leaf_index", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(length=224), nullable=False),
        sa.PrimaryKeyConstraint("terminal_id", "seq", name=op.f("pk_event")),
    )
    op.create_index("ix_event_card", "event", ["card_asn", "card_ctr"], unique=False)
    op.create_index("ix_event_psam", "event", ["psam_no", "psam_seq"], unique=False)
    op.create_index("ix_event_boot", "event", ["terminal_id", "boot"], unique=False)


def _create_batch() -> None:
    op.create_table(
        "batch",
        sa.Column("id", BIG, nullable=False),
        sa.Column("terminal_id", BIG, nullable=False),
        sa.Column("batch_no", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("up_to_seq", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("header", sa.LargeBinary(length=192), nullable=False),
        sa.Column("receipt", sa.LargeBinary(length=192), nullable=False),
        sa.Column("anchor", sa.LargeBinary(length=8), nullable=False),
        sa.Column("answer", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["terminal_id"], ["terminal.id"], name=op.f("fk_batch_terminal_id_terminal")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
        sa.UniqueConstraint("terminal_id", "batch_no", name=op.f("uq_batch_terminal_id_batch_no")),
    )
    op.create_index("ix_batch_anchor", "batch", ["terminal_id", "anchor"], unique=False)


def _create_event_fork() -> None:
    op.create_table(
        "event_fork",
        sa.Column("terminal_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("raw", sa.LargeBinary(length=224), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("batch_no", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("terminal_id", "seq", "event_hash", name=op.f("pk_event_fork")),
    )


def _create_refused_batch() -> None:
    op.create_table(
        "refused_batch",
        sa.Column("terminal_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("batch_no", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("terminal_id", "sha256", name=op.f("pk_refused_batch")),
    )


def _create_stored_range() -> None:
    op.create_table(
        "stored_range",
        sa.Column("terminal_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("terminal_id", "first_seq", name=op.f("pk_stored_range")),
    )


def _create_chain_state() -> None:
    op.create_table(
        "chain_state",
        sa.Column("terminal_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_receipt", sa.LargeBinary(length=192), nullable=True),
        sa.Column("forked_from", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("terminal_id", name=op.f("pk_chain_state")),
    )
