# SPDX-License-Identifier: Apache-2.0
"""Create the tables of electronic cards and their tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the three tables."""
    op.create_table(
        "phone_card",
        sa.Column("card_id", BIG, nullable=False),
        sa.Column("volunteer_id", BIG, nullable=False),
        sa.ForeignKeyConstraint(["card_id"], ["card.id"], name=op.f("fk_phone_card_card_id_card")),
        sa.ForeignKeyConstraint(
            ["volunteer_id"], ["volunteer.id"], name=op.f("fk_phone_card_volunteer_id_volunteer")
        ),
        sa.PrimaryKeyConstraint("card_id", name=op.f("pk_phone_card")),
    )
    op.create_index(op.f("ix_phone_card_volunteer_id"), "phone_card", ["volunteer_id"])
    op.create_table(
        "phone_token",
        sa.Column("token_id", sa.CHAR(16), nullable=False),
        sa.Column("card_id", BIG, nullable=False),
        sa.Column("key_id", sa.BigInteger(), nullable=False),
        sa.Column("issued_s", sa.BigInteger(), nullable=False),
        sa.Column("life_s", sa.Integer(), nullable=False),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.Column("seen", sa.LargeBinary(8), nullable=False),
        sa.ForeignKeyConstraint(["card_id"], ["card.id"], name=op.f("fk_phone_token_card_id_card")),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_phone_token")),
    )
    op.create_index(op.f("ix_phone_token_card_id"), "phone_token", ["card_id"])
    op.create_table(
        "phone_token_use",
        sa.Column("terminal_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("token_id", sa.CHAR(16), nullable=False),
        sa.Column("card_asn", sa.CHAR(20), nullable=False),
        sa.Column("utc_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("terminal_id", "seq", name=op.f("pk_phone_token_use")),
    )
    for column in ("token_id", "card_asn"):
        op.create_index(op.f(f"ix_phone_token_use_{column}"), "phone_token_use", [column])


def downgrade() -> None:
    """Drop the three tables."""
    op.drop_table("phone_token_use")
    op.drop_table("phone_token")
    op.drop_table("phone_card")
