# SPDX-License-Identifier: Apache-2.0
"""Create the tables of the desk: boxes, jobs, sessions, journals, what is known of keys, stock."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import append_only_ddl

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("desk_entry", "desk_stock")


def _check(table: str, column: str, values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values.split())
    return sa.CheckConstraint(f"{column} in ({listed})", name=op.f(f"ck_{table}_{column}"))


def _key(table: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}"))


def _foreign(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{other}")
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=name)


def upgrade() -> None:
    """Create the seven tables."""
    _boxes()
    _jobs()
    op.create_table(
        "desk_key_fact",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("asn", sa.CHAR(20), nullable=False),
        sa.Column("left", sa.Integer(), nullable=True),
        sa.Column("known", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_desk_key_fact")),
    )
    op.create_table(
        "desk_box_line",
        sa.Column("id", BIG, nullable=False),
        sa.Column("box_id", BIG, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("volunteer_id", BIG, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("job_id", BIG, nullable=True),
        _key("desk_box_line"),
        _foreign("desk_box_line", "box_id", "desk_box"),
        _foreign("desk_box_line", "volunteer_id", "volunteer"),
        _foreign("desk_box_line", "job_id", "desk_job"),
        _check("desk_box_line", "state", "waiting issued left-out"),
        sa.UniqueConstraint("box_id", "position", name=op.f("uq_desk_box_line_box_id_position")),
        sa.UniqueConstraint(
            "box_id", "volunteer_id", name=op.f("uq_desk_box_line_box_id_volunteer_id")
        ),
    )
    for table, column in (
        ("desk_job", "volunteer_id"), ("desk_job", "asn"), ("desk_job", "box_id"),
        ("desk_session", "job_id"), ("desk_entry", "asn"), ("desk_entry", "job_id"),
        ("desk_key_fact", "asn"), ("desk_stock", "box_id"),
    ):  # fmt: skip
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])
    op.create_index("ix_desk_job_state", "desk_job", ["state", "id"])
    for table in APPEND_ONLY:
        for statement in append_only_ddl(table, op.get_bind().dialect.name):
            op.execute(statement)


def _boxes() -> None:
    op.create_table(
        "desk_box",
        sa.Column("id", BIG, nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("opened_by", sa.String(64), nullable=False),
        sa.Column("opened_ms", sa.BigInteger(), nullable=False),
        sa.Column("closed_ms", sa.BigInteger(), nullable=True),
        _key("desk_box"),
        sa.UniqueConstraint("name", name=op.f("uq_desk_box_name")),
    )
    op.create_table(
        "desk_stock",
        sa.Column("id", BIG, nullable=False),
        sa.Column("box_id", BIG, nullable=False),
        sa.Column("what", sa.String(8), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("asn", sa.CHAR(20), nullable=True),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        _key("desk_stock"),
        _foreign("desk_stock", "box_id", "desk_box"),
        _check("desk_stock", "what", "received issued spoilt counted"),
    )


def _jobs() -> None:
    op.create_table(
        "desk_job",
        sa.Column("id", BIG, nullable=False),
        sa.Column("reference", sa.CHAR(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("volunteer_id", BIG, nullable=True),
        sa.Column("asn", sa.CHAR(20), nullable=True),
        sa.Column("old_asn", sa.CHAR(20), nullable=True),
        sa.Column("order_no", sa.CHAR(12), nullable=True),
        sa.Column("box_id", BIG, nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("writes", sa.Integer(), nullable=False),
        sa.Column("outcome_zh", sa.String(300), nullable=False),
        sa.Column("outcome_en", sa.String(300), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        _key("desk_job"),
        _foreign("desk_job", "volunteer_id", "volunteer"),
        _foreign("desk_job", "box_id", "desk_box"),
        sa.UniqueConstraint("reference", name=op.f("uq_desk_job_reference")),
        _check(
            "desk_job", "kind",
            "issue replace read refresh block unblock pin-change pin-unblock",
        ),
        _check("desk_job", "state", "planned running stopped done cancelled"),
    )  # fmt: skip
    op.create_table(
        "desk_session",
        sa.Column("id", sa.CHAR(32), nullable=False),
        sa.Column("job_id", BIG, nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("chip", sa.String(64), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("over", sa.Boolean(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("transcript", sa.Text(), nullable=False),
        sa.Column("began_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        _key("desk_session"),
        _foreign("desk_session", "job_id", "desk_job"),
    )
    op.create_table(
        "desk_entry",
        sa.Column("id", BIG, nullable=False),
        sa.Column("asn", sa.CHAR(20), nullable=False),
        sa.Column("job_id", BIG, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.JSON(), nullable=False),
        _key("desk_entry"),
        _foreign("desk_entry", "job_id", "desk_job"),
    )


def downgrade() -> None:
    """Drop the seven tables."""
    for table in (
        "desk_box_line", "desk_entry", "desk_session", "desk_job",
        "desk_stock", "desk_box", "desk_key_fact",
    ):  # fmt: skip
        op.drop_table(table)
