# SPDX-License-Identifier: Apache-2.0
"""Tables of the time bank: accounts, transfers, entries in whole minutes.

The database itself keeps the ledger: entries and transfers refuse UPDATE and DELETE; a transfer
is inserted after its entries and refused unless they sum to zero; once it is there, it takes no
further entry. An entry whose transfer never comes fails at commit. An account below its floor
cannot be written, whoever asks.
"""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.db import Base, BigInt, Id, Millis
from server.timebank.policy import ACCOUNT_KINDS, TRANSFER_KINDS

TREASURY = "treasury"
VOLUNTEER = "volunteer"
HELD = "held"
OPENING = "opening"
SERVICE = "service"
REVERSAL = "reversal"


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


class Account(Base):
    """One account; `owner` is a volunteer's id, 0 for others, which belong to a region.

    `minutes` is the sum of its entries, `floor` what it may not fall below, None = no limit.
    """

    __tablename__ = "account"
    __table_args__ = (
        sa.UniqueConstraint("kind", "owner", "region"),
        sa.CheckConstraint(f"kind in ({_listed(ACCOUNT_KINDS)})", "kind"),
        sa.CheckConstraint("floor is null or minutes >= floor", "floor"),
    )

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(sa.String(16))
    owner: Mapped[int] = mapped_column(sa.BigInteger)
    region: Mapped[str] = mapped_column(sa.String(12), default="", server_default="")
    minutes: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    floor: Mapped[int | None] = mapped_column(sa.BigInteger)


class Transfer(Base):
    """One movement of minutes between accounts.

    `uid` makes it happen once; `digest` is what was asked under it. `reverses` names the transfer
    it takes back, `resolves` the hold it ends, `linked` the first of those that came with it.
    """

    __tablename__ = "transfer"
    __table_args__ = (
        sa.UniqueConstraint("uid"),
        sa.UniqueConstraint("reverses"),
        sa.UniqueConstraint("resolves"),
        sa.Index("ix_transfer_person", "person"),
        sa.Index("ix_transfer_expires", "kind", "expires_ms"),
        sa.CheckConstraint(f"kind in ({_listed(TRANSFER_KINDS)})", "kind"),
        sa.CheckConstraint("(kind = 'reversal') = (reverses is not null)", "reverses"),
        sa.CheckConstraint(
            "(kind in ('post', 'void', 'lapse')) = (resolves is not null)", "resolves"
        ),
        sa.CheckConstraint("(kind = 'hold') = (expires_ms is not null)", "expires"),
    )

    id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    uid: Mapped[str] = mapped_column(sa.String(80))
    digest: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    kind: Mapped[str] = mapped_column(sa.String(16))
    person: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"))
    # The interval that earned the minutes (its key outlives derivations) and the row that said so.
    ref: Mapped[str] = mapped_column(sa.String(64))
    interval_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("service_interval.id"), unique=True
    )
    reverses: Mapped[int | None] = mapped_column(sa.ForeignKey("transfer.id"))
    resolves: Mapped[int | None] = mapped_column(sa.ForeignKey("transfer.id"))
    linked: Mapped[int | None] = mapped_column(sa.BigInteger)
    expires_ms: Mapped[Millis | None]
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


class CoinValue(Base):
    """What a time coin is worth from a day on, for display: wages in fen an hour."""

    __tablename__ = "coin_value"

    id: Mapped[Id]
    from_day: Mapped[dt.date] = mapped_column(sa.Date)
    average_fen: Mapped[int]
    minimum_fen: Mapped[int]
    actor: Mapped[str] = mapped_column(sa.String(64))
    reason: Mapped[str] = mapped_column(sa.String(200))
    at_ms: Mapped[Millis]


class OpeningImport(Base):
    """A file of balances from before this system: control totals and the server's signature."""

    __tablename__ = "opening_import"

    id: Mapped[Id]
    sha256: Mapped[bytes] = mapped_column(sa.LargeBinary(32), unique=True)
    source: Mapped[str] = mapped_column(sa.String(64))
    lines: Mapped[int]
    minutes: Mapped[int] = mapped_column(sa.BigInteger)
    actor: Mapped[str] = mapped_column(sa.String(64))
    at_ms: Mapped[Millis]
    record: Mapped[bytes]
    signature: Mapped[bytes] = mapped_column(sa.LargeBinary(64))
    key_id: Mapped[int] = mapped_column(sa.BigInteger)


class OpeningBalance(Base):
    """One line of such a file: what a volunteer brought along, shown apart (rule 58)."""

    __tablename__ = "opening_balance"
    __table_args__ = (
        sa.CheckConstraint("minutes > 0", "minutes"),
        sa.UniqueConstraint("import_id", "person"),
    )

    import_id: Mapped[int] = mapped_column(sa.ForeignKey("opening_import.id"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    person: Mapped[int] = mapped_column(sa.ForeignKey("volunteer.id"), index=True)
    minutes: Mapped[int]
    reference: Mapped[str] = mapped_column(sa.String(64))


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
            "CREATE OR REPLACE FUNCTION yika_transfer_balances() RETURNS trigger "
            "LANGUAGE plpgsql AS $$ BEGIN "
            "IF (SELECT coalesce(sum(minutes), 1) FROM entry WHERE transfer_id = NEW.id) <> 0 THEN "
            "RAISE EXCEPTION 'the entries of a transfer sum to zero' USING ERRCODE = "
            "'integrity_constraint_violation'; END IF; RETURN NEW; END $$"
        ),
        (
            "CREATE TRIGGER transfer_balances BEFORE INSERT ON transfer "
            "FOR EACH ROW EXECUTE FUNCTION yika_transfer_balances()"
        ),
        (
            "CREATE OR REPLACE FUNCTION yika_entry_sealed() RETURNS trigger "
            "LANGUAGE plpgsql AS $$ BEGIN "
            "IF EXISTS (SELECT 1 FROM transfer WHERE id = NEW.transfer_id) THEN "
            "RAISE EXCEPTION 'a transfer takes no further entry' USING ERRCODE = "
            "'integrity_constraint_violation'; END IF; RETURN NEW; END $$"
        ),
        (
            "CREATE TRIGGER entry_sealed BEFORE INSERT ON entry "
            "FOR EACH ROW EXECUTE FUNCTION yika_entry_sealed()"
        ),
    ]


def ledger_at_once_ddl() -> list[str]:
    """Return the statements that make PostgreSQL look once at all rows of a statement instead.

    Row by row the same looks cost more than the rows themselves; what is refused stays the same.
    Tables that just grew have no statistics yet: the looks go by the indices whatever they say.
    """
    return [
        (
            "CREATE FUNCTION yika_transfers_balance() RETURNS trigger LANGUAGE plpgsql "
            "SET enable_seqscan = off AS $$ BEGIN "
            "IF EXISTS (SELECT 1 FROM made, LATERAL (SELECT coalesce(sum(minutes), 1) AS total "
            "FROM entry WHERE transfer_id = made.id) AS own WHERE total <> 0) THEN "
            "RAISE EXCEPTION 'the entries of a transfer sum to zero' USING ERRCODE = "
            "'integrity_constraint_violation'; END IF; RETURN NULL; END $$"
        ),
        (
            "CREATE FUNCTION yika_entries_sealed() RETURNS trigger LANGUAGE plpgsql "
            "SET enable_seqscan = off AS $$ BEGIN "
            "IF EXISTS (SELECT 1 FROM added, LATERAL (SELECT 1 FROM transfer "
            "WHERE id = added.transfer_id LIMIT 1) AS there) THEN "
            "RAISE EXCEPTION 'a transfer takes no further entry' USING ERRCODE = "
            "'integrity_constraint_violation'; END IF; RETURN NULL; END $$"
        ),
        (
            "CREATE TRIGGER transfers_balance AFTER INSERT ON transfer REFERENCING NEW TABLE AS "
            "made FOR EACH STATEMENT EXECUTE FUNCTION yika_transfers_balance()"
        ),
        (
            "CREATE TRIGGER entries_sealed AFTER INSERT ON entry REFERENCING NEW TABLE AS added "
            "FOR EACH STATEMENT EXECUTE FUNCTION yika_entries_sealed()"
        ),
        "DROP TRIGGER transfer_balances ON transfer",
        "DROP TRIGGER entry_sealed ON entry",
        "DROP FUNCTION yika_transfer_balances()",
        "DROP FUNCTION yika_entry_sealed()",
    ]
