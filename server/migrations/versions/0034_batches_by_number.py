# SPDX-License-Identifier: Apache-2.0
"""Find the batch that brought an event, and so the month in which the event stands.

The index is small, one entry an upload: building it keeps uploads waiting for about a second per
million of them.
"""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.create_index("ix_batch_first_seq", "batch", ["terminal_id", "first_seq"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_batch_first_seq", "batch")
