# SPDX-License-Identifier: Apache-2.0
"""Create the tables of the fleet: status, its short history, replacements of dead boxes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the three tables."""
    op.create_table(
        "fleet_status",
        sa.Column("terminal_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("uptime_s", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("terminal_id", name=op.f("pk_fleet_status")),
    )
    op.create_table(
        "fleet_history",
        sa.Column("id", BIG, nullable=False),
        sa.Column("terminal_id", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fleet_history")),
    )
    op.create_index(op.f("ix_fleet_history_terminal_id"), "fleet_history", ["terminal_id"])
    op.create_table(
        "replacement",
        sa.Column("id", BIG, nullable=False),
        sa.Column("terminal_id", BIG, nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("ordered_by", sa.String(64), nullable=False),
        sa.Column("ordered_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("approved_by", sa.String(64), nullable=True),
        sa.Column("approved_ms", sa.BigInteger(), nullable=True),
        sa.Column("key_id", sa.BigInteger(), nullable=True),
        sa.Column("last_seq", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state in ('ordered', 'approved', 'cancelled')", name=op.f("ck_replacement_state")
        ),
        sa.ForeignKeyConstraint(
            ["terminal_id"], ["terminal.id"], name=op.f("fk_replacement_terminal_id_terminal")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replacement")),
    )
    op.create_index(op.f("ix_replacement_terminal_id"), "replacement", ["terminal_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("replacement")
    op.drop_table("fleet_history")
    op.drop_table("fleet_status")
