# SPDX-License-Identifier: Apache-2.0
"""Create the tables of the pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_portal_session()
    _create_sign_in_failure()


def _create_portal_session() -> None:
    op.create_table(
        "portal_session",
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("volunteer_id", BIG, nullable=True),
        sa.Column("user_id", BIG, nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(volunteer_id is null) <> (user_id is null)",
            name=op.f("ck_portal_session_one_subject"),
        ),
        sa.ForeignKeyConstraint(
            ["volunteer_id"],
            ["volunteer.id"],
            name=op.f("fk_portal_session_volunteer_id_volunteer"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_portal_session_user_id_user")
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_portal_session")),
    )
    for column in ("volunteer_id", "user_id"):
        op.create_index(op.f(f"ix_portal_session_{column}"), "portal_session", [column])


def _create_sign_in_failure() -> None:
    op.create_table(
        "sign_in_failure",
        sa.Column("id", BIG, nullable=False),
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_failure")),
    )
    op.create_index(op.f("ix_sign_in_failure_key_at_ms"), "sign_in_failure", ["key", "at_ms"])


def downgrade() -> None:
    op.drop_table("sign_in_failure")
    op.drop_table("portal_session")
