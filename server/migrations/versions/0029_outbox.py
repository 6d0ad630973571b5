# SPDX-License-Identifier: Apache-2.0
"""Create messages to people and the tries to send them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import append_only_ddl

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
CHANNELS = "'sms', 'letter', 'public'"
STATES = (
    "'queued', 'sending', 'sent', 'delivered', 'published', 'failed', 'unknown', 'expired', "
    "'cancelled'"
)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "outbox_message",
        sa.Column("id", BIG, nullable=False),
        sa.Column("once", sa.String(96), nullable=False),
        sa.Column("reference", sa.CHAR(32), nullable=False),
        sa.Column("kind", sa.String(48), nullable=False),
        sa.Column("channel", sa.String(8), nullable=False),
        sa.Column("volunteer_id", BIG, nullable=True),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(200), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(f"channel in ({CHANNELS})", name=op.f("ck_outbox_message_channel")),
        sa.CheckConstraint(f"state in ({STATES})", name=op.f("ck_outbox_message_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_message")),
        sa.UniqueConstraint("once", name=op.f("uq_outbox_message_once")),
        sa.UniqueConstraint("reference", name=op.f("uq_outbox_message_reference")),
    )
    op.create_index("ix_outbox_message_due", "outbox_message", ["state", "due_ms"])
    op.create_index("ix_outbox_message_person", "outbox_message", ["volunteer_id", "created_ms"])
    op.create_table(
        "outbox_try",
        sa.Column("id", BIG, nullable=False),
        sa.Column("message_id", BIG, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["outbox_message.id"],
            name=op.f("fk_outbox_try_message_id_outbox_message"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_try")),
    )  # fmt: skip
    op.create_index(op.f("ix_outbox_try_message_id"), "outbox_try", ["message_id"])
    for statement in append_only_ddl("outbox_try", op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    op.drop_table("outbox_try")
    op.drop_table("outbox_message")
