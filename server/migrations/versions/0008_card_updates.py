# SPDX-License-Identifier: Apache-2.0
"""Create the tables of card updates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "card_update",
        sa.Column("id", BIG, nullable=False),
        sa.Column("reference", sa.CHAR(32), nullable=False),
        sa.Column("asn", sa.CHAR(20), nullable=False),
        sa.Column("wanted", sa.LargeBinary(), nullable=False),
        sa.Column("script", sa.LargeBinary(), nullable=True),
        sa.Column("fields", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(400), nullable=True),
        sa.Column("carrier", sa.String(64), nullable=True),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state in ('waiting', 'done', 'failed', 'cancelled', 'replaced')",
            name=op.f("ck_card_update_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_card_update")),
        sa.UniqueConstraint("reference", name=op.f("uq_card_update_reference")),
    )
    op.create_index(op.f("ix_card_update_asn"), "card_update", ["asn"])
    op.create_table(
        "carry_session",
        sa.Column("id", sa.CHAR(32), nullable=False),
        sa.Column("update_id", BIG, nullable=False),
        sa.Column("terminal_id", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("fresh", sa.Boolean(), nullable=False),
        sa.Column("answers", sa.LargeBinary(), nullable=False),
        sa.Column("last", sa.Text(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["update_id"],
            ["card_update.id"],
            name=op.f("fk_carry_session_update_id_card_update"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_carry_session")),
    )
    op.create_index(op.f("ix_carry_session_update_id"), "carry_session", ["update_id"])


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("carry_session")
    op.drop_table("card_update")
