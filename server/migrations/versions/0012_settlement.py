# SPDX-License-Identifier: Apache-2.0
"""Keep how each CLOSE compared with what is stored."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of settlements."""
    op.create_table(
        "settlement",
        sa.Column("terminal_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("close_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("checked_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state in ('equal', 'unequal', 'incomplete')", name=op.f("ck_settlement_state")
        ),
        sa.PrimaryKeyConstraint("terminal_id", "close_seq", name=op.f("pk_settlement")),
    )
    op.create_index("ix_settlement_state", "settlement", ["state"], unique=False)
