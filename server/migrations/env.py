# SPDX-License-Identifier: Apache-2.0
"""Alembic environment: runs on the connection handed over by `server.schema`."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=False)
with context.begin_transaction():
    context.run_migrations()
