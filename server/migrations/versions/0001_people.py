# SPDX-License-Identifier: Apache-2.0
"""Create the tables of people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import append_only_ddl

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("audit",)


def upgrade() -> None:
    _create_sequence()
    _create_volunteer()
    _create_card()
    _create_user()
    _create_audit()
    _create_dirty_person()
    _create_dirty_boot()
    dialect = op.get_context().dialect.name
    for table in APPEND_ONLY:
        for statement in append_only_ddl(table, dialect):
            op.execute(statement)
    for counter in ("volunteer", "card_listing", "card_serial"):
        op.execute(f"INSERT INTO sequence (name, value) VALUES ('{counter}', 0)")  # noqa: S608


def _create_sequence() -> None:
    op.create_table(
        "sequence",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sequence")),
    )


def _create_volunteer() -> None:
    op.create_table(
        "volunteer",
        sa.Column("id", BIG, nullable=False),
        sa.Column("number", sa.CHAR(length=10), nullable=False),
        sa.Column("sealed_name", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_birth", sa.LargeBinary(), nullable=False),
        sa.Column("masked_name", sa.String(length=64), nullable=False),
        sa.Column("minor_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("guardian_id", BIG, nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("secret_hash", sa.String(length=255), nullable=False),
        sa.Column("secret_kind", sa.String(length=8), nullable=False),
        sa.CheckConstraint(
            "secret_kind in ('code', 'password')", name=op.f("ck_volunteer_secret_kind")
        ),
        sa.ForeignKeyConstraint(
            ["guardian_id"], ["volunteer.id"], name=op.f("fk_volunteer_guardian_id_volunteer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_volunteer")),
        sa.UniqueConstraint("number", name=op.f("uq_volunteer_number")),
    )
    op.create_index(op.f("ix_volunteer_guardian_id"), "volunteer", ["guardian_id"], unique=False)


def _create_card() -> None:
    op.create_table(
        "card",
        sa.Column("id", BIG, nullable=False),
        sa.Column("asn", sa.CHAR(length=20), nullable=False),
        sa.Column("volunteer_id", BIG, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("issued_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.CheckConstraint(
            "state in ('active', 'lost', 'blocked', 'replaced', 'revoked')",
            name=op.f("ck_card_state"),
        ),
        sa.ForeignKeyConstraint(
            ["volunteer_id"], ["volunteer.id"], name=op.f("fk_card_volunteer_id_volunteer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_card")),
        sa.UniqueConstraint("asn", name=op.f("uq_card_asn")),
    )
    op.create_index(op.f("ix_card_volunteer_id"), "card", ["volunteer_id"], unique=False)


def _create_user() -> None:
    op.create_table(
        "user",
        sa.Column("id", BIG, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("secret_hash", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "role in ('volunteer', 'leader', 'staff', 'admin')", name=op.f("ck_user_role")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("name", name=op.f("uq_user_name")),
    )


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", BIG, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_action"), "audit", ["action"], unique=False)
    op.create_index(op.f("ix_audit_subject"), "audit", ["subject"], unique=False)


def _create_dirty_person() -> None:
    op.create_table(
        "dirty_person",
        sa.Column("id", BIG, nullable=False),
        sa.Column("volunteer_id", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dirty_person")),
    )
    op.create_index(
        op.f("ix_dirty_person_volunteer_id"), "dirty_person", ["volunteer_id"], unique=False
    )


def _create_dirty_boot() -> None:
    op.create_table(
        "dirty_boot",
        sa.Column("id", BIG, nullable=False),
        sa.Column("terminal_id", sa.BigInteger(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dirty_boot")),
    )
