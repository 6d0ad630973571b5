# SPDX-License-Identifier: Apache-2.0
"""Let one update wait for a card, whoever queues another in the same moment.

Where two wait already, the newest stays and the others count as replaced; a reading of the log
gives way to a change. The table holds what staff queued, some thousand rows.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

WAITING = "state = 'waiting'"
RESOLVED = """
UPDATE card_update SET state = 'replaced', ended_ms = (
    SELECT max(kept.created_ms) FROM card_update AS kept
    WHERE kept.asn = card_update.asn AND kept.state = 'waiting'
) WHERE state = 'waiting' AND EXISTS (
    SELECT 1 FROM card_update AS better
    WHERE better.asn = card_update.asn AND better.state = 'waiting' AND (
        (card_update.fields = 'log' AND better.fields <> 'log')
        OR (better.id > card_update.id AND (card_update.fields = 'log' OR better.fields <> 'log'))
    )
)
"""


def upgrade() -> None:
    """Resolve the doubles and create the index."""
    op.execute(RESOLVED)
    op.create_index(
        "uq_card_update_waiting", "card_update", ["asn"], unique=True,
        sqlite_where=sa.text(WAITING), postgresql_where=sa.text(WAITING),
    )  # fmt: skip


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("uq_card_update_waiting", "card_update")
