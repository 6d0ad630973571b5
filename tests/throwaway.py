# SPDX-License-Identifier: Apache-2.0
"""Databases that nobody misses: opened as the server opens them, never flushed to the disk."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from server.db import Database


def open_unsynced(url: str) -> Database:
    """Open a database of a test; the throw-away cluster of PostgreSQL flushes nothing either."""
    database = Database(url)
    if not database.is_postgresql:
        sa.event.listen(database.engine, "connect", _unsync)
    return database


def _unsync(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")
