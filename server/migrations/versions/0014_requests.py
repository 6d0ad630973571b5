# SPDX-License-Identifier: Apache-2.0
"""Volunteers' requests about their hours, and what people are told on their pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "hours_request",
        sa.Column("id", BIG, nullable=False),
        sa.Column("person", BIG, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("interval_id", BIG, nullable=True),
        sa.Column("site", sa.BigInteger(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=True),
        sa.Column("end_ms", sa.BigInteger(), nullable=True),
        sa.Column("text", sa.String(200), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(64), nullable=True),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.Column("answer", sa.String(200), nullable=True),
        sa.Column("correction_id", BIG, nullable=True),
        sa.CheckConstraint("kind in ('missed', 'dispute')", name=op.f("ck_hours_request_kind")),
        sa.CheckConstraint(
            "state in ('open', 'accepted', 'refused', 'withdrawn')",
            name=op.f("ck_hours_request_state"),
        ),
        sa.ForeignKeyConstraint(
            ["person"], ["volunteer.id"], name=op.f("fk_hours_request_person_volunteer")
        ),
        sa.ForeignKeyConstraint(
            ["interval_id"],
            ["service_interval.id"],
            name=op.f("fk_hours_request_interval_id_service_interval"),
        ),
        sa.ForeignKeyConstraint(
            ["correction_id"],
            ["correction.id"],
            name=op.f("fk_hours_request_correction_id_correction"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hours_request")),
    )
    op.create_index("ix_hours_request_person", "hours_request", ["person"])
    op.create_index("ix_hours_request_site", "hours_request", ["site", "state"])
    op.create_table(
        "notification",
        sa.Column("id", BIG, nullable=False),
        sa.Column("person", BIG, nullable=True),
        sa.Column("site", sa.BigInteger(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=True),
        sa.Column("zh", sa.String(200), nullable=False),
        sa.Column("en", sa.String(200), nullable=False),
        sa.Column("read_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(person is null) <> (site is null)", name=op.f("ck_notification_audience")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
    )
    op.create_index("ix_notification_person", "notification", ["person", "read_ms"])
    op.create_index("ix_notification_site", "notification", ["site", "read_ms"])


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("notification")
    op.drop_table("hours_request")
