# SPDX-License-Identifier: Apache-2.0
"""Find leaves by their batch, chain the audit trail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import append_only_ddl
from server.people.audit_chain import GENESIS, Line, link_hash

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Where a receipt says how large the log is: 8 bytes, big-endian.
LOG_SIZE = slice(56, 64)


def upgrade() -> None:
    """Add the columns and tables, and fill them from what is stored."""
    dialect = op.get_context().dialect.name
    op.add_column(
        "batch", sa.Column("log_size", sa.BigInteger(), server_default="0", nullable=False)
    )
    _fill_log_sizes(dialect)
    op.create_index("ix_log_record_kind", "log_record", ["kind", "leaf_index"], unique=False)
    op.create_index("ix_batch_log_size", "batch", ["log_size"], unique=False)
    op.create_table(
        "audit_link",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("audit_id", BIG, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_link")),
        sa.UniqueConstraint("audit_id", name=op.f("uq_audit_link_audit_id")),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", BIG, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    _link_audit()
    for statement in append_only_ddl("audit_link", dialect):
        op.execute(statement)


def _fill_log_sizes(dialect: str) -> None:
    """Copy each batch's log size out of its receipt, once, with the guard of the table off."""
    connection = op.get_bind()
    if dialect == "sqlite":
        op.execute("DROP TRIGGER batch_no_update")
    else:
        op.execute("ALTER TABLE batch DISABLE TRIGGER batch_append_only")
    batch = sa.table("batch", sa.column("id"), sa.column("receipt"), sa.column("log_size"))
    rows = connection.execute(sa.select(batch.c.id, batch.c.receipt)).all()
    for number, receipt in rows:
        size = int.from_bytes(bytes(receipt)[LOG_SIZE])
        connection.execute(batch.update().where(batch.c.id == number).values(log_size=size))
    if dialect == "sqlite":
        op.execute(append_only_ddl("batch", dialect)[0])
    else:
        op.execute("ALTER TABLE batch ENABLE TRIGGER batch_append_only")


def _link_audit() -> None:
    """Chain the lines that were written before there was a chain, in the order of their numbers."""
    connection = op.get_bind()
    audit = sa.table(
        "audit",
        *(sa.column(name) for name in ("id", "at_ms", "actor", "action", "subject")),
        sa.column("detail", sa.JSON()),
    )
    link = sa.table(
        "audit_link", sa.column("number"), sa.column("audit_id"), sa.column("hash", sa.LargeBinary)
    )
    head = sa.table(
        "audit_head", sa.column("id"), sa.column("number"), sa.column("hash", sa.LargeBinary)
    )
    number, last = 0, GENESIS
    for row in connection.execute(sa.select(audit).order_by(audit.c.id)).all():
        number += 1
        last = link_hash(last, number, Line(*row))
        connection.execute(link.insert().values(number=number, audit_id=row.id, hash=last))
    connection.execute(head.insert().values(id=1, number=number, hash=last))
