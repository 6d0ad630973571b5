# SPDX-License-Identifier: Apache-2.0
"""Create grants of roles, passkeys, more about sessions; give everybody the role held before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ROLES = (
    "role in ('volunteer', 'leader', 'staff', 'org_manager', 'region_manager',"
    " 'call_centre', 'partner', 'auditor', 'admin')"
)


def upgrade() -> None:
    """Create the tables, widen the roles, carry over what was given."""
    _widen_roles()
    _create_grants()
    _carry_over()
    _create_passkeys()
    for name, default in (("within_kind", "all"), ("within_ref", "")):
        column = sa.Column(name, sa.String(32), server_default=default, nullable=False)
        op.add_column("service_account", column)
    op.add_column("portal_session", sa.Column("way", sa.String(16), nullable=True))
    op.add_column("portal_session", sa.Column("agent", sa.String(80), nullable=True))


def _widen_roles() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_user_role"), "user")
        op.create_check_constraint(op.f("ck_user_role"), "user", ROLES)
        return
    # SQLite changes no check: the table is written anew. Sessions, which alone refer to it, end.
    op.execute("DELETE FROM portal_session")
    op.create_table(
        "user_wide",
        sa.Column("id", BIG, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("secret_hash", sa.String(255), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(ROLES, name=op.f("ck_user_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("name", name=op.f("uq_user_name")),
    )
    op.execute(
        "INSERT INTO user_wide (id, name, secret_hash, role, site_id)"
        ' SELECT id, name, secret_hash, role, site_id FROM "user"'
    )
    op.drop_table("user")
    op.rename_table("user_wide", "user")


def _create_grants() -> None:
    op.create_table(
        "role_grant",
        sa.Column("id", BIG, nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("scope_kind", sa.String(16), nullable=False),
        sa.Column("scope_ref", sa.String(32), server_default="", nullable=False),
        sa.Column("granted_by", sa.String(64), nullable=False),
        sa.Column("granted_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_by", sa.String(64), nullable=True),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "scope_kind in ('site', 'organisation', 'region', 'partner', 'all')",
            name=op.f("ck_role_grant_scope_kind"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_role_grant_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_grant")),
    )
    op.create_index(op.f("ix_role_grant_user_id"), "role_grant", ["user_id"])


def _carry_over() -> None:
    head = (
        "INSERT INTO role_grant (user_id, role, scope_kind, scope_ref, granted_by, granted_ms) "
        "SELECT id, role, "
    )
    op.execute(
        f"{head} 'site', CAST(site_id AS VARCHAR(32)), 'migration', 0 FROM \"user\" "
        "WHERE role = 'leader' AND site_id IS NOT NULL"
    )
    op.execute(f"{head} 'all', '', 'migration', 0 FROM \"user\" WHERE role IN ('staff', 'admin')")


def _create_passkeys() -> None:
    op.create_table(
        "passkey",
        sa.Column("id", BIG, nullable=False),
        sa.Column("credential_id", sa.LargeBinary(1023), nullable=False),
        sa.Column("volunteer_id", BIG, nullable=True),
        sa.Column("user_id", BIG, nullable=True),
        sa.Column("public_key", sa.LargeBinary(1024), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.Column("cloned_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(volunteer_id is null) <> (user_id is null)", name=op.f("ck_passkey_one_subject")
        ),
        sa.ForeignKeyConstraint(
            ["volunteer_id"], ["volunteer.id"], name=op.f("fk_passkey_volunteer_id_volunteer")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_passkey_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkey_credential_id")),
    )
    op.create_index(op.f("ix_passkey_volunteer_id"), "passkey", ["volunteer_id"])
    op.create_index(op.f("ix_passkey_user_id"), "passkey", ["user_id"])
    op.create_table(
        "passkey_challenge",
        sa.Column("challenge", sa.LargeBinary(32), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("bound_to", sa.LargeBinary(32), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("challenge", name=op.f("pk_passkey_challenge")),
    )


def downgrade() -> None:
    """Drop what came; roles that did not exist before keep their rows."""
    op.drop_column("service_account", "within_ref")
    op.drop_column("service_account", "within_kind")
    op.drop_column("portal_session", "agent")
    op.drop_column("portal_session", "way")
    op.drop_table("passkey_challenge")
    op.drop_table("passkey")
    op.drop_table("role_grant")
