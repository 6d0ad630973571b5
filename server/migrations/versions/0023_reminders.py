# SPDX-License-Identifier: Apache-2.0
"""Records of training by tapping."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _create_training()


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


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("training_record")
