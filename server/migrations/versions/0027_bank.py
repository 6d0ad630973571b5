# SPDX-License-Identifier: Apache-2.0
"""Create bank partners, their files, refused lines and monthly summaries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TAKEN = "direction = 'out' or status in ('ACCP', 'PART')"
STATUSES = "'ACCP', 'PART', 'RJCT', 'HELD', 'SENT', 'ACKD', 'NACK'"


def upgrade() -> None:
    """Create the tables."""
    _create_partner()
    _create_file()
    _create_line()
    _create_summary()


def _create_partner() -> None:
    op.create_table(
        "bank_partner",
        sa.Column("id", BIG, nullable=False),
        sa.Column("code", sa.String(12), nullable=False),
        sa.Column("declaration", sa.Text(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("sign_public", sa.Text(), nullable=False),
        sa.Column("sign_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("open_public", sa.Text(), nullable=True),
        sa.Column("open_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("ssh_key", sa.Text(), nullable=True),
        sa.Column("account", sa.String(64), nullable=True),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state in ('active', 'off')", name=op.f("ck_bank_partner_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_partner")),
        sa.UniqueConstraint("code", name=op.f("uq_bank_partner_code")),
    )


def _create_file() -> None:
    op.create_table(
        "bank_file",
        sa.Column("id", BIG, nullable=False),
        sa.Column("partner", sa.String(12), nullable=False),
        sa.Column("direction", sa.String(3), nullable=False),
        sa.Column("kind", sa.String(3), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("sha256", sa.CHAR(64), nullable=False),
        sa.Column("wire_sha256", sa.CHAR(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=True),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(4), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("finding", sa.JSON(), nullable=True),
        sa.Column("answer_name", sa.String(64), nullable=True),
        sa.Column("answer_sha256", sa.CHAR(64), nullable=True),
        sa.Column("channel", sa.String(8), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("answered_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("direction in ('in', 'out')", name=op.f("ck_bank_file_direction")),
        sa.CheckConstraint(f"status in ({STATUSES})", name=op.f("ck_bank_file_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_file")),
        sa.UniqueConstraint(
            "partner", "direction", "name", "sha256",
            name=op.f("uq_bank_file_partner_direction_name_sha256"),
        ),
    )  # fmt: skip
    op.create_index(
        "uq_bank_file_taken", "bank_file", ["partner", "direction", "name"], unique=True,
        sqlite_where=sa.text(TAKEN), postgresql_where=sa.text(TAKEN),
    )  # fmt: skip
    op.create_index("ix_bank_file_made", "bank_file", ["partner", "made_ms"])
    op.create_index("ix_bank_file_wire", "bank_file", ["partner", "wire_sha256"])


def _create_line() -> None:
    op.create_table(
        "bank_line",
        sa.Column("file_id", BIG, autoincrement=False, nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(4), nullable=False),
        sa.Column("code", sa.CHAR(3), nullable=False),
        sa.Column("field", sa.String(32), nullable=False),
        sa.Column("expected", sa.String(80), nullable=False),
        sa.Column("found", sa.String(80), nullable=False),
        sa.Column("record", sa.JSON(), nullable=True),
        sa.Column("resolved_by", sa.String(64), nullable=True),
        sa.Column("resolved_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state in ('RJCT', 'QUAR', 'DONE')", name=op.f("ck_bank_line_state")),
        sa.ForeignKeyConstraint(
            ["file_id"], ["bank_file.id"], name=op.f("fk_bank_line_file_id_bank_file")
        ),
        sa.PrimaryKeyConstraint("file_id", "line", name=op.f("pk_bank_line")),
    )
    op.create_index("ix_bank_line_state", "bank_line", ["state", "file_id"])


def _create_summary() -> None:
    op.create_table(
        "bank_summary",
        sa.Column("partner", sa.String(12), nullable=False),
        sa.Column("month", sa.CHAR(6), nullable=False),
        sa.Column("number", sa.CHAR(10), nullable=False),
        sa.Column("purchases", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("file_id", BIG, nullable=False),
        sa.CheckConstraint(
            "purchases >= 0 and amount_fen >= 0", name=op.f("ck_bank_summary_counts")
        ),
        sa.ForeignKeyConstraint(
            ["file_id"], ["bank_file.id"], name=op.f("fk_bank_summary_file_id_bank_file")
        ),
        sa.PrimaryKeyConstraint("partner", "month", "number", name=op.f("pk_bank_summary")),
    )
    op.create_index(op.f("ix_bank_summary_file_id"), "bank_summary", ["file_id"])


def downgrade() -> None:
    """Drop them."""
    for table in ("bank_summary", "bank_line", "bank_file", "bank_partner"):
        op.drop_table(table)
