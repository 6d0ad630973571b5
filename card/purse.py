# SPDX-License-Identifier: Apache-2.0
"""The general electronic purse for users of the SDK: load, purchase, cash, unload, overdraft.

The volunteer application's purse stays at 0 and holds no key for any of this. Every operation is
sans-I/O and checks the card's proof; money moves with the answer to the second command. If that
answer is lost, `settle` tells whether it moved. Sums are in the purse's own unit (fen).

Sources: JR/T 0025.9; FMCOS 2.0 user manual chapter 8.
"""

from __future__ import annotations

import enum
import hmac
from dataclasses import dataclass
from typing import Protocol

from card.commands import debit_capp, get_balance, get_transaction_prove, read_record
from card.errors import CardProofWrong, LayoutError, ProofUnavailable, RecordNotFound
from card.layouts import LOG_RECORD, LogRecord
from card.operation import Operation, fetch
from card.purse_commands import (
    LIMIT_INIT_BYTES,
    OFFLINE_INIT_BYTES,
    ONLINE_INIT_BYTES,
    PASSBOOK,
    PROOF_BYTES,
    PURSE,
    credit_load,
    debit_unload,
    initialize_cash,
    initialize_limit,
    initialize_load,
    initialize_purchase,
    initialize_unload,
    update_limit,
)

AMOUNT_MAX = 0xFFFFFFFF
LIMIT_MAX = 0xFFFFFF
TERMINAL_BYTES = 6
LOG_SFI = 0x18  # where PBOC purses keep their log
_LOG_RECORDS_MAX = 254  # a record number is one byte, 00 and FF mean something else
_DEBIT_BYTES = 8


class Which(enum.IntEnum):
    """The passbook (EF 0001), which may be overdrawn, or the purse (EF 0002)."""

    PASSBOOK = PASSBOOK
    PURSE = PURSE


class Kind(enum.IntEnum):
    """Transaction type, in MACs, TAC and log (manual table 8.13)."""

    PASSBOOK_LOAD = 0x01
    PURSE_LOAD = 0x02
    UNLOAD = 0x03
    CASH = 0x04
    PASSBOOK_PURCHASE = 0x05
    PURSE_PURCHASE = 0x06
    LIMIT = 0x07
    COMPOSITE = 0x09


class Session(Protocol):
    """The key of one transaction."""

    def mac4(self, data: bytes, /) -> bytes:
        """Return the MAC over fields as the transaction lays them out."""
        ...


class AccountKey(Protocol):
    """A load, unload or overdraft key."""

    def online_session(self, rand4: bytes, online_ctr: int, /) -> Session:
        """Derive the key of one transaction."""
        ...


class PurchaseKey(Protocol):
    """A purchase key, where no PSAM stands between."""

    def session(self, rand4: bytes, card_ctr: int, psam_seq: int, /) -> Session:
        """Derive the key of one purchase."""
        ...


class TacKey(Protocol):
    """A TAC key."""

    def tac_over(self, data: bytes, /) -> bytes:
        """Return the TAC over fields as the transaction lays them out."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done, where and when.

    Attributes:
        amount: How much; for an overdraft limit the new limit.
        terminal: Terminal number, 6 bytes.
        date: YYYYMMDD packed, 4 bytes.
        time: hhmmss packed, 3 bytes.
        key_index: Number of the card's key for this.

    Raises:
        LayoutError: A value that does not fit its field.
    """

    amount: int
    terminal: bytes
    date: bytes
    time: bytes
    key_index: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.amount <= AMOUNT_MAX:
            raise LayoutError("amount", f"{self.amount}")
        for name, value, size in (
            ("terminal", self.terminal, TERMINAL_BYTES),
            ("date", self.date, 4),
            ("time", self.time, 3),
        ):
            if len(value) != size:
                raise LayoutError(name, f"{len(value)} bytes where {size} are due")
        if not 0 <= self.key_index <= 0xFF:
            raise LayoutError("key_index", f"{self.key_index}")

    @property
    def money(self) -> bytes:
        """Return the amount, 4 bytes."""
        return self.amount.to_bytes(4, "big")

    @property
    def when(self) -> bytes:
        """Return date and time, 7 bytes."""
        return self.date + self.time

    def begin(self) -> bytes:
        """Return the data of INITIALIZE."""
        return bytes([self.key_index]) + self.money + self.terminal


@dataclass(frozen=True, slots=True)
class Receipt:
    """A finished transaction.

    Attributes:
        kind: What it was.
        counter: The card's counter before the step: what `settle` and the log know it by.
        balance: The balance after it.
        proof: TAC; for an unload MAC3.
        mac2: The card's MAC2 of a purchase, empty otherwise.
    """

    kind: Kind
    counter: int
    balance: int
    proof: bytes
    mac2: bytes = b""


def balance(which: Which = Which.PURSE) -> Operation[int]:
    """Read a balance."""
    return int.from_bytes((yield from fetch(get_balance(which), 4)), "big")


def load(
    order: Order, key: AccountKey, tac: TacKey | None = None, which: Which = Which.PURSE
) -> Operation[Receipt]:
    """Put value on the card, on line.

    Args:
        order: How much, where, when.
        key: The card's load key.
        tac: Its TAC key, if the proof is to be checked here.
        which: Passbook or purse.

    Raises:
        CardProofWrong: The card's MAC1 (nothing was loaded) or TAC (it was) is wrong.
        MacRejected: The card did not accept MAC2; nothing was loaded.
        StatusError: The card refused: another counter, key or limit.
    """
    kind = Kind.PASSBOOK_LOAD if which is Which.PASSBOOK else Kind.PURSE_LOAD
    answer = yield from fetch(initialize_load(which, order.begin()), ONLINE_INIT_BYTES)
    signed = order.money + bytes([kind]) + order.terminal
    session = _begun(answer, key, signed)
    mac2 = session.mac4(signed + order.when)
    proof = yield from fetch(credit_load(order.when + mac2), PROOF_BYTES)
    after = _number(answer[0:4]) + order.amount
    if tac is not None:
        fields = after.to_bytes(5, "big")[-4:] + answer[4:6] + signed + order.when
        _require("TAC", proof, tac.tac_over(fields), committed=True)
    return Receipt(kind, _number(answer[4:6]), after, proof)


def unload(order: Order, key: AccountKey) -> Operation[Receipt]:
    """Take value off the passbook, on line; the proof is the card's MAC3.

    Raises:
        CardProofWrong: The card's MAC1 (nothing was taken) or MAC3 (it was) is wrong.
        StatusError: The card refused.
    """
    answer = yield from fetch(initialize_unload(order.begin()), ONLINE_INIT_BYTES)
    signed = order.money + bytes([Kind.UNLOAD]) + order.terminal
    session = _begun(answer, key, signed)
    mac2 = session.mac4(signed + order.when)
    proof = yield from fetch(debit_unload(order.when + mac2), PROOF_BYTES)
    after = _number(answer[0:4]) - order.amount
    fields = (after % (AMOUNT_MAX + 1)).to_bytes(4, "big") + answer[4:6] + signed + order.when
    _require("MAC3", proof, session.mac4(fields), committed=True)
    return Receipt(Kind.UNLOAD, _number(answer[4:6]), after, proof)


def set_overdraft(order: Order, key: AccountKey, tac: TacKey | None = None) -> Operation[Receipt]:
    """Change the passbook's overdraft limit to `order.amount`; the balance moves with it.

    Raises:
        CardProofWrong: The card's MAC1 (nothing was changed) or TAC (it was) is wrong.
        LayoutError: A limit of more than three bytes.
        StatusError: The card refused.
    """
    if order.amount > LIMIT_MAX:
        raise LayoutError("amount", f"{order.amount}")
    begin = bytes([order.key_index]) + order.terminal
    answer = yield from fetch(initialize_limit(begin), LIMIT_INIT_BYTES)
    old, counter, limit = answer[0:4], answer[4:6], answer[6:9]
    session = key.online_session(answer[11:15], _number(counter))
    about = bytes([Kind.LIMIT]) + order.terminal
    _require("MAC1", answer[15:19], session.mac4(old + limit + about), committed=False)
    new = order.money[1:]
    signed = new + about + order.when
    commit = new + order.when + session.mac4(signed)
    proof = yield from fetch(update_limit(commit), PROOF_BYTES)
    after = _number(old) - _number(limit) + order.amount
    if tac is not None:
        fields = (after % (AMOUNT_MAX + 1)).to_bytes(4, "big") + counter + signed
        _require("TAC", proof, tac.tac_over(fields), committed=True)
    return Receipt(Kind.LIMIT, _number(counter), after, proof)


def purchase(
    order: Order, key: PurchaseKey, psam_seq: int, kind: Kind = Kind.PURSE_PURCHASE
) -> Operation[Receipt]:
    """Pay from the purse or the passbook, or take cash from the passbook.

    Args:
        order: How much, where, when.
        key: The card's purchase key; with a PSAM use `card.tap`'s steps instead.
        psam_seq: The terminal's transaction number; never used twice.
        kind: Purchase from purse or passbook, or cash.

    Raises:
        CardProofWrong: The card's MAC2 is wrong; it was paid.
        MacRejected: The card did not accept MAC1; nothing was paid.
        StatusError: The card refused: 9401 for too little money.
    """
    begins = {
        Kind.PURSE_PURCHASE: initialize_purchase(PURSE, order.begin()),
        Kind.PASSBOOK_PURCHASE: initialize_purchase(PASSBOOK, order.begin()),
        Kind.CASH: initialize_cash(order.begin()),
    }
    if kind not in begins:
        raise LayoutError("kind", f"{kind:02X} is no purchase")
    answer = yield from fetch(begins[kind], OFFLINE_INIT_BYTES)
    counter = _number(answer[4:6])
    session = key.session(answer[11:15], counter, psam_seq)
    mac1 = session.mac4(order.money + bytes([kind]) + order.terminal + order.when)
    command = debit_capp(psam_seq, order.date, order.time, mac1)
    proof = yield from fetch(command, _DEBIT_BYTES)
    _require("MAC2", proof[4:], session.mac4(order.money), committed=True)
    after = _number(answer[0:4]) - order.amount
    return Receipt(kind, counter, after, proof[:4], proof[4:])


def settle(kind: Kind, counter: int) -> Operation[tuple[bytes, bytes] | None]:
    """Tell whether the transaction with this counter happened, after its answer was lost.

    Returns:
        MAC and TAC of it, or None: it did not happen, so it may be done again, or it is not the
        latest.
    """
    try:
        proof = yield from fetch(get_transaction_prove(counter, kind), _DEBIT_BYTES)
    except ProofUnavailable:
        return None
    return proof[:4], proof[4:]


def read_purse_log(sfi: int = LOG_SFI, limit: int = 10) -> Operation[list[LogRecord]]:
    """Read the purse's log, newest first, from a card whose log is read without a MAC."""
    records: list[LogRecord] = []
    for number in range(1, min(limit, _LOG_RECORDS_MAX) + 1):
        try:
            data = yield from fetch(read_record(sfi, number, LOG_RECORD.size), LOG_RECORD.size)
        except RecordNotFound:
            break
        records.append(LOG_RECORD.parse(data))
    return records


def _begun(answer: bytes, key: AccountKey, signed: bytes) -> Session:
    """Derive the session of a load or unload and check the card's MAC1."""
    session = key.online_session(answer[8:12], _number(answer[4:6]))
    _require("MAC1", answer[12:16], session.mac4(answer[0:4] + signed), committed=False)
    return session


def _require(what: str, found: bytes, due: bytes, *, committed: bool) -> None:
    if not hmac.compare_digest(found, due):
        raise CardProofWrong(what, committed=committed)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")
