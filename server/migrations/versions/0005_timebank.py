# SPDX-License-Identifier: Apache-2.0
"""Create the tables of the time bank, with the triggers that keep them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import append_only_ddl
from server.timebank.models import ledger_ddl

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", BIG, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind in ('volunteer', 'treasury')", name=op.f("ck_account_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("kind", "owner", name=op.f("uq_account_kind_owner")),
    )
    _create_transfer()
    _create_entry()
    dialect = op.get_context().dialect.name
    for table in ("transfer", "entry"):
        for statement in append_only_ddl(table, dialect):
            op.execute(statement)
    for statement in ledger_ddl(dialect):
        op.execute(statement)


def _create_transfer() -> None:
    op.create_table(
        "transfer",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("person", BIG, nullable=False),
        sa.Column("ref", sa.String(length=64), nullable=False),
        sa.Column("interval_id", BIG, nullable=True),
        sa.Column("reverses", BIG, nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.CheckConstraint("kind in ('service', 'reversal')", name=op.f("ck_transfer_kind")),
        sa.CheckConstraint(
            "(kind = 'reversal') = (reverses is not null)", name=op.f("ck_transfer_reverses")
        ),
        sa.ForeignKeyConstraint(
            ["person"], ["volunteer.id"], name=op.f("fk_transfer_person_volunteer")
        ),
        sa.ForeignKeyConstraint(
            ["interval_id"],
            ["service_interval.id"],
            name=op.f("fk_transfer_interval_id_service_interval"),
        ),
        sa.ForeignKeyConstraint(
            ["reverses"], ["transfer.id"], name=op.f("fk_transfer_reverses_transfer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer")),
        sa.UniqueConstraint("interval_id", name=op.f("uq_transfer_interval_id")),
        sa.UniqueConstraint("reverses", name=op.f("uq_transfer_reverses")),
    )
    op.create_index("ix_transfer_person", "transfer", ["person"])


def _create_entry() -> None:
    op.create_table(
        "entry",
        sa.Column("transfer_id", BIG, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("minutes <> 0", name=op.f("ck_entry_minutes")),
        sa.ForeignKeyConstraint(
            ["transfer_id"],
            ["transfer.id"],
            name=op.f("fk_entry_transfer_id_transfer"),
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_entry_account_id_account")
        ),
        sa.PrimaryKeyConstraint("transfer_id", "account_id", name=op.f("pk_entry")),
    )
    op.create_index("ix_entry_account", "entry", ["account_id"])
