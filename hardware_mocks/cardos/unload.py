# SPDX-License-Identifier: Apache-2.0
"""Unload: the passbook gives value back on line (FMCOS 2.0 user manual 8.10)."""

from __future__ import annotations

from hardware_mocks.cardos import crypto, files, sw
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.kernel import Kernel
from hardware_mocks.cardos.purse import (
    CHALLENGE_LENGTH,
    COUNTER_MAX,
    ONLINE,
    Signer,
    expect_le,
    key_of,
    log_of,
    log_record,
    purse_of,
    tac,
    transaction,
)
from hardware_mocks.cardos.session import Pending
from hardware_mocks.cardos.shell import Answer
from hardware_mocks.cardos.state import Proof, Purse

UNLOAD_KEY = 0x3D
INIT_ANSWER = 16
DEBIT_LENGTH = 11  # date 4, time 3, MAC2 4
DEBIT_ANSWER = 4


def initialize(kernel: Kernel, pending: Pending, purse: Purse) -> Answer:
    """INITIALIZE FOR UNLOAD: balance, on-line counter, key version, random and MAC1.

    What may be unloaded is the holder's own value, without the overdraft limit.
    """
    key = key_of(kernel, UNLOAD_KEY, pending.key_number)
    if purse.online == COUNTER_MAX:
        raise Refused(sw.COUNTER_EXHAUSTED)
    if pending.amount > purse.balance - purse.overdraft:
        raise Refused(sw.LOW_BALANCE)
    pending.random = kernel.random(CHALLENGE_LENGTH)
    kernel.session.pending = pending
    balance = purse.balance.to_bytes(4, "big")
    signer = Signer.derive(key, pending.random, purse.online, ONLINE)
    head = balance + purse.online.to_bytes(2, "big") + bytes((key.third, key.fourth))
    return Answer(head + pending.random + signer.mac(balance + transaction(pending)))


def debit(kernel: Kernel, command: Command, pending: Pending) -> Answer:
    """DEBIT FOR UNLOAD: check MAC2, commit balance, counter and log at once, return MAC3."""
    data = command.body(DEBIT_LENGTH)
    expect_le(command, DEBIT_ANSWER)
    when, mac2 = data[:7], data[7:]
    ef, purse = purse_of(kernel, pending.fid)
    key = key_of(kernel, UNLOAD_KEY, pending.key_number)
    signer = Signer.derive(key, pending.random, purse.online, ONLINE)
    signed = transaction(pending) + when
    if not crypto.same(mac2, signer.mac(signed)):
        raise Refused(sw.MAC_INVALID)
    balance = purse.balance - pending.amount
    proven = balance.to_bytes(4, "big") + purse.online.to_bytes(2, "big") + signed
    mac3 = signer.mac(proven)
    proof = Proof(pending.kind, purse.online, mac3, tac(kernel, proven))
    files.append(log_of(kernel, ef), log_record(purse.online, purse, signed))
    purse.proof = proof
    purse.balance = balance
    purse.online += 1
    kernel.commit()
    return Answer(mac3)
