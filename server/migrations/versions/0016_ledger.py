# SPDX-License-Identifier: Apache-2.0
"""Guarded accounts, transfers by uid, holds, coin values, opening balances.

The three tables of the ledger are made anew with what they hold, because their checks change.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import append_only_ddl
from server.timebank.models import ledger_ddl

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LEDGER = ("account", "transfer", "entry")
APPEND_ONLY = ("transfer", "entry", "coin_value", "opening_import", "opening_balance")
ACCOUNTS = "'volunteer', 'held', 'treasury', 'opening'"
TRANSFERS = (
    "'service', 'opening', 'award', 'gift', 'redeem', 'expiry', 'hold', 'post', 'void', 'lapse', "
    "'reversal'"
)


def upgrade() -> None:
    """Keep the rows aside, make the tables, put the rows back."""
    for table in LEDGER:
        op.execute(f"CREATE TABLE {table}_kept AS SELECT * FROM {table}")  # noqa: S608 - our own names
    for table in reversed(LEDGER):
        op.drop_table(table)
    _create_account()
    _create_transfer()
    _create_entry()
    op.execute(
        "INSERT INTO account (id, kind, owner, minutes, floor) SELECT a.id, a.kind, a.owner, "
        "coalesce((SELECT sum(e.minutes) FROM entry_kept e WHERE e.account_id = a.id), 0), "
        "CASE WHEN a.kind = 'volunteer' THEN 0 ELSE NULL END FROM account_kept a"
    )
    kept = "kind, person, ref, interval_id, reverses, at_ms, actor"
    op.execute(
        f"INSERT INTO transfer (id, uid, digest, {kept}) "  # noqa: S608 - our own names
        f"SELECT id, 'before:' || id, {_empty_digest()}, {kept} FROM transfer_kept ORDER BY id"
    )
    op.execute(
        "INSERT INTO entry (transfer_id, account_id, minutes) "
        "SELECT transfer_id, account_id, minutes FROM entry_kept"
    )
    for table in reversed(LEDGER):
        op.drop_table(f"{table}_kept")
    _renumber()
    _create_values()
    _create_opening()
    dialect = op.get_context().dialect.name
    for table in APPEND_ONLY:
        for statement in append_only_ddl(table, dialect):
            op.execute(statement)
    for statement in ledger_ddl(dialect):
        op.execute(statement)


def _empty_digest() -> str:
    """Return the bytes of a digest that no order has, in the words of the database."""
    zeros = "00" * 32
    return f"'\\x{zeros}'::bytea" if op.get_context().dialect.name != "sqlite" else f"x'{zeros}'"


def _renumber() -> None:
    """Let PostgreSQL go on counting accounts where they end."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            "SELECT setval(pg_get_serial_sequence('account', 'id'), "
            "coalesce((SELECT max(id) FROM account), 0) + 1, false)"
        )


def _create_account() -> None:
    op.create_table(
        "account",
        sa.Column("id", BIG, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.BigInteger(), nullable=False),
        sa.Column("region", sa.String(length=12), nullable=False, server_default=""),
        sa.Column("minutes", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("floor", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(f"kind in ({ACCOUNTS})", name=op.f("ck_account_kind")),
        sa.CheckConstraint("floor is null or minutes >= floor", name=op.f("ck_account_floor")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("kind", "owner", "region", name=op.f("uq_account_kind_owner_region")),
    )


def _create_transfer() -> None:
    op.create_table(
        "transfer",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("uid", sa.String(length=80), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("person", BIG, nullable=False),
        sa.Column("ref", sa.String(length=64), nullable=False),
        sa.Column("interval_id", BIG, nullable=True),
        sa.Column("reverses", BIG, nullable=True),
        sa.Column("resolves", BIG, nullable=True),
        sa.Column("linked", sa.BigInteger(), nullable=True),
        sa.Column("expires_ms", sa.BigInteger(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.CheckConstraint(f"kind in ({TRANSFERS})", name=op.f("ck_transfer_kind")),
        sa.CheckConstraint(
            "(kind = 'reversal') = (reverses is not null)", name=op.f("ck_transfer_reverses")
        ),
        sa.CheckConstraint(
            "(kind in ('post', 'void', 'lapse')) = (resolves is not null)",
            name=op.f("ck_transfer_resolves"),
        ),
        sa.CheckConstraint(
            "(kind = 'hold') = (expires_ms is not null)", name=op.f("ck_transfer_expires")
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
        sa.ForeignKeyConstraint(
            ["resolves"], ["transfer.id"], name=op.f("fk_transfer_resolves_transfer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer")),
        sa.UniqueConstraint("uid", name=op.f("uq_transfer_uid")),
        sa.UniqueConstraint("interval_id", name=op.f("uq_transfer_interval_id")),
        sa.UniqueConstraint("reverses", name=op.f("uq_transfer_reverses")),
        sa.UniqueConstraint("resolves", name=op.f("uq_transfer_resolves")),
    )
    op.create_index("ix_transfer_person", "transfer", ["person"])
    op.create_index("ix_transfer_expires", "transfer", ["kind", "expires_ms"])


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


def _create_values() -> None:
    op.create_table(
        "coin_value",
        sa.Column("id", BIG, nullable=False),
        sa.Column("from_day", sa.Date(), nullable=False),
        sa.Column("average_fen", sa.Integer(), nullable=False),
        sa.Column("minimum_fen", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coin_value")),
    )


def _create_opening() -> None:
    op.create_table(
        "opening_import",
        sa.Column("id", BIG, nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(64), nullable=False),
        sa.Column("key_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opening_import")),
        sa.UniqueConstraint("sha256", name=op.f("uq_opening_import_sha256")),
    )
    op.create_table(
        "opening_balance",
        sa.Column("import_id", BIG, nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("person", BIG, nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("reference", sa.String(64), nullable=False),
        sa.CheckConstraint("minutes > 0", name=op.f("ck_opening_balance_minutes")),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["opening_import.id"],
            name=op.f("fk_opening_balance_import_id_opening_import"),
        ),
        sa.ForeignKeyConstraint(
            ["person"], ["volunteer.id"], name=op.f("fk_opening_balance_person_volunteer")
        ),
        sa.PrimaryKeyConstraint("import_id", "line", name=op.f("pk_opening_balance")),
        sa.UniqueConstraint(
            "import_id", "person", name=op.f("uq_opening_balance_import_id_person")
        ),
    )
    op.create_index(op.f("ix_opening_balance_person"), "opening_balance", ["person"])
