# SPDX-License-Identifier: Apache-2.0
"""Records of training by tapping, notifications that are told once, credit and points."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import append_only_ddl

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables, the column and its index."""
    _create_training()
    _create_merits()
    op.add_column("notification", sa.Column("once", sa.String(64), nullable=True))
    op.create_index("ix_notification_once", "notification", ["once"], unique=True)


def _create_training() -> None:
    op.create_table(
        "training_record",
        sa.Column("id", BIG, nullable=False),
        sa.Column("person", BIG, nullable=False),
        sa.Column("in_terminal", sa.BigInteger(), nullable=False),
        sa.Column("in_seq", sa.BigInteger(), nullable=False),
        sa.Column("out_terminal", sa.BigInteger(), nullable=True),
        sa.Column("out_seq", sa.BigInteger(), nullable=True),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("site", sa.BigInteger(), nullable=False),
        sa.Column("activity", sa.BigInteger(), nullable=True),
        sa.Column("service_day", sa.Date(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.CheckConstraint("minutes >= 0", name=op.f("ck_training_record_minutes")),
        sa.ForeignKeyConstraint(
            ["person"], ["volunteer.id"], name=op.f("fk_training_record_person_volunteer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_record")),
    )
    op.create_index("ix_training_record_person", "training_record", ["person", "current"])
    op.create_index("ix_training_record_activity", "training_record", ["activity", "current"])


def _create_merits() -> None:
    op.create_table(
        "merit",
        sa.Column("id", BIG, nullable=False),
        sa.Column("person", BIG, nullable=False),
        sa.Column("organisation", BIG, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind in ('credit', 'points')", name=op.f("ck_merit_kind")),
        sa.CheckConstraint("value <> 0", name=op.f("ck_merit_value")),
        sa.ForeignKeyConstraint(
            ["person"], ["volunteer.id"], name=op.f("fk_merit_person_volunteer")
        ),
        sa.ForeignKeyConstraint(
            ["organisation"], ["organisation.id"], name=op.f("fk_merit_organisation_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_merit")),
    )
    op.create_index("ix_merit_person", "merit", ["person"])
    for statement in append_only_ddl("merit", op.get_context().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    op.drop_table("merit")
    op.drop_index("ix_notification_once", "notification")
    op.drop_column("notification", "once")
    op.drop_table("training_record")
