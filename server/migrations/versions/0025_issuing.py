# SPDX-License-Identifier: Apache-2.0
"""Create orders of cards with their steps, branches, the calendar, vests, consents, search prints.

The calendar holds 2026 as the State Council announced it (国办发明电〔2025〕7号), and 2027
provisionally: the days the law itself fixes, until the notice for that year is loaded.
"""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from alembic import op

from server.db import append_only_ddl

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UNDER_WAY = (
    "'ordered', 'exported', 'correction', 'produced', 'audited', 'arrived', 'announced', "
    "'collected'"
)
STATES = (
    f"{UNDER_WAY}, 'active', 'suspended', 'lost', 'damaged', 'expired', 'replaced', 'cut_closed', "
    "'cancelled'"
)
# Numbers of orders; up to which change of the hotlist orders have followed their cards.
COUNTERS = ("card_order", "card_followed")
APPEND_ONLY = ("card_step", "function_consent", "deregistration")
ANNOUNCED = "国务院办公厅关于2026年部分节假日安排的通知 国办发明电〔2025〕7号"
FROM_THE_LAW = "全国年节及纪念日放假办法（2024年修订）：法定日与补假，不含调休"
# Free days of Monday to Friday, then worked days of a weekend: first day, last day, name.
FREE = (
    ("2026-01-01", "2026-01-02", "元旦"),
    ("2026-02-16", "2026-02-20", "春节"),
    ("2026-02-23", "2026-02-23", "春节"),
    ("2026-04-06", "2026-04-06", "清明节"),
    ("2026-05-01", "2026-05-01", "劳动节"),
    ("2026-05-04", "2026-05-05", "劳动节"),
    ("2026-06-19", "2026-06-19", "端午节"),
    ("2026-09-25", "2026-09-25", "中秋节"),
    ("2026-10-01", "2026-10-02", "国庆节"),
    ("2026-10-05", "2026-10-07", "国庆节"),
    ("2027-01-01", "2027-01-01", "元旦"),
    ("2027-02-05", "2027-02-05", "春节"),
    ("2027-02-08", "2027-02-10", "春节"),
    ("2027-04-05", "2027-04-05", "清明节"),
    ("2027-05-03", "2027-05-04", "劳动节"),
    ("2027-06-09", "2027-06-09", "端午节"),
    ("2027-09-15", "2027-09-15", "中秋节"),
    ("2027-10-01", "2027-10-01", "国庆节"),
    ("2027-10-04", "2027-10-05", "国庆节"),
)
WORKED = (
    ("2026-01-04", "元旦"),
    ("2026-02-14", "春节"),
    ("2026-02-28", "春节"),
    ("2026-05-09", "劳动节"),
    ("2026-09-20", "国庆节"),
    ("2026-10-10", "国庆节"),
)


def upgrade() -> None:
    """Create the tables and fill the calendar."""
    _create_bank_branch()
    _create_bulk_action()
    _create_calendar_day()
    _create_calendar_year()
    _create_card_order()
    _create_deregistration()
    _create_function_consent()
    _create_search_indexed()
    _create_search_print()
    _create_card_step()
    _create_due_event()
    _create_vest_order()
    dialect = op.get_context().dialect.name
    for table in APPEND_ONLY:
        for statement in append_only_ddl(table, dialect):
            op.execute(statement)
    for counter in COUNTERS:
        op.execute(f"INSERT INTO sequence (name, value) VALUES ('{counter}', 0)")  # noqa: S608
    _fill_calendar()


def downgrade() -> None:
    """Drop them."""
    op.execute(f"DELETE FROM sequence WHERE name IN {COUNTERS}")  # noqa: S608 - our own names
    for table in (
        "search_indexed", "search_print", "bulk_action", "deregistration", "function_consent",
        "due_event", "vest_order", "card_step", "card_order", "calendar_day", "calendar_year",
        "bank_branch",
    ):  # fmt: skip
        op.drop_table(table)


def _fill_calendar() -> None:
    years = sa.table(
        "calendar_year",
        sa.column("year", sa.Integer),
        sa.column("provisional", sa.Boolean),
        sa.column("source", sa.String),
    )
    days = sa.table(
        "calendar_day",
        sa.column("day", sa.Date),
        sa.column("working", sa.Boolean),
        sa.column("name", sa.String),
    )
    op.bulk_insert(
        years,
        [
            {"year": 2026, "provisional": False, "source": ANNOUNCED},
            {"year": 2027, "provisional": True, "source": FROM_THE_LAW},
        ],
    )
    rows = [{"day": dt.date.fromisoformat(d), "working": True, "name": n} for d, n in WORKED]
    for first, last, name in FREE:
        day = dt.date.fromisoformat(first)
        while day <= dt.date.fromisoformat(last):
            rows.append({"day": day, "working": False, "name": name})
            day += dt.timedelta(days=1)
    op.bulk_insert(days, rows)


def _create_bank_branch() -> None:
    op.create_table(
        "bank_branch",
        sa.Column("id", BIG, nullable=False),
        sa.Column("partner", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("from_day", sa.Date(), nullable=False),
        sa.Column("until_day", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_branch")),
        sa.UniqueConstraint(
            "partner", "code", "from_day", name=op.f("uq_bank_branch_partner_code_from_day")
        ),
    )


def _create_bulk_action() -> None:
    op.create_table(
        "bulk_action",
        sa.Column("id", BIG, nullable=False),
        sa.Column("action", sa.String(length=24), nullable=False),
        sa.Column("orders", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("effective_ms", sa.BigInteger(), nullable=False),
        sa.Column("results", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "state in ('waiting', 'done', 'undone')", name=op.f("ck_bulk_action_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_action")),
    )
    op.create_index(op.f("ix_bulk_action_state"), "bulk_action", ["state"], unique=False)


def _create_calendar_day() -> None:
    op.create_table(
        "calendar_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("working", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_calendar_day")),
    )


def _create_calendar_year() -> None:
    op.create_table(
        "calendar_year",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("year", name=op.f("pk_calendar_year")),
    )


def _create_card_order() -> None:
    op.create_table(
        "card_order",
        sa.Column("id", BIG, nullable=False),
        sa.Column("order_no", sa.CHAR(length=12), nullable=False),
        sa.Column("volunteer_id", BIG, nullable=False),
        sa.Column("kind", sa.String(length=4), nullable=False),
        sa.Column("carrier", sa.String(length=8), nullable=True),
        sa.Column("partner", sa.String(length=16), nullable=True),
        sa.Column("branch_code", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("photo_sha256", sa.CHAR(length=64), nullable=True),
        sa.Column("due_make_ms", sa.BigInteger(), nullable=True),
        sa.Column("due_notice_ms", sa.BigInteger(), nullable=True),
        sa.Column("due_branch_ms", sa.BigInteger(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("batch_ref", sa.String(length=64), nullable=True),
        sa.Column("reject_code", sa.String(length=32), nullable=True),
        sa.Column("asn", sa.CHAR(length=20), nullable=True),
        sa.Column("replaces_id", BIG, nullable=True),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "carrier is null or carrier in ('debit', 'credit')", name=op.f("ck_card_order_carrier")
        ),
        sa.CheckConstraint("kind in ('own', 'bank')", name=op.f("ck_card_order_kind")),
        sa.CheckConstraint(
            "reason in ('FIRST', 'EXPIRY', 'DAMAGED', 'LOST')", name=op.f("ck_card_order_reason")
        ),
        sa.CheckConstraint(f"state in ({STATES})", name=op.f("ck_card_order_state")),
        sa.CheckConstraint("price_fen >= 0", name=op.f("ck_card_order_price_fen")),
        sa.ForeignKeyConstraint(
            ["replaces_id"], ["card_order.id"], name=op.f("fk_card_order_replaces_id_card_order")
        ),
        sa.ForeignKeyConstraint(
            ["volunteer_id"], ["volunteer.id"], name=op.f("fk_card_order_volunteer_id_volunteer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_card_order")),
        sa.UniqueConstraint("asn", name=op.f("uq_card_order_asn")),
        sa.UniqueConstraint("order_no", name=op.f("uq_card_order_order_no")),
    )
    op.create_index(op.f("ix_card_order_batch_ref"), "card_order", ["batch_ref"], unique=False)
    op.create_index(
        "ix_card_order_partner_state", "card_order", ["partner", "state", "id"], unique=False
    )
    op.create_index(
        "ix_card_order_state_due_branch", "card_order", ["state", "due_branch_ms"], unique=False
    )
    op.create_index(
        "ix_card_order_state_due_make", "card_order", ["state", "due_make_ms"], unique=False
    )
    op.create_index("ix_card_order_state_valid_to", "card_order", ["state", "valid_to"])
    op.create_index(
        op.f("ix_card_order_volunteer_id"), "card_order", ["volunteer_id"], unique=False
    )
    op.create_index(
        "uq_card_order_under_way",
        "card_order",
        ["volunteer_id", "kind"],
        unique=True,
        sqlite_where=sa.text(f"state in ({UNDER_WAY})"),
        postgresql_where=sa.text(f"state in ({UNDER_WAY})"),
    )


def _create_deregistration() -> None:
    op.create_table(
        "deregistration",
        sa.Column("volunteer_id", BIG, autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["volunteer_id"],
            ["volunteer.id"],
            name=op.f("fk_deregistration_volunteer_id_volunteer"),
        ),
        sa.PrimaryKeyConstraint("volunteer_id", name=op.f("pk_deregistration")),
    )


def _create_function_consent() -> None:
    op.create_table(
        "function_consent",
        sa.Column("id", BIG, nullable=False),
        sa.Column("volunteer_id", BIG, nullable=False),
        sa.Column("function", sa.String(length=16), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "function in ('finance', 'health', 'transit', 'travel', 'social', 'offers')",
            name=op.f("ck_function_consent_function"),
        ),
        sa.ForeignKeyConstraint(
            ["volunteer_id"],
            ["volunteer.id"],
            name=op.f("fk_function_consent_volunteer_id_volunteer"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_function_consent")),
    )
    op.create_index(
        "ix_function_consent_volunteer_id", "function_consent", ["volunteer_id", "id"], unique=False
    )


def _create_search_indexed() -> None:
    op.create_table(
        "search_indexed",
        sa.Column("volunteer_id", BIG, autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["volunteer_id"],
            ["volunteer.id"],
            name=op.f("fk_search_indexed_volunteer_id_volunteer"),
        ),
        sa.PrimaryKeyConstraint("volunteer_id", name=op.f("pk_search_indexed")),
    )


def _create_search_print() -> None:
    op.create_table(
        "search_print",
        sa.Column("volunteer_id", BIG, autoincrement=False, nullable=False),
        sa.Column("print", sa.LargeBinary(length=8), nullable=False),
        sa.ForeignKeyConstraint(
            ["volunteer_id"], ["volunteer.id"], name=op.f("fk_search_print_volunteer_id_volunteer")
        ),
        sa.PrimaryKeyConstraint("volunteer_id", "print", name=op.f("pk_search_print")),
    )
    op.create_index(op.f("ix_search_print_print"), "search_print", ["print"], unique=False)


def _create_card_step() -> None:
    op.create_table(
        "card_step",
        sa.Column("id", BIG, nullable=False),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("from_state", sa.String(length=16), nullable=True),
        sa.Column("to_state", sa.String(length=16), nullable=False),
        sa.Column("event", sa.String(length=24), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("cause_ref", sa.String(length=120), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["order_id"], ["card_order.id"], name=op.f("fk_card_step_order_id_card_order")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_card_step")),
    )
    op.create_index("ix_card_step_order_id", "card_step", ["order_id", "id"], unique=False)


def _create_due_event() -> None:
    op.create_table(
        "due_event",
        sa.Column("id", BIG, nullable=False),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("raised_ms", sa.BigInteger(), nullable=False),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.Column("done_by", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["order_id"], ["card_order.id"], name=op.f("fk_due_event_order_id_card_order")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_due_event")),
        sa.UniqueConstraint("order_id", "kind", name=op.f("uq_due_event_order_id_kind")),
    )
    op.create_index(op.f("ix_due_event_kind"), "due_event", ["kind"], unique=False)


def _create_vest_order() -> None:
    op.create_table(
        "vest_order",
        sa.Column("id", BIG, nullable=False),
        sa.Column("volunteer_id", BIG, nullable=False),
        sa.Column("order_id", BIG, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("price_fen", sa.Integer(), nullable=False),
        sa.Column("cause_ref", sa.String(length=120), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state in ('ordered', 'produced', 'arrived', 'collected', 'cancelled')",
            name=op.f("ck_vest_order_state"),
        ),
        sa.CheckConstraint("price_fen = 0", name=op.f("ck_vest_order_free")),
        sa.ForeignKeyConstraint(
            ["order_id"], ["card_order.id"], name=op.f("fk_vest_order_order_id_card_order")
        ),
        sa.ForeignKeyConstraint(
            ["volunteer_id"], ["volunteer.id"], name=op.f("fk_vest_order_volunteer_id_volunteer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vest_order")),
        sa.UniqueConstraint("order_id", name=op.f("uq_vest_order_order_id")),
        sa.UniqueConstraint("volunteer_id", name=op.f("uq_vest_order_volunteer_id")),
    )
