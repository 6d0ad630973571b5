# SPDX-License-Identifier: Apache-2.0
"""Operators, messages, rules and the choice of activity; notices that are built anew.

Hotlists and configurations handed out so far are dropped: they are signed again, in the present
format, when a terminal next asks.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create both tables and the columns."""
    op.add_column("site", sa.Column("rules", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column(
        "activity", sa.Column("planned_min", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "activity", sa.Column("minors", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    op.add_column(
        "terminal",
        sa.Column("activity_choice", sa.String(8), nullable=False, server_default="schedule"),
    )
    op.add_column("terminal", sa.Column("fixed_activity", sa.BigInteger(), nullable=True))
    op.execute("DELETE FROM config_notice")
    op.execute("DELETE FROM hotlist")
    op.add_column(
        "config_notice",
        sa.Column("built_ms", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.create_table(
        "site_operator",
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("asn", sa.CHAR(20), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("pin", sa.String(128), nullable=False, server_default=""),
        sa.CheckConstraint(
            "role in ('operator', 'supervisor')", name=op.f("ck_site_operator_role")
        ),
        sa.ForeignKeyConstraint(
            ["site_id"], ["site.id"], name=op.f("fk_site_operator_site_id_site")
        ),
        sa.PrimaryKeyConstraint("site_id", "asn", name=op.f("pk_site_operator")),
    )
    op.create_table(
        "site_message",
        sa.Column("id", BIG, nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("zh", sa.String(200), nullable=False),
        sa.Column("en", sa.String(200), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id"], ["site.id"], name=op.f("fk_site_message_site_id_site")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_message")),
    )
    op.create_index(op.f("ix_site_message_site_id"), "site_message", ["site_id"])


def downgrade() -> None:
    """Drop both tables and the columns."""
    op.drop_table("site_message")
    op.drop_table("site_operator")
    op.drop_column("config_notice", "built_ms")
    op.drop_column("terminal", "fixed_activity")
    op.drop_column("terminal", "activity_choice")
    op.drop_column("activity", "minors")
    op.drop_column("activity", "planned_min")
    op.drop_column("site", "rules")
