# SPDX-License-Identifier: Apache-2.0
"""A key for each person, and when a person's data was erased.

Names sealed by an earlier version stand under the key store's own key; there is no person's key
that opens them, so a database that holds some is refused.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table of keys."""
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM volunteer")):
        message = "this database holds people of a version before the first release; begin anew"
        raise RuntimeError(message)
    op.create_table(
        "person_key",
        sa.Column("volunteer_id", BIG, autoincrement=False, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["volunteer_id"], ["volunteer.id"], name=op.f("fk_person_key_volunteer_id_volunteer")
        ),
        sa.PrimaryKeyConstraint("volunteer_id", name=op.f("pk_person_key")),
    )
    op.add_column("volunteer", sa.Column("code_ms", sa.BigInteger(), nullable=True))
    op.add_column("volunteer", sa.Column("erased_ms", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("volunteer", "erased_ms")
    op.drop_column("volunteer", "code_ms")
    op.drop_table("person_key")
