# SPDX-License-Identifier: Apache-2.0
"""The overdraft limit of the passbook (FMCOS 2.0 user manual 8.12).

The balance a passbook shows contains its limit, so that changing the limit changes the balance.
"""

from __future__ import annotations

from hardware_mocks.cardos import crypto, files, sw
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.kernel import Kernel
from hardware_mocks.cardos.purse import (
    BALANCE_MAX,
    CHALLENGE_LENGTH,
    COUNTER_MAX,
    ONLINE,
    OVERDRAFT,
    Signer,
    expect_le,
    key_of,
    log_of,
    log_record,
    purse_of,
    tac,
)
from hardware_mocks.cardos.session import Pending
from hardware_mocks.cardos.shell import Answer
from hardware_mocks.cardos.state import Proof, Purse

LIMIT_KEY = 0x3C
INIT_ANSWER = 19
UPDATE_LENGTH = 14  # limit 3, date 4, time 3, MAC2 4
UPDATE_ANSWER = 4


def initialize(kernel: Kernel, pending: Pending, purse: Purse) -> Answer:
    """INITIALIZE FOR UPDATE: balance, on-line counter, limit, key version, random and MAC1."""
    key = key_of(kernel, LIMIT_KEY, pending.key_number)
    if purse.online == COUNTER_MAX:
        raise Refused(sw.COUNTER_EXHAUSTED)
    pending.random = kernel.random(CHALLENGE_LENGTH)
    kernel.session.pending = pending
    balance, limit = purse.balance.to_bytes(4, "big"), purse.overdraft.to_bytes(3, "big")
    signer = Signer.derive(key, pending.random, purse.online, ONLINE)
    head = balance + purse.online.to_bytes(2, "big") + limit + bytes((key.third, key.fourth))
    mac1 = signer.mac(balance + limit + bytes((pending.kind,)) + pending.terminal)
    return Answer(head + pending.random + mac1)


def update(kernel: Kernel, command: Command) -> Answer:
    """UPDATE OVERDRAW LIMIT: check MAC2, commit limit, counter and log, return the TAC.

    A limit below what is overdrawn already is refused with 6985.
    """
    session = kernel.session
    pending, session.pending = session.pending, None
    if pending is None or pending.command != OVERDRAFT:
        raise Refused(sw.WRONG_STATE)
    if command.p1 or command.p2:
        raise Refused(sw.WRONG_P1P2)
    data = command.body(UPDATE_LENGTH)
    expect_le(command, UPDATE_ANSWER)
    limit, when, mac2 = data[:3], data[3:10], data[10:]
    ef, purse = purse_of(kernel, pending.fid)
    key = key_of(kernel, LIMIT_KEY, pending.key_number)
    signer = Signer.derive(key, pending.random, purse.online, ONLINE)
    signed = limit + bytes((pending.kind,)) + pending.terminal + when
    if not crypto.same(mac2, signer.mac(signed)):
        raise Refused(sw.MAC_INVALID)
    balance = purse.balance - purse.overdraft + int.from_bytes(limit, "big")
    if not 0 <= balance <= BALANCE_MAX:
        raise Refused(sw.CONDITIONS)
    cryptogram = tac(
        kernel, balance.to_bytes(4, "big") + purse.online.to_bytes(2, "big") + signed
    )
    amount = bytes(1) + limit
    log = log_of(kernel, ef)
    purse.overdraft = int.from_bytes(limit, "big")
    files.append(log, log_record(purse.online, purse, amount + signed[3:]))
    purse.proof = Proof(pending.kind, purse.online, mac2, cryptogram)
    purse.balance = balance
    purse.online += 1
    kernel.commit()
    return Answer(cryptogram)
