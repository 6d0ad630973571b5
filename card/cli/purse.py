# SPDX-License-Identifier: Apache-2.0
"""`yika-card load|purchase`: money on the purse cards of SDK users.

A volunteer card's purse stays at 0: it holds no key for either.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from card.cli.options import (
    Place,
    card_at,
    card_options,
    failures,
    json_option,
    needed_store_option,
    open_store,
    show,
)
from card.commands import select_name
from card.errors import ForeignCard, StatusError
from card.operation import Operation, exchange, run
from card.purse import AMOUNT_MAX, Order, Receipt, Which, balance
from card.purse import Kind as Transaction
from card.purse import load as load_purse
from card.purse import purchase as pay
from emv.errors import EmvError
from emv.tlv import parse_one
from keys.custody import KeyStore, StoreName
from keys.usage import KeyUsage

PURSE_AID = "A00000000386980701"  # JR/T 0025.9, the name of a PBOC purse
_PROPRIETARY, _ISSUER_DATA = 0xA5, 0x9F0C
_SERIAL = slice(10, 20)  # of file 0015, which SELECT answers with (JR/T 0025.9)

_LOAD_HELP = """\
圈存 · load value onto a purse card, with the issuer's load key.

\b
Example: yika-card load 1000 --store keys.yika --terminal 001122334455
"""

_PURCHASE_HELP = """\
消费 · pay from a purse card, with the software purchase key in place of a PSAM.

--seq is the terminal's transaction number; a number is never used twice.

\b
Example: yika-card purchase 250 --store keys.yika --terminal 001122334455 --seq 17
"""

Option = Callable[[Callable[..., Any]], Callable[..., Any]]

_OPTIONS: tuple[Option, ...] = (
    click.argument("amount", type=click.IntRange(1, AMOUNT_MAX)),
    needed_store_option,
    click.option("--terminal", required=True, help="Terminal number, 12 hex digits."),
    click.option("--application", default=PURSE_AID, show_default=True, help="AID in hex."),
    click.option("--passbook", is_flag=True, help="The passbook (EF 0001), not the purse."),
    click.option("--key-index", default=1, show_default=True, type=click.IntRange(0, 255)),
    click.option("--key-version", default=1, show_default=True, type=click.IntRange(0, 255)),
    click.option("--yes", is_flag=True, help="Do not ask."),
    card_options,
    json_option,
)


@dataclass(frozen=True, slots=True)
class Payment:
    """What was asked for at the command line."""

    amount: int
    store: StoreName
    terminal: str
    application: str
    passbook: bool
    key_index: int
    key_version: int
    yes: bool
    place: Place
    as_json: bool

    @property
    def which(self) -> Which:
        """Return passbook or purse."""
        return Which.PASSBOOK if self.passbook else Which.PURSE

    def order(self) -> Order:
        """Return the order, dated now."""
        now = dt.datetime.now().astimezone()
        date, time = bytes.fromhex(f"{now:%Y%m%d}"), bytes.fromhex(f"{now:%H%M%S}")
        terminal = _hex(self.terminal, "--terminal")
        return Order(self.amount, terminal, date, time, self.key_index)


def _payment_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(help=_LOAD_HELP)
@_payment_options
def load(**options: Any) -> None:
    """Load value onto a purse card."""
    asked = Payment(**options)
    _transact(
        asked,
        "圈存 load",
        lambda store, factor: load_purse(
            asked.order(),
            store.card_key(KeyUsage.LOAD, asked.key_version, factor),
            store.card_key(KeyUsage.TAC, asked.key_version, factor),
            asked.which,
        ),
    )


@click.command(help=_PURCHASE_HELP)
@click.option("--seq", type=click.IntRange(0, 0xFFFFFFFF), required=True, help="Number, unused.")
@_payment_options
def purchase(seq: int, **options: Any) -> None:
    """Pay from a purse card."""
    asked = Payment(**options)
    kind = Transaction.PASSBOOK_PURCHASE if asked.passbook else Transaction.PURSE_PURCHASE
    _transact(
        asked,
        "消费 pay",
        lambda store, factor: pay(
            asked.order(),
            store.card_key(KeyUsage.PURCHASE_SOFT, asked.key_version, factor),
            seq,
            kind,
        ),
    )


def _transact(
    asked: Payment, what: str, operation: Callable[[KeyStore, bytes], Operation[Receipt]]
) -> None:
    """Find the card, ask, and do the transaction."""
    if asked.as_json and not asked.yes:
        raise click.UsageError("--json needs --yes")
    store = open_store(asked.store)
    with failures(), card_at(asked.place) as connection:
        serial = run(_open(_hex(asked.application, "--application")), connection)
        before = run(balance(asked.which), connection)
        if not asked.yes:
            question = (
                f"{what} {asked.amount}：卡 card {serial.hex().upper()}，余额 balance {before}？"
            )
            click.confirm(question, abort=True, err=True)
        done = run(operation(store, serial[2:]), connection)
    document = {
        "serial": serial.hex().upper(),
        "kind": done.kind.name.lower(),
        "amount": asked.amount,
        "counter": done.counter,
        "before": before,
        "balance": done.balance,
        "proof": done.proof.hex().upper(),
    }
    line = f"{what} {asked.amount}: {before} → {done.balance}, no. {done.counter}"
    show(document, asked.as_json, [line])


def _open(name: bytes) -> Operation[bytes]:
    """Select a purse application and return its serial number.

    Raises:
        ForeignCard: There is none on this card.
    """
    try:
        answer = yield from exchange(select_name(name))
        face = parse_one(answer.data).find(_PROPRIETARY, _ISSUER_DATA)
    except (StatusError, EmvError) as exc:
        raise ForeignCard from exc
    if face is None or len(face.value) < _SERIAL.stop:
        raise ForeignCard
    return face.value[_SERIAL]


def _hex(text: str, option: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as exc:
        raise click.UsageError(f"{option} takes hex digits") from exc


COMMANDS: tuple[click.Command, ...] = (load, purchase)
