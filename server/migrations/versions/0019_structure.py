# SPDX-License-Identifier: Apache-2.0
"""Create regions, organisations, memberships, sub-sites; activities asked for and approved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables; activities that exist stand as approved."""
    _create_regions()
    _create_organisations()
    _create_memberships()
    _create_sub_sites()
    _create_applications()
    op.add_column("site", sa.Column("organisation_id", BIG, nullable=True))
    op.create_index(op.f("ix_site_organisation_id"), "site", ["organisation_id"])
    op.add_column("activity", sa.Column("application_id", BIG, nullable=True))
    op.add_column("activity", sa.Column("capacity", sa.Integer(), nullable=True))
    op.add_column("activity", sa.Column("cancelled_ms", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_activity_application_id"), "activity", ["application_id"])


def _create_regions() -> None:
    op.create_table(
        "region",
        sa.Column("code", sa.String(12), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("parent", sa.String(12), nullable=True),
        sa.Column("name_zh", sa.String(64), nullable=False),
        sa.Column("name_en", sa.String(64), nullable=False),
        sa.Column("retired_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("level between 1 and 4", name=op.f("ck_region_level")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_region")),
    )
    op.create_index(op.f("ix_region_parent"), "region", ["parent"])


def _create_organisations() -> None:
    op.create_table(
        "organisation",
        sa.Column("id", BIG, nullable=False),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("name_zh", sa.String(64), nullable=False),
        sa.Column("name_en", sa.String(64), nullable=False),
        sa.Column("parent_id", BIG, nullable=True),
        sa.Column("region", sa.String(12), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("closed_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["organisation.id"], name=op.f("fk_organisation_parent_id_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
        sa.UniqueConstraint("code", name=op.f("uq_organisation_code")),
    )
    op.create_index(op.f("ix_organisation_parent_id"), "organisation", ["parent_id"])
    op.create_index(op.f("ix_organisation_region"), "organisation", ["region"])


def _create_memberships() -> None:
    op.create_table(
        "membership",
        sa.Column("id", BIG, nullable=False),
        sa.Column("volunteer_id", BIG, nullable=False),
        sa.Column("organisation_id", sa.BigInteger(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["volunteer_id"], ["volunteer.id"], name=op.f("fk_membership_volunteer_id_volunteer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_membership")),
    )
    op.create_index(
        "ix_membership_current",
        "membership",
        ["volunteer_id", "organisation_id"],
        unique=True,
        sqlite_where=sa.text("until_ms IS NULL"),
        postgresql_where=sa.text("until_ms IS NULL"),
    )
    op.create_index(
        "ix_membership_organisation_id", "membership", ["organisation_id"], unique=False
    )


def _create_sub_sites() -> None:
    op.create_table(
        "sub_site",
        sa.Column("host", sa.String(253), nullable=False),
        sa.Column("organisation_id", BIG, nullable=True),
        sa.Column("region", sa.String(12), server_default="", nullable=False),
        sa.Column("title_zh", sa.String(64), nullable=False),
        sa.Column("title_en", sa.String(64), nullable=False),
        sa.Column("colour", sa.String(16), nullable=False),
        sa.Column("logo", sa.LargeBinary(), nullable=True),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_sub_site")),
    )


def _create_applications() -> None:
    op.create_table(
        "activity_application",
        sa.Column("id", BIG, nullable=False),
        sa.Column("site_id", BIG, nullable=False),
        sa.Column("code", sa.String(12), nullable=False),
        sa.Column("name_zh", sa.String(64), nullable=False),
        sa.Column("name_en", sa.String(64), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("every_days", sa.Integer(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("planned_min", sa.Integer(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=True),
        sa.Column("minors", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("applied_by", sa.String(64), nullable=False),
        sa.Column("applied_ms", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(64), nullable=True),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(200), server_default="", nullable=False),
        sa.CheckConstraint(
            "state in ('applied', 'approved', 'refused', 'cancelled')",
            name=op.f("ck_activity_application_state"),
        ),
        sa.CheckConstraint(
            "state not in ('approved', 'refused') or decided_by <> applied_by",
            name=op.f("ck_activity_application_two_people"),
        ),
        sa.ForeignKeyConstraint(
            ["site_id"], ["site.id"], name=op.f("fk_activity_application_site_id_site")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_activity_application")),
    )
    op.create_index(op.f("ix_activity_application_site_id"), "activity_application", ["site_id"])
    op.create_index(op.f("ix_activity_application_state"), "activity_application", ["state"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index(op.f("ix_activity_application_id"), "activity")
    for column in ("cancelled_ms", "capacity", "application_id"):
        op.drop_column("activity", column)
    op.drop_index(op.f("ix_site_organisation_id"), "site")
    op.drop_column("site", "organisation_id")
    for table in ("activity_application", "sub_site", "membership", "organisation", "region"):
        op.drop_table(table)
