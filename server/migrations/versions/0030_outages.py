# SPDX-License-Identifier: Apache-2.0
"""Settlements of outages that one person proposes and a second one approves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table and its index."""
    op.create_table(
        "outage_settlement",
        sa.Column("id", BIG, nullable=False),
        sa.Column("site", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Integer(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("proposed_by", sa.String(length=64), nullable=False),
        sa.Column("proposed_ms", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.Column("effective_ms", sa.BigInteger(), nullable=True),
        sa.Column("settled", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "state in ('proposed', 'approved', 'refused', 'undone', 'done')",
            name=op.f("ck_outage_settlement_state"),
        ),
        sa.CheckConstraint(
            "state not in ('approved', 'done') or decided_by <> proposed_by",
            name=op.f("ck_outage_settlement_second"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outage_settlement")),
    )
    op.create_index("ix_outage_settlement_site", "outage_settlement", ["site", "state"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("outage_settlement")
