# SPDX-License-Identifier: Apache-2.0
"""Look at the transfers and entries of a statement together; SQLite keeps looking row by row."""

from __future__ import annotations

from alembic import op

from server.timebank.models import ledger_at_once_ddl, ledger_ddl

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The new triggers are there before the old ones go."""
    if op.get_context().dialect.name == "postgresql":
        for statement in ledger_at_once_ddl():
            op.execute(statement)


def downgrade() -> None:
    """Bring the old ones back."""
    if op.get_context().dialect.name != "postgresql":
        return
    for statement in ledger_ddl("postgresql"):
        op.execute(statement)
    op.execute("DROP TRIGGER transfers_balance ON transfer")
    op.execute("DROP TRIGGER entries_sealed ON entry")
    op.execute("DROP FUNCTION yika_transfers_balance()")
    op.execute("DROP FUNCTION yika_entries_sealed()")
