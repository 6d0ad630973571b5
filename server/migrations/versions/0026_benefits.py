# SPDX-License-Identifier: Apache-2.0
"""Create the insurance register, its files and claims, donations, benefit campaigns."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import append_only_ddl

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("insurance_claim", "donation")


def upgrade() -> None:
    """Create the tables."""
    _create_benefit_campaign()
    _create_insurance_file()
    _create_donation()
    _create_insured()
    _create_insurance_claim()
    dialect = op.get_context().dialect.name
    for table in APPEND_ONLY:
        for statement in append_only_ddl(table, dialect):
            op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    for table in ("benefit_campaign", "donation", "insurance_claim", "insurance_file", "insured"):
        op.drop_table(table)


def _create_benefit_campaign() -> None:
    op.create_table(
        "benefit_campaign",
        sa.Column("id", BIG, nullable=False),
        sa.Column("name_zh", sa.String(length=120), nullable=False),
        sa.Column("name_en", sa.String(length=120), nullable=False),
        sa.Column("from_day", sa.Date(), nullable=False),
        sa.Column("until_day", sa.Date(), nullable=False),
        sa.Column("least_minutes", sa.Integer(), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_benefit_campaign")),
    )


def _create_insurance_file() -> None:
    op.create_table(
        "insurance_file",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.Column("insured", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_insurance_file")),
    )


def _create_donation() -> None:
    op.create_table(
        "donation",
        sa.Column("id", BIG, nullable=False),
        sa.Column("partner", sa.String(length=16), nullable=False),
        sa.Column("month", sa.CHAR(length=7), nullable=False),
        sa.Column("volunteer_id", BIG, nullable=False),
        sa.Column("purchases", sa.BigInteger(), nullable=False),
        sa.Column("refunds", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("cause_ref", sa.String(length=120), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("purchases >= 0 and refunds >= 0", name=op.f("ck_donation_counts")),
        sa.ForeignKeyConstraint(
            ["volunteer_id"], ["volunteer.id"], name=op.f("fk_donation_volunteer_id_volunteer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_donation")),
        sa.UniqueConstraint(
            "partner", "month", "volunteer_id", name=op.f("uq_donation_partner_month_volunteer_id")
        ),
    )
    op.create_index(op.f("ix_donation_volunteer_id"), "donation", ["volunteer_id"], unique=False)


def _create_insured() -> None:
    op.create_table(
        "insured",
        sa.Column("id", BIG, nullable=False),
        sa.Column("volunteer_id", BIG, nullable=False),
        sa.Column("from_day", sa.Date(), nullable=False),
        sa.Column("until_day", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["volunteer_id"], ["volunteer.id"], name=op.f("fk_insured_volunteer_id_volunteer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_insured")),
    )
    op.create_index("ix_insured_open", "insured", ["until_day", "volunteer_id"], unique=False)
    op.create_index(op.f("ix_insured_volunteer_id"), "insured", ["volunteer_id"], unique=False)


def _create_insurance_claim() -> None:
    op.create_table(
        "insurance_claim",
        sa.Column("id", BIG, nullable=False),
        sa.Column("volunteer_id", BIG, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("cost_fen", sa.BigInteger(), nullable=False),
        sa.Column("pays_fen", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.String(length=24), nullable=False),
        sa.Column("interval_id", BIG, nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "kind in ('death', 'disability', 'medical')", name=op.f("ck_insurance_claim_kind")
        ),
        sa.CheckConstraint(
            "cost_fen >= 0 and pays_fen >= 0", name=op.f("ck_insurance_claim_amounts")
        ),
        sa.ForeignKeyConstraint(
            ["interval_id"],
            ["service_interval.id"],
            name=op.f("fk_insurance_claim_interval_id_service_interval"),
        ),
        sa.ForeignKeyConstraint(
            ["volunteer_id"],
            ["volunteer.id"],
            name=op.f("fk_insurance_claim_volunteer_id_volunteer"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_insurance_claim")),
    )
    op.create_index(
        op.f("ix_insurance_claim_volunteer_id"), "insurance_claim", ["volunteer_id"], unique=False
    )
