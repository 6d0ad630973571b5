# SPDX-License-Identifier: Apache-2.0
"""Tables of the time bank: accounts, transfers, entries in whole minutes.

The database itself keeps the ledger: entries and transfers refuse UPDATE and DELETE; a transfer
is inserted after its entries and refused unless they sum to zero; once it is there, it takes no
further entry. An entry whose transfer never comes fails at commit.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigInt, Id, Millis

TREASURY = "treasury"
VOLUNTEER = "volunteer"
SERVICE = "service"
REVERSAL = "reversal"


class Account(Base):
    """One account; `owner` is a volunteer's id, 0 for the treasury."""

    __tablename__ = "account"
    __table_args__ = (
        sa.UniqueConstraint("kind", "owner"),
        sa.CheckConstraint("kind in ('volunteer', 'treasury')", "kind"),
    )

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(sa.String(16))
    owner: Mapped[int] = mapped_column(sa.BigInteger)


class Transfer(Base):
    """One movement of minutes between accounts; `reverses` names the one it takes back."""

    __tablename__ = "transfer"
    __table_args__ = (
        sa.UniqueConstraint("reverses"),
        sa.Index("ix_transfer_person", "person"),
        sa.CheckConstraint("kind in ('service', 'reversal')", "kind"),
        sa.CheckConstraint("(kind = 'reversal') = (reverses is not null)", "reverses"),
    )

    id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(sa.String(16))
    person: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"))
    # The interval that earned the minutes (its key outlives derivations) and the row that said so.
    ref: Mapped[str] = mapped_column(sa.String(64))
    interval_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("service_interval.id"), unique=True
    )
    reverses: Mapped[int | None] = mapped_column(sa.ForeignKey("transfer.id"))
    at_ms: Mapped[Millis]
    actor: Mapped[str] = mapped_column(sa.String(64))


class Entry(Base):
    """One side of a transfer: minutes that an account gains (or loses, if negative)."""

    __tablename__ = "entry"
    __table_args__ = (
        sa.CheckConstraint("minutes <> 0", "minutes"),
        sa.Index("ix_entry_account", "account_id"),
    )

    transfer_id: Mapped[int] = mapped_column(
        sa.ForeignKey("transfer.id", deferrable=True, initially="DEFERRED"), primary_key=True
    )
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"), primary_key=True)
    minutes: Mapped[int] = mapped_column(sa.BigInteger)


def ledger_ddl(dialect: str) -> list[str]:
    """Return the statements that make the database refuse unbalanced or reopened transfers."""
    if dialect == "sqlite":
        return [
            (
                "CREATE TRIGGER transfer_balances BEFORE INSERT ON transfer "
                "WHEN (SELECT coalesce(sum(minutes), 1) FROM entry "
                "WHERE transfer_id = NEW.id) <> 0 "
                "BEGIN SELECT RAISE(ABORT, 'the entries of a transfer sum to zero'); END"
            ),
            (
                "CREATE TRIGGER entry_sealed BEFORE INSERT ON entry "
                "WHEN EXISTS (SELECT 1 FROM transfer WHERE id = NEW.transfer_id) "
                "BEGIN SELECT RAISE(ABORT, 'a transfer takes no further entry'); END"
            ),
        ]
    return [
        (
            "CREATE FUNCTION yika_transfer_balances() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF (SELECT coalesce(sum(minutes), 1) FROM entry WHERE transfer_id = NEW.id) <> 0 THEN "
            "RAISE EXCEPTION 'the entries of a transfer sum to zero' USING ERRCODE = "
            "'integrity_constraint_violation'; END IF; RETURN NEW; END $$"
        ),
        (
            "CREATE TRIGGER transfer_balances BEFORE INSERT ON transfer "
            "FOR EACH ROW EXECUTE FUNCTION yika_transfer_balances()"
        ),
        (
            "CREATE FUNCTION yika_entry_sealed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF EXISTS (SELECT 1 FROM transfer WHERE id = NEW.transfer_id) THEN "
            "RAISE EXCEPTION 'a transfer takes no further entry' USING ERRCODE = "
            "'integrity_constraint_violation'; END IF; RETURN NEW; END $$"
        ),
        (
            "CREATE TRIGGER entry_sealed BEFORE INSERT ON entry "
            "FOR EACH ROW EXECUTE FUNCTION yika_entry_sealed()"
        ),
    ]
