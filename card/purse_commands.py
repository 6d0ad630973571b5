# SPDX-License-Identifier: Apache-2.0
"""Commands of the general electronic purse and passbook (JR/T 0025.9; FMCOS 2.0 manual ch. 8)."""

from __future__ import annotations

from card.apdu import CommandApdu

ONLINE_INIT_BYTES = 16
OFFLINE_INIT_BYTES = 15
LIMIT_INIT_BYTES = 19
PROOF_BYTES = 4
PASSBOOK, PURSE = 0x01, 0x02

_LOAD, _PURCHASE, _CASH, _LIMIT, _UNLOAD = 0x00, 0x01, 0x02, 0x04, 0x05


def _initialize(p1: int, which: int, order: bytes, le: int) -> CommandApdu:
    return CommandApdu(0x80, 0x50, p1, which, order, le)


def initialize_load(which: int, order: bytes) -> CommandApdu:
    """INITIALIZE FOR LOAD; `order` is key index, amount 4, terminal number 6.

    >>> order = bytes.fromhex("0200002000001122334455")
    >>> initialize_load(2, order).to_bytes().hex().upper()
    '805000020B020000200000112233445510'
    """
    return _initialize(_LOAD, which, order, ONLINE_INIT_BYTES)


def initialize_purchase(which: int, order: bytes) -> CommandApdu:
    """INITIALIZE FOR PURCHASE; `order` as for a load."""
    return _initialize(_PURCHASE, which, order, OFFLINE_INIT_BYTES)


def initialize_cash(order: bytes) -> CommandApdu:
    """INITIALIZE FOR CASH WITHDRAW, from the passbook only; `order` as for a load."""
    return _initialize(_CASH, PASSBOOK, order, OFFLINE_INIT_BYTES)


def initialize_unload(order: bytes) -> CommandApdu:
    """INITIALIZE FOR UNLOAD, from the passbook only; `order` as for a load."""
    return _initialize(_UNLOAD, PASSBOOK, order, ONLINE_INIT_BYTES)


def initialize_limit(order: bytes) -> CommandApdu:
    """INITIALIZE FOR UPDATE of the overdraft limit; `order` is key index, terminal number 6."""
    return _initialize(_LIMIT, PASSBOOK, order, LIMIT_INIT_BYTES)


def credit_load(commit: bytes) -> CommandApdu:
    """CREDIT FOR LOAD; `commit` is date 4, time 3, MAC2 4."""
    return CommandApdu(0x80, 0x52, 0x00, 0x00, commit, PROOF_BYTES)


def debit_unload(commit: bytes) -> CommandApdu:
    """DEBIT FOR UNLOAD; `commit` as for a load."""
    return CommandApdu(0x80, 0x54, 0x03, 0x00, commit, PROOF_BYTES)


def update_limit(commit: bytes) -> CommandApdu:
    """UPDATE OVERDRAW LIMIT; `commit` is the limit 3, date 4, time 3, MAC2 4."""
    return CommandApdu(0x80, 0x58, 0x00, 0x00, commit, PROOF_BYTES)
