# SPDX-License-Identifier: Apache-2.0
"""Create the tables of terminals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import append_only_ddl

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("log_record",)


def upgrade() -> None:
    _create_site()
    _create_activity()
    _create_terminal()
    _create_terminal_key()
    _create_psam()
    _create_enrol_token()
    _create_hotlist()
    _create_config_notice()
    _create_log_state()
    _create_log_record()
    dialect = op.get_context().dialect.name
    for table in APPEND_ONLY:
        for statement in append_only_ddl(table, dialect):
            op.execute(statement)
    op.execute("INSERT INTO sequence (name, value) VALUES ('config', 0)")
    log_state = sa.table(
        "log_state", sa.column("id"), sa.column("size"), sa.column("frontier", sa.LargeBinary)
    )
    op.bulk_insert(log_state, [{"id": 1, "size": 0, "frontier": b""}])


def _create_site() -> None:
    op.create_table(
        "site",
        sa.Column("id", BIG, nullable=False),
        sa.Column("name_zh", sa.String(length=64), nullable=False),
        sa.Column("name_en", sa.String(length=64), nullable=False),
        sa.Column("tz_q", sa.Integer(), nullable=False),
        sa.Column("config_version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site")),
    )


def _create_activity() -> None:
    op.create_table(
        "activity",
        sa.Column("id", BIG, nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("name_zh", sa.String(length=64), nullable=False),
        sa.Column("name_en", sa.String(length=64), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("family", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_activity_site_id_site")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_activity")),
        sa.UniqueConstraint("site_id", "code", name=op.f("uq_activity_site_id_code")),
    )
    op.create_index(op.f("ix_activity_site_id"), "activity", ["site_id"], unique=False)


def _create_terminal() -> None:
    op.create_table(
        "terminal",
        sa.Column("id", BIG, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("last_contact_ms", sa.BigInteger(), nullable=True),
        sa.Column("unsent", sa.Integer(), nullable=True),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("bad_proofs", sa.Integer(), nullable=False),
        sa.Column("config_version", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state in ('pending', 'active', 'quarantined', 'revoked')",
            name=op.f("ck_terminal_state"),
        ),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_terminal_site_id_site")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terminal")),
        sa.UniqueConstraint("name", name=op.f("uq_terminal_name")),
    )
    op.create_index(op.f("ix_terminal_site_id"), "terminal", ["site_id"], unique=False)


def _create_terminal_key() -> None:
    op.create_table(
        "terminal_key",
        sa.Column("id", BIG, nullable=False),
        sa.Column("terminal_id", BIG, nullable=False),
        sa.Column("public_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("suite", sa.Integer(), nullable=False),
        sa.Column("valid_from_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["terminal_id"], ["terminal.id"], name=op.f("fk_terminal_key_terminal_id_terminal")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terminal_key")),
        sa.UniqueConstraint("public_key", name=op.f("uq_terminal_key_public_key")),
    )
    op.create_index(
        op.f("ix_terminal_key_terminal_id"), "terminal_key", ["terminal_id"], unique=False
    )


def _create_psam() -> None:
    op.create_table(
        "psam",
        sa.Column("number", sa.LargeBinary(length=6), nullable=False),
        sa.Column("terminal_id", BIG, nullable=False),
        sa.Column("dpk_idx", sa.Integer(), nullable=False),
        sa.Column("hardware", sa.Boolean(), nullable=False),
        sa.Column("from_seq", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("gap_flags", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state in ('pending', 'active', 'quarantined', 'revoked')", name=op.f("ck_psam_state")
        ),
        sa.ForeignKeyConstraint(
            ["terminal_id"], ["terminal.id"], name=op.f("fk_psam_terminal_id_terminal")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_psam")),
    )
    op.create_index(op.f("ix_psam_terminal_id"), "psam", ["terminal_id"], unique=False)


def _create_enrol_token() -> None:
    op.create_table(
        "enrol_token",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("terminal_id", BIG, nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["terminal_id"], ["terminal.id"], name=op.f("fk_enrol_token_terminal_id_terminal")
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_enrol_token")),
    )
    op.create_index(
        op.f("ix_enrol_token_terminal_id"), "enrol_token", ["terminal_id"], unique=False
    )


def _create_hotlist() -> None:
    op.create_table(
        "hotlist",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("built_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_hotlist")),
    )


def _create_config_notice() -> None:
    op.create_table(
        "config_notice",
        sa.Column("terminal_id", BIG, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["terminal_id"], ["terminal.id"], name=op.f("fk_config_notice_terminal_id_terminal")
        ),
        sa.PrimaryKeyConstraint("terminal_id", "version", name=op.f("pk_config_notice")),
    )


def _create_log_state() -> None:
    op.create_table(
        "log_state",
        sa.Column("id", BIG, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_state")),
    )


def _create_log_record() -> None:
    op.create_table(
        "log_record",
        sa.Column("leaf_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("leaf_index", name=op.f("pk_log_record")),
    )
