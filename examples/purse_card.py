#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Load a general purse card, pay with it, and ask whether a payment happened.

    python -m examples.purse_card

The keys are those of the public test card; yours come from a store: `store.card_key(...)`.
"""

from __future__ import annotations

from card.attempts import AttemptGuard
from card.commands import select_name
from card.operation import exchange, run
from card.pin import Pin, verify_pin
from card.purse import Kind, Order, balance, load, purchase, read_purse_log, settle
from hardware_mocks.cards import named, wallet
from hardware_mocks.cards.connection import connect
from keys.handle import KeyHandle
from keys.usage import KeyUsage

TERMINAL = bytes.fromhex("001122334455")
DATE, TIME = bytes.fromhex("20261121"), bytes.fromhex("090000")


def main() -> None:
    """Load 1000, pay 250."""
    card = connect(named.card("wallet"))
    load_key = KeyHandle(KeyUsage.LOAD, 1, wallet.LOAD)
    pay_key = KeyHandle(KeyUsage.PURCHASE_SOFT, 1, wallet.PURCHASE)
    tac_key = KeyHandle(KeyUsage.TAC, 1, wallet.INTERNAL)

    run(exchange(select_name(wallet.NAME)), card)
    run(verify_pin(Pin(0, wallet.PIN, "test card/PIN"), AttemptGuard()), card)
    loaded = run(load(Order(1000, TERMINAL, DATE, TIME), load_key, tac_key), card)
    paid = run(purchase(Order(250, TERMINAL, DATE, TIME), pay_key, psam_seq=17), card)
    assert run(balance(), card) == loaded.balance - 250

    # Had the card left before its answer came, this would say whether the money moved.
    proof = run(settle(Kind.PURSE_PURCHASE, paid.counter), card)
    assert proof is not None
    assert proof[1] == paid.proof
    newest = run(read_purse_log(), card)[0]
    print(f"圈存 loaded {loaded.balance}，消费 paid {newest.amount}，余额 balance {paid.balance}")


if __name__ == "__main__":
    main()
