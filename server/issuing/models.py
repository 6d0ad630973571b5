# SPDX-License-Identifier: Apache-2.0
"""Tables of issuing: branches, calendar, orders of cards and their steps, vests, consents.

An order is one card to be made; its state is the end of its chain of steps, which is append-only.
"""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, Id, Millis
from server.issuing.policy import KINDS, REASONS, STATES, UNDER_WAY, VEST_STATES

ORDER_NO_LENGTH = 12
FUNCTIONS = ("finance", "health", "transit", "travel", "social", "offers")


def _one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} in ({listed})", column)


def _under_way() -> sa.TextClause:
    listed = ", ".join(f"'{state}'" for state in UNDER_WAY)
    return sa.text(f"state in ({listed})")


class BankBranch(Base):
    """A branch of a partner where cards are fetched, while it is open to new choices."""

    __tablename__ = "bank_branch"
    __table_args__ = (sa.UniqueConstraint("partner", "code", "from_day"),)

    id: Mapped[Id]
    partner: Mapped[str] = mapped_column(sa.String(16))
    code: Mapped[str] = mapped_column(sa.String(16))
    name: Mapped[str] = mapped_column(sa.String(120))
    from_day: Mapped[dt.date]
    until_day: Mapped[dt.date | None]  # the last day


class CalendarYear(Base):
    """A year whose free and worked days are known; provisional until they were announced."""

    __tablename__ = "calendar_year"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    provisional: Mapped[bool]
    source: Mapped[str] = mapped_column(sa.String(200))


class CalendarDay(Base):
    """A day that differs from its weekday: a free one of Monday to Friday, or a worked weekend."""

    __tablename__ = "calendar_day"

    day: Mapped[dt.date] = mapped_column(primary_key=True)
    working: Mapped[bool]
    name: Mapped[str] = mapped_column(sa.String(60))


class CardOrder(Base):
    """One card to be made for a volunteer, and how far it is.

    `batch_ref` names the file it went out in; `replaces_id` the order of the card it stands in
    for; `price_fen` is what the holder pays.
    """

    __tablename__ = "card_order"
    __table_args__ = (
        _one_of("kind", KINDS),
        sa.CheckConstraint("carrier is null or carrier in ('debit', 'credit')", "carrier"),
        _one_of("reason", REASONS),
        _one_of("state", STATES),
        sa.CheckConstraint("price_fen >= 0", "price_fen"),
        sa.Index("ix_card_order_partner_state", "partner", "state", "id"),
        sa.Index("ix_card_order_state_due_make", "state", "due_make_ms"),
        sa.Index("ix_card_order_state_due_branch", "state", "due_branch_ms"),
        sa.Index("ix_card_order_state_valid_to", "state", "valid_to"),
        sa.Index(
            "uq_card_order_under_way", "volunteer_id", "kind", unique=True,
            sqlite_where=_under_way(), postgresql_where=_under_way(),
        ),
    )  # fmt: skip

    id: Mapped[Id]
    order_no: Mapped[str] = mapped_column(sa.CHAR(ORDER_NO_LENGTH), unique=True)
    volunteer_id: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"), index=True)
    kind: Mapped[str] = mapped_column(sa.String(4))
    carrier: Mapped[str | None] = mapped_column(sa.String(8))
    partner: Mapped[str | None] = mapped_column(sa.String(16))
    branch_code: Mapped[str | None] = mapped_column(sa.String(16))
    reason: Mapped[str] = mapped_column(sa.String(8))
    state: Mapped[str] = mapped_column(sa.String(16))
    photo_sha256: Mapped[str | None] = mapped_column(sa.CHAR(64))
    due_make_ms: Mapped[Millis | None]
    due_notice_ms: Mapped[Millis | None]
    due_branch_ms: Mapped[Millis | None]
    valid_to: Mapped[dt.date | None]
    batch_ref: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    reject_code: Mapped[str | None] = mapped_column(sa.String(32))
    asn: Mapped[str | None] = mapped_column(sa.CHAR(20), unique=True)
    replaces_id: Mapped[int | None] = mapped_column(sa.ForeignKey("card_order.id"))
    price_fen: Mapped[int] = mapped_column(sa.BigInteger)
    created_ms: Mapped[Millis]
    changed_ms: Mapped[Millis]


class CardStep(Base):
    """One step of an order: what happened, on whose word, by which cause. Append-only."""

    __tablename__ = "card_step"
    __table_args__ = (sa.Index("ix_card_step_order_id", "order_id", "id"),)

    id: Mapped[Id]
    order_id: Mapped[int] = mapped_column(sa.ForeignKey("card_order.id"))
    from_state: Mapped[str | None] = mapped_column(sa.String(16))  # none when it is ordered
    to_state: Mapped[str] = mapped_column(sa.String(16))
    event: Mapped[str] = mapped_column(sa.String(24))
    source: Mapped[str] = mapped_column(sa.String(8))
    # What made it happen: file:NAME:LINE, outbox:ONCE, clock:DUE, order:NO, page:NUMBER …
    cause_ref: Mapped[str] = mapped_column(sa.String(120))
    actor: Mapped[str] = mapped_column(sa.String(64))
    at_ms: Mapped[Millis]  # when it happened, as told
    made_ms: Mapped[Millis]  # when it was written down


class VestOrder(Base):
    """The red vest with the volunteer's name: one in a life, made along with the first card."""

    __tablename__ = "vest_order"
    __table_args__ = (_one_of("state", VEST_STATES), sa.CheckConstraint("price_fen = 0", "free"))

    id: Mapped[Id]
    volunteer_id: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"), unique=True)
    order_id: Mapped[int] = mapped_column(sa.ForeignKey("card_order.id"), unique=True)
    state: Mapped[str] = mapped_column(sa.String(16))
    price_fen: Mapped[int]
    cause_ref: Mapped[str] = mapped_column(sa.String(120))
    created_ms: Mapped[Millis]
    changed_ms: Mapped[Millis]


class DueEvent(Base):
    """A due date that passed and was told of once; done when somebody has seen to it."""

    __tablename__ = "due_event"
    __table_args__ = (sa.UniqueConstraint("order_id", "kind"),)

    id: Mapped[Id]
    order_id: Mapped[int] = mapped_column(sa.ForeignKey("card_order.id"))
    kind: Mapped[str] = mapped_column(sa.String(24), index=True)
    due_ms: Mapped[Millis]
    raised_ms: Mapped[Millis]
    done_ms: Mapped[Millis | None]
    done_by: Mapped[str | None] = mapped_column(sa.String(64))


class FunctionConsent(Base):
    """A volunteer turned a function on or off; the latest line counts, none means off."""

    __tablename__ = "function_consent"
    __table_args__ = (
        _one_of("function", FUNCTIONS),
        sa.Index("ix_function_consent_volunteer_id", "volunteer_id", "id"),
    )

    id: Mapped[Id]
    volunteer_id: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"))
    function: Mapped[str] = mapped_column(sa.String(16))
    granted: Mapped[bool]
    channel: Mapped[str] = mapped_column(sa.String(16))
    actor: Mapped[str] = mapped_column(sa.String(64))
    at_ms: Mapped[Millis]


class Deregistration(Base):
    """A volunteer left: everything but finance and transit has ended. Append-only."""

    __tablename__ = "deregistration"

    volunteer_id: Mapped[int] = mapped_column(
        sa.ForeignKey("volunteer.id"), primary_key=True, autoincrement=False
    )
    at_ms: Mapped[Millis]
    actor: Mapped[str] = mapped_column(sa.String(64))
    reason: Mapped[str] = mapped_column(sa.String(200))


class BulkAction(Base):
    """What staff did to many orders at once; it takes effect when its undo window is over."""

    __tablename__ = "bulk_action"
    __table_args__ = (_one_of("state", ("waiting", "done", "undone")),)

    id: Mapped[Id]
    action: Mapped[str] = mapped_column(sa.String(24))
    orders: Mapped[list[str]] = mapped_column(sa.JSON)
    reason: Mapped[str] = mapped_column(sa.String(200))
    actor: Mapped[str] = mapped_column(sa.String(64))
    state: Mapped[str] = mapped_column(sa.String(8), index=True)
    made_ms: Mapped[Millis]
    effective_ms: Mapped[Millis]
    results: Mapped[dict[str, str]] = mapped_column(sa.JSON)


class SearchPrint(Base):
    """A keyed fingerprint that a search can meet: of a name, its pinyin, a document's tail."""

    __tablename__ = "search_print"

    volunteer_id: Mapped[int] = mapped_column(
        sa.ForeignKey("volunteer.id"), primary_key=True, autoincrement=False
    )
    print: Mapped[bytes] = mapped_column(sa.LargeBinary(8), primary_key=True, index=True)


class SearchIndexed(Base):
    """Whose fingerprints stand in the index, so that only new people are opened."""

    __tablename__ = "search_indexed"

    volunteer_id: Mapped[int] = mapped_column(
        sa.ForeignKey("volunteer.id"), primary_key=True, autoincrement=False
    )
    at_ms: Mapped[Millis]
