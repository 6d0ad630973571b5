# SPDX-License-Identifier: Apache-2.0
"""Tables of the pages: who is signed in, and which sign-ins failed lately.

Neither holds anything readable: sessions are kept by the hash of their token, failed attempts by
a keyed hash of the number or the address. Both tables may be emptied at any time.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, Millis

HASH_BYTES = 32


class PortalSession(Base):
    """One browser that is signed in; deleting the row signs it out."""

    __tablename__ = "portal_session"
    __table_args__ = (
        sa.CheckConstraint("(volunteer_id is null) <> (user_id is null)", "one_subject"),
    )

    token_hash: Mapped[bytes] = mapped_column(sa.LargeBinary(HASH_BYTES), primary_key=True)
    volunteer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("volunteer.id"), index=True)
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("user.id"), index=True)
    created_ms: Mapped[Millis]
    seen_ms: Mapped[Millis]
    way: Mapped[str | None] = mapped_column(sa.String(16))  # password or passkey
    agent: Mapped[str | None] = mapped_column(sa.String(80))  # the browser's family, for its owner


class SignInFailure(Base):
    """One sign-in that failed or has not ended yet; `key` says whose number or which address."""

    __tablename__ = "sign_in_failure"
    __table_args__ = (sa.Index(None, "key", "at_ms"),)

    id: Mapped[Id]
    key: Mapped[bytes] = mapped_column(sa.LargeBinary(HASH_BYTES))
    at_ms: Mapped[Millis]
