# SPDX-License-Identifier: Apache-2.0
"""Tries of an address at applications, while they count."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table and its index."""
    op.create_table(
        "application_try",
        sa.Column("id", BIG, nullable=False),
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_try")),
    )
    op.create_index(op.f("ix_application_try_key_at_ms"), "application_try", ["key", "at_ms"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("application_try")
