# SPDX-License-Identifier: Apache-2.0
"""Places of sites, parameters of rules, signed corrections, lost terminals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import append_only_ddl

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("rule_parameter", "lost_terminal")


def upgrade() -> None:
    """Create the columns and tables."""
    op.add_column("site", sa.Column("region", sa.String(12), nullable=False, server_default=""))
    op.add_column("site", sa.Column("lat_e7", sa.BigInteger(), nullable=True))
    op.add_column("site", sa.Column("lon_e7", sa.BigInteger(), nullable=True))
    op.add_column(
        "service_interval",
        sa.Column("parameters", sa.String(200), nullable=False, server_default=""),
    )
    for column in (
        sa.Column("site", sa.BigInteger(), nullable=True),
        sa.Column("activity", sa.BigInteger(), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=True),
        sa.Column("signature", sa.LargeBinary(64), nullable=True),
        sa.Column("key_id", sa.BigInteger(), nullable=True),
    ):
        op.add_column("correction", column)
    _create_parameters()
    for table in APPEND_ONLY:
        for statement in append_only_ddl(table, op.get_context().dialect.name):
            op.execute(statement)


def _create_parameters() -> None:
    op.create_table(
        "rule_parameter",
        sa.Column("id", BIG, nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("activity", sa.BigInteger(), nullable=True),
        sa.Column("site", sa.BigInteger(), nullable=True),
        sa.Column("region", sa.String(12), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_parameter")),
    )
    op.create_table(
        "lost_terminal",
        sa.Column("terminal_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("terminal_id", name=op.f("pk_lost_terminal")),
    )


def downgrade() -> None:
    """Drop the tables and columns."""
    for table in ("lost_terminal", "rule_parameter"):
        op.drop_table(table)
    for name in ("key_id", "signature", "record", "activity", "site"):
        op.drop_column("correction", name)
    op.drop_column("service_interval", "parameters")
    for name in ("lon_e7", "lat_e7", "region"):
        op.drop_column("site", name)
