# SPDX-License-Identifier: Apache-2.0
"""Corrected times by boot, kept beside the events they follow from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; it fills by itself."""
    op.create_table(
        "boot_clock",
        sa.Column("terminal_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("boot", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("made_by", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("terminal_id", "boot", name=op.f("pk_boot_clock")),
    )
    if op.get_context().dialect.name == "postgresql":
        # Packed numbers: to compress them costs more than to read them.
        op.execute("ALTER TABLE boot_clock ALTER COLUMN times SET STORAGE EXTERNAL")


def downgrade() -> None:
    """Drop it."""
    op.drop_table("boot_clock")
