# SPDX-License-Identifier: Apache-2.0
"""Tables of electronic cards, of the tokens shown for them, and of where each was seen.

Serials and ids of tokens stand in hex.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Millis


class PhoneCard(Base):
    """A volunteer's electronic card: a card like any other, without a chip."""

    __tablename__ = "phone_card"

    card_id: Mapped[int] = mapped_column(sa.ForeignKey("card.id"), primary_key=True)
    volunteer_id: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"), index=True)


class TokenIssued(Base):
    """A token that was shown on a page; `seen` is what only its holder can know."""

    __tablename__ = "phone_token"

    token_id: Mapped[str] = mapped_column(sa.CHAR(16), primary_key=True)
    card_id: Mapped[int] = mapped_column(sa.ForeignKey("card.id"), index=True)
    key_id: Mapped[int] = mapped_column(sa.BigInteger)
    issued_s: Mapped[int] = mapped_column(sa.BigInteger)
    life_s: Mapped[int]
    flags: Mapped[int]
    seen: Mapped[bytes] = mapped_column(sa.LargeBinary(8))


class TokenUse(Base):
    """One stored event that carries a token; two of the same token are one tap and a question."""

    __tablename__ = "phone_token_use"

    terminal_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    seq: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    token_id: Mapped[str] = mapped_column(sa.CHAR(16), index=True)
    card_asn: Mapped[str] = mapped_column(sa.CHAR(20), index=True)
    utc_ms: Mapped[Millis]
