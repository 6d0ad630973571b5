# SPDX-License-Identifier: Apache-2.0
"""General purse cards of both algorithms for the tests of purse and PIN."""

from __future__ import annotations

from typing import Any

import pytest

from card.attempts import AttemptGuard
from card.commands import select_name
from card.operation import Connection, exchange, run
from card.secure_messaging import Proof, authenticate
from hardware_mocks.cardos.algorithms import DES, SM4
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cards import wallet
from keys.algorithm import Algorithm
from keys.handle import KeyHandle
from keys.usage import KeyUsage
from tests.contracts.connection_cards import in_process

BOTH = pytest.mark.parametrize("algorithm", [Algorithm.TDES, Algorithm.SM4])


def handle(usage: KeyUsage, key: bytes, algorithm: Algorithm) -> KeyHandle[Any]:
    """Return a handle of a test card's public key."""
    return KeyHandle(usage, 1, key, algorithm)


def wallet_chip(algorithm: Algorithm) -> VirtualCard:
    """Return a purse card, as issued."""
    chip = VirtualCard()
    wallet.issue(chip, SM4 if algorithm is Algorithm.SM4 else DES)
    return chip


def opened(chip: VirtualCard, algorithm: Algorithm) -> Connection:
    """Select the purse application and prove its control key, which load and unload need."""
    connection = in_process(chip)
    run(exchange(select_name(wallet.NAME)), connection)
    control = handle(KeyUsage.CONTROL, wallet.CONTROL, algorithm)
    run(authenticate(Proof(0x00, control, "control"), AttemptGuard()), connection)
    return connection
