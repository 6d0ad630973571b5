# SPDX-License-Identifier: Apache-2.0
"""Tables of the exchange: service accounts, their webhooks, answers to repeated requests."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, Millis


class ServiceAccount(Base):
    """A program of a partner; only a digest of its secret is kept.

    `within_kind` and `within_ref` say of which part of the whole it reads: all, a region, an
    organisation or a site, each with what is below it.
    """

    __tablename__ = "service_account"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(sa.String(64), unique=True)
    secret_sha256: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    scopes: Mapped[list[str]] = mapped_column(sa.JSON)
    within_kind: Mapped[str] = mapped_column(sa.String(32), default="all", server_default="all")
    within_ref: Mapped[str] = mapped_column(sa.String(32), default="", server_default="")
    created_by: Mapped[str] = mapped_column(sa.String(64))
    created_ms: Mapped[Millis]
    expires_ms: Mapped[Millis]
    revoked_ms: Mapped[Millis | None]
    seen_ms: Mapped[Millis | None]


class Webhook(Base):
    """Where to say that a topic has grown; `told` is the last place the receiver confirmed."""

    __tablename__ = "webhook"
    __table_args__ = (
        sa.CheckConstraint("topic in ('events', 'transfers')", "topic"),
        sa.CheckConstraint("state in ('active', 'failing', 'off')", "state"),
    )

    id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("service_account.id"), index=True)
    topic: Mapped[str] = mapped_column(sa.String(16))
    url: Mapped[str] = mapped_column(sa.String(500))
    state: Mapped[str] = mapped_column(sa.String(8))
    told: Mapped[int] = mapped_column(sa.BigInteger)
    failures: Mapped[int]
    due_ms: Mapped[Millis]
    outcome: Mapped[str] = mapped_column(sa.String(200))
    created_ms: Mapped[Millis]


class AnsweredRequest(Base):
    """The answer to a request that carried an idempotency key; the same again gets it again."""

    __tablename__ = "answered_request"

    account_id: Mapped[int] = mapped_column(
        sa.ForeignKey("service_account.id"), primary_key=True, autoincrement=False
    )
    key: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    request_sha256: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    answer: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    made_ms: Mapped[Millis]
