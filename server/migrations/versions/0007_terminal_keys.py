# SPDX-License-Identifier: Apache-2.0
"""Let a terminal's key be of either suite, follow another, and end at a sequence number."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; existing keys have no end and replace none."""
    for column in ("until_seq", "replaces"):
        op.add_column("terminal_key", sa.Column(column, sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Take the columns away."""
    for column in ("replaces", "until_seq"):
        op.drop_column("terminal_key", column)
