# SPDX-License-Identifier: Apache-2.0
"""How many tries one address has: applications begun, gone on with by a code, handed in.

A try is written down before anything else is done and stays written when the rest is refused.
The table holds keyed hashes of addresses, for as long as a try counts and no longer.
"""

from __future__ import annotations

import hashlib
import hmac

import sqlalchemy as sa

from server.applications.models import ApplicationTry
from server.applications.policy import TRY_WINDOW_MS
from server.db import Database
from server.errors import Problem


def admit(database: Database, key: bytes, tries_max: int, now_ms: int) -> None:
    """Count a try of who `key` stands for, in a unit of work of its own.

    A refused try is not counted, so that somebody who keeps trying still gets in.

    Raises:
        Problem: 429, with the time to wait: there were `tries_max` inside the window.
    """
    with database.writing() as session:
        if session.get_bind().dialect.name == "postgresql":
            # One try per address at a time; SQLite has one writer anyway.
            lock = int.from_bytes(key[:8], "big", signed=True)
            session.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
        session.execute(
            sa.delete(ApplicationTry)
            .where(ApplicationTry.at_ms <= now_ms - TRY_WINDOW_MS)
            .execution_options(synchronize_session=False)
        )
        count, oldest = session.execute(
            sa.select(sa.func.count(), sa.func.min(ApplicationTry.at_ms)).where(
                ApplicationTry.key == key
            )
        ).one()
        if count >= tries_max:
            wait_s = max(1, -(-(oldest + TRY_WINDOW_MS - now_ms) // 1000))
            raise Problem(
                429, "too-many-applications", "此地址提交过多，请稍后再试",
                "too many applications from this address: try again later", retry_after_s=wait_s,
            )  # fmt: skip
        session.add(ApplicationTry(key=key, at_ms=now_ms))


def address_key(secret: bytes, kind: str, address: str) -> bytes:
    """Return what stands for an address in the table; without the secret it says nothing.

    >>> len(address_key(b"secret", "visitor", "2001:db8::1"))
    32
    """
    return hmac.digest(secret, f"application\0{kind}\0{address}".encode(), hashlib.sha256)
