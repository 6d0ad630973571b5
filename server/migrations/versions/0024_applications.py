# SPDX-License-Identifier: Apache-2.0
"""Create the tables of applications, and the first versions of what applicants accept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import append_only_ddl

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("agreement", "acceptance", "application_rule")
# Kind, title and words, Chinese and English. The whole texts of laws and by-laws are public; what
# an applicant declares is the sentence. Later versions: yika-server application agreement add.
FIRST_VERSIONS = (
    ("voluntary", "自愿申请", "My own free will", "我自愿申请成为义工。",
     "I apply of my own free will."),
    ("regulations", "志愿服务条例", "Regulations on volunteer service",
     "我遵守《广东省志愿服务条例》和《深圳市义工服务条例》。",
     "I keep the regulations on volunteer service of Guangdong and of Shenzhen."),
    ("charter", "义工联合会章程", "Charter of the federation", "我接受义工联合会章程。",
     "I accept the charter of the volunteers' federation."),
    ("conduct", "义工行为守则", "Code of conduct", "我接受义工行为守则。",
     "I accept the code of conduct of volunteers."),
    ("service", "义工服务协议", "Service agreement", "我接受义工服务协议。",
     "I accept the service agreement."),
    ("fitness", "身体状况", "Health", "我的身体状况适合参加义工服务。",
     "My health allows me to serve."),
    ("ability", "服务能力", "Ability to serve", "我具备参加义工服务所需的基本能力。",
     "I am able to do the service I sign up for."),
)  # fmt: skip


def upgrade() -> None:
    """Create the tables, their triggers, the counter and the first versions."""
    _agreement()
    _application_draft()
    _application_key()
    _application_rule()
    _volunteer_import()
    _acceptance()
    _application()
    _league_membership()
    _volunteer_import_line()
    _application_photo()
    dialect = op.get_context().dialect.name
    for table in APPEND_ONLY:
        for statement in append_only_ddl(table, dialect):
            op.execute(statement)
    op.execute("INSERT INTO sequence (name, value) VALUES ('preliminary', 0)")
    columns = ("title_zh", "title_en", "text_zh", "text_en")
    rows = [
        {"kind": kind, "version": 1, "from_ms": 0, "actor": "system"}
        | dict(zip(columns, texts, strict=True))
        for kind, *texts in FIRST_VERSIONS
    ]
    agreement = sa.table(
        "agreement", sa.column("kind"), sa.column("version"), sa.column("from_ms"),
        sa.column("actor"), *map(sa.column, columns),
    )  # fmt: skip
    op.bulk_insert(agreement, rows)


def _agreement() -> None:
    op.create_table(
        "agreement",
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("title_zh", sa.String(length=200), nullable=False),
        sa.Column("title_en", sa.String(length=200), nullable=False),
        sa.Column("text_zh", sa.Text(), nullable=False),
        sa.Column("text_en", sa.Text(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("kind", "version", name=op.f("pk_agreement")),
    )


def _application_draft() -> None:
    op.create_table(
        "application_draft",
        sa.Column("id", BIG, nullable=False),
        sa.Column("code_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_photo", sa.LargeBinary(), nullable=True),
        sa.Column("entered_by", sa.String(length=64), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_draft")),
        sa.UniqueConstraint("code_sha256", name=op.f("uq_application_draft_code_sha256")),
    )
    op.create_index(
        op.f("ix_application_draft_changed_ms"), "application_draft", ["changed_ms"], unique=False
    )


def _application_key() -> None:
    op.create_table(
        "application_key",
        sa.Column("id", BIG, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_key")),
    )


def _application_rule() -> None:
    op.create_table(
        "application_rule",
        sa.Column("id", BIG, nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_rule")),
    )


def _volunteer_import() -> None:
    op.create_table(
        "volunteer_import",
        sa.Column("id", BIG, nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("mapping", sa.JSON(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("opening_id", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("undone_by", sa.String(length=64), nullable=True),
        sa.Column("undone_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_volunteer_import")),
    )
    op.create_index(
        "ix_volunteer_import_sha256",
        "volunteer_import",
        ["sha256"],
        unique=True,
        sqlite_where=sa.text("undone_ms IS NULL"),
        postgresql_where=sa.text("undone_ms IS NULL"),
    )


def _acceptance() -> None:
    op.create_table(
        "acceptance",
        sa.Column("id", BIG, nullable=False),
        sa.Column("volunteer_id", BIG, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["volunteer_id"], ["volunteer.id"], name=op.f("fk_acceptance_volunteer_id_volunteer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acceptance")),
    )
    op.create_index(
        "ix_acceptance_volunteer_id", "acceptance", ["volunteer_id", "kind"], unique=False
    )


def _application() -> None:
    op.create_table(
        "application",
        sa.Column("id", BIG, nullable=False),
        sa.Column("volunteer_id", BIG, nullable=False),
        sa.Column("preliminary_number", sa.CHAR(length=10), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("carrier", sa.String(length=6), nullable=False),
        sa.Column("branch_code", sa.String(length=16), nullable=True),
        sa.Column("organisation_id", sa.BigInteger(), nullable=True),
        sa.Column("document_kind", sa.String(length=24), nullable=False),
        sa.Column("document_tail", sa.String(length=4), nullable=False),
        sa.Column("document_fingerprint", sa.LargeBinary(length=32), nullable=True),
        sa.Column("person_fingerprint", sa.LargeBinary(length=32), nullable=True),
        sa.Column("sealed_document", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_mobile", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_address", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_emergency", sa.LargeBinary(), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("entered_by", sa.String(length=64), nullable=False),
        sa.Column("submitted_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("frozen_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("carrier in ('debit', 'credit')", name=op.f("ck_application_carrier")),
        sa.CheckConstraint(
            "channel in ('online', 'staff', 'call', 'app', 'terminal', 'import')",
            name=op.f("ck_application_channel"),
        ),
        sa.CheckConstraint(
            "state in ('submitted', 'training', 'ready', 'approved', 'rejected', 'withdrawn')",
            name=op.f("ck_application_state"),
        ),
        sa.ForeignKeyConstraint(
            ["volunteer_id"], ["volunteer.id"], name=op.f("fk_application_volunteer_id_volunteer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application")),
    )
    op.create_index(
        "ix_application_document_open",
        "application",
        ["document_fingerprint"],
        unique=True,
        sqlite_where=sa.text("state not in ('rejected', 'withdrawn')"),
        postgresql_where=sa.text("state not in ('rejected', 'withdrawn')"),
    )
    op.create_index(
        "ix_application_person_fingerprint", "application", ["person_fingerprint"], unique=False
    )
    op.create_index(
        "ix_application_preliminary_number", "application", ["preliminary_number"], unique=False
    )
    op.create_index("ix_application_state", "application", ["state", "id"], unique=False)
    op.create_index("ix_application_volunteer_id", "application", ["volunteer_id"], unique=False)


def _league_membership() -> None:
    op.create_table(
        "league_membership",
        sa.Column("id", BIG, nullable=False),
        sa.Column("volunteer_id", BIG, nullable=False),
        sa.Column("joined", sa.Date(), nullable=False),
        sa.Column("left", sa.Date(), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["volunteer_id"],
            ["volunteer.id"],
            name=op.f("fk_league_membership_volunteer_id_volunteer"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_league_membership")),
    )
    op.create_index(
        op.f("ix_league_membership_volunteer_id"),
        "league_membership",
        ["volunteer_id"],
        unique=False,
    )


def _volunteer_import_line() -> None:
    op.create_table(
        "volunteer_import_line",
        sa.Column("import_id", BIG, autoincrement=False, nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("volunteer_id", BIG, nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["volunteer_import.id"],
            name=op.f("fk_volunteer_import_line_import_id_volunteer_import"),
        ),
        sa.ForeignKeyConstraint(
            ["volunteer_id"],
            ["volunteer.id"],
            name=op.f("fk_volunteer_import_line_volunteer_id_volunteer"),
        ),
        sa.PrimaryKeyConstraint("import_id", "line", name=op.f("pk_volunteer_import_line")),
    )
    op.create_index(
        op.f("ix_volunteer_import_line_volunteer_id"),
        "volunteer_import_line",
        ["volunteer_id"],
        unique=False,
    )


def _application_photo() -> None:
    op.create_table(
        "application_photo",
        sa.Column("id", BIG, nullable=False),
        sa.Column("application_id", BIG, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("maybe_upscaled", sa.Boolean(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["application.id"],
            name=op.f("fk_application_photo_application_id_application"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_photo")),
    )
    op.create_index(
        op.f("ix_application_photo_application_id"),
        "application_photo",
        ["application_id"],
        unique=False,
    )


def downgrade() -> None:
    """Drop them."""
    op.execute("DELETE FROM sequence WHERE name = 'preliminary'")
    op.drop_table("application_photo")
    op.drop_table("volunteer_import_line")
    op.drop_table("league_membership")
    op.drop_table("application")
    op.drop_table("acceptance")
    op.drop_table("volunteer_import")
    op.drop_table("application_rule")
    op.drop_table("application_key")
    op.drop_table("application_draft")
    op.drop_table("agreement")
