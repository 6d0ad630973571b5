# SPDX-License-Identifier: Apache-2.0
"""INITIALIZE and DEBIT: one instruction each for several transactions, told apart by P1."""

from __future__ import annotations

from hardware_mocks.cardos import load, overdraft, purchase, sw, unload
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.kernel import Kernel
from hardware_mocks.cardos.purse import (
    INIT_LENGTH,
    KINDS,
    LIMIT_INIT_LENGTH,
    LOAD,
    OVERDRAFT,
    UNLOAD,
    expect_le,
    purse_of,
)
from hardware_mocks.cardos.session import Pending
from hardware_mocks.cardos.shell import Answer

DEBIT_PURCHASE, DEBIT_UNLOAD = 0x01, 0x03


def initialize(kernel: Kernel, command: Command) -> Answer:
    """INITIALIZE: begin a transaction; whatever was begun before is dropped."""
    session = kernel.session
    session.pending = None
    kind = KINDS.get((command.p1, command.p2))
    if kind is None:
        raise Refused(sw.WRONG_P1P2)
    limit = command.p1 == OVERDRAFT
    data = command.body(LIMIT_INIT_LENGTH if limit else INIT_LENGTH)
    _, purse = purse_of(kernel, command.p2)
    amount = b"" if limit else data[1:5]
    pending = Pending(
        command=command.p1,
        kind=kind,
        fid=command.p2,
        key_number=data[0],
        amount=int.from_bytes(amount, "big"),
        terminal=data[-6:],
        random=b"",
    )
    begin, answer_length = {
        LOAD: (load.initialize, load.INIT_ANSWER),
        UNLOAD: (unload.initialize, unload.INIT_ANSWER),
        OVERDRAFT: (overdraft.initialize, overdraft.INIT_ANSWER),
    }.get(command.p1, (purchase.initialize, purchase.INIT_ANSWER))
    expect_le(command, answer_length)
    return begin(kernel, pending, purse)


def debit(kernel: Kernel, command: Command) -> Answer:
    """DEBIT: finish a purchase (P1 = 01) or an unload (P1 = 03).

    One attempt uses the transaction up: a wrong MAC needs a new INITIALIZE with a new random.
    """
    session = kernel.session
    pending, session.pending = session.pending, None
    if pending is None or pending.command in (LOAD, OVERDRAFT):
        raise Refused(sw.WRONG_STATE)
    finish = unload.debit if pending.command == UNLOAD else purchase.debit
    expected = DEBIT_UNLOAD if pending.command == UNLOAD else DEBIT_PURCHASE
    if (command.p1, command.p2) != (expected, 0x00):
        raise Refused(sw.WRONG_P1P2)
    return finish(kernel, command, pending)
