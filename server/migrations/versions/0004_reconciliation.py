# SPDX-License-Identifier: Apache-2.0
"""Create the tables of reconciliation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import append_only_ddl

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_exception()
    _create_correction()
    _create_interval()
    for statement in append_only_ddl("correction", op.get_context().dialect.name):
        op.execute(statement)


def _create_exception() -> None:
    op.create_table(
        "recon_exception",
        sa.Column("id", BIG, nullable=False),
        sa.Column("person", BIG, nullable=False),
        sa.Column("rule", sa.Integer(), nullable=False),
        sa.Column("terminal", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("other_terminal", sa.BigInteger(), nullable=True),
        sa.Column("other_seq", sa.BigInteger(), nullable=True),
        sa.Column("detail_zh", sa.String(length=200), nullable=False),
        sa.Column("detail_en", sa.String(length=200), nullable=False),
        sa.Column("proposed_start_ms", sa.BigInteger(), nullable=True),
        sa.Column("proposed_end_ms", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "state in ('open', 'approved', 'rejected', 'closed')",
            name=op.f("ck_recon_exception_state"),
        ),
        sa.ForeignKeyConstraint(
            ["person"], ["volunteer.id"], name=op.f("fk_recon_exception_person_volunteer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recon_exception")),
    )
    op.create_index("ix_recon_exception_person", "recon_exception", ["person", "current"])
    op.create_index("ix_recon_exception_queue", "recon_exception", ["state", "current"])


def _create_correction() -> None:
    op.create_table(
        "correction",
        sa.Column("id", BIG, nullable=False),
        sa.Column("person", BIG, nullable=False),
        sa.Column("exception_id", BIG, nullable=True),
        sa.Column("rule", sa.Integer(), nullable=False),
        sa.Column("terminal", sa.BigInteger(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=True),
        sa.Column("end_ms", sa.BigInteger(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("grade", sa.String(length=1), nullable=False),
        sa.Column("leader", sa.String(length=64), nullable=False),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"], ["volunteer.id"], name=op.f("fk_correction_person_volunteer")
        ),
        sa.ForeignKeyConstraint(
            ["exception_id"],
            ["recon_exception.id"],
            name=op.f("fk_correction_exception_id_recon_exception"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction")),
    )
    op.create_index(op.f("ix_correction_person"), "correction", ["person"])


def _create_interval() -> None:
    op.create_table(
        "service_interval",
        sa.Column("id", BIG, nullable=False),
        sa.Column("person", BIG, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("in_terminal", sa.BigInteger(), nullable=True),
        sa.Column("in_seq", sa.BigInteger(), nullable=True),
        sa.Column("out_terminal", sa.BigInteger(), nullable=True),
        sa.Column("out_seq", sa.BigInteger(), nullable=True),
        sa.Column("correction_id", BIG, nullable=True),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=True),
        sa.Column("raw_ms", sa.BigInteger(), nullable=True),
        sa.Column("credited_minutes", sa.Integer(), nullable=False),
        sa.Column("grade", sa.String(length=1), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("rules", sa.String(length=120), nullable=False),
        sa.Column("site", sa.BigInteger(), nullable=True),
        sa.Column("activity", sa.BigInteger(), nullable=True),
        sa.Column("service_day", sa.Date(), nullable=False),
        sa.Column("engine_version", sa.Integer(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "state in ('credited', 'zero', 'held', 'open', 'exception')",
            name=op.f("ck_service_interval_state"),
        ),
        sa.CheckConstraint("credited_minutes >= 0", name=op.f("ck_service_interval_credited")),
        sa.ForeignKeyConstraint(
            ["person"], ["volunteer.id"], name=op.f("fk_service_interval_person_volunteer")
        ),
        sa.ForeignKeyConstraint(
            ["correction_id"],
            ["correction.id"],
            name=op.f("fk_service_interval_correction_id_correction"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_interval")),
    )
    op.create_index(
        "ix_service_interval_person", "service_interval", ["person", "current", "start_ms"]
    )
    op.create_index("ix_service_interval_site", "service_interval", ["site", "current", "start_ms"])
