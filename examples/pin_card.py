#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A holder's PIN: right, wrong, changed, and unblocked by the issuer, under the attempt guard.

    python -m examples.pin_card

The guard refuses the last try. Give it a path, and it remembers across programs.
"""

from __future__ import annotations

from card.attempts import AttemptGuard
from card.commands import select_name
from card.errors import AuthenticationFailed, GuardRefused
from card.operation import exchange, run
from card.pin import Pin, change_pin, unblock_pin, verify_pin
from hardware_mocks.cards import named, wallet
from hardware_mocks.cards.connection import connect
from keys.handle import KeyHandle
from keys.usage import KeyUsage

NAME = "test card/PIN 0"


def main() -> None:
    """Go through a PIN's life."""
    guard, card = AttemptGuard(), connect(named.card("wallet"))
    wrong, right = Pin(0, bytes.fromhex("999999"), NAME), Pin(0, wallet.PIN, NAME)
    run(exchange(select_name(wallet.NAME)), card)

    run(verify_pin(right, guard), card)
    run(change_pin(right, bytes.fromhex("246810"), guard), card)
    for _ in range(3):
        try:
            run(verify_pin(wrong, guard), card)
        except AuthenticationFailed as error:
            print(f"口令错误 wrong, left: {error.attempts_left}")
        except GuardRefused as error:
            print(f"未再尝试 not tried: {error.attempts_left} left")

    unblocking = KeyHandle(KeyUsage.PIN_UNBLOCK, 1, wallet.UNBLOCKING)
    fresh = Pin(0, bytes.fromhex("135790"), NAME)
    run(unblock_pin(fresh, unblocking, guard), card)
    run(verify_pin(fresh, guard), card)
    print("已解锁 unblocked, the new PIN is right")


if __name__ == "__main__":
    main()
