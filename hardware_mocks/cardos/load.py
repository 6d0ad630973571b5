# SPDX-License-Identifier: Apache-2.0
"""Load: the purse takes value on line, both sides proven (FMCOS 2.0 user manual 8.7)."""

from __future__ import annotations

from hardware_mocks.cardos import crypto, files, sw
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.kernel import Kernel
from hardware_mocks.cardos.purse import (
    BALANCE_MAX,
    CHALLENGE_LENGTH,
    COUNTER_MAX,
    LOAD,
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

LOAD_KEY = 0x3F
INIT_ANSWER = 16
CREDIT_LENGTH = 11  # date 4, time 3, MAC2 4
CREDIT_ANSWER = 4


def initialize(kernel: Kernel, pending: Pending, purse: Purse) -> Answer:
    """INITIALIZE FOR LOAD: balance, on-line counter, key version, random and the card's MAC1."""
    key = key_of(kernel, LOAD_KEY, pending.key_number)
    if purse.online == COUNTER_MAX:
        raise Refused(sw.COUNTER_EXHAUSTED)
    if purse.balance + pending.amount > BALANCE_MAX:
        raise Refused(sw.CONDITIONS)
    pending.random = kernel.random(CHALLENGE_LENGTH)
    kernel.session.pending = pending
    balance = purse.balance.to_bytes(4, "big")
    signer = Signer.derive(key, pending.random, purse.online, ONLINE)
    head = balance + purse.online.to_bytes(2, "big") + bytes((key.third, key.fourth))
    return Answer(head + pending.random + signer.mac(balance + transaction(pending)))


def credit(kernel: Kernel, command: Command) -> Answer:
    """CREDIT FOR LOAD: check MAC2, commit balance, counter and log at once, return the TAC."""
    session = kernel.session
    pending, session.pending = session.pending, None
    if pending is None or pending.command != LOAD:
        raise Refused(sw.WRONG_STATE)
    if command.p1 or command.p2:
        raise Refused(sw.WRONG_P1P2)
    data = command.body(CREDIT_LENGTH)
    expect_le(command, CREDIT_ANSWER)
    when, mac2 = data[:7], data[7:]
    ef, purse = purse_of(kernel, pending.fid)
    key = key_of(kernel, LOAD_KEY, pending.key_number)
    signer = Signer.derive(key, pending.random, purse.online, ONLINE)
    signed = transaction(pending) + when
    if not crypto.same(mac2, signer.mac(signed)):
        raise Refused(sw.MAC_INVALID)
    balance = purse.balance + pending.amount
    counted = balance.to_bytes(4, "big") + purse.online.to_bytes(2, "big")
    cryptogram = tac(kernel, counted + signed)
    files.append(log_of(kernel, ef), log_record(purse.online, purse, signed))
    purse.proof = Proof(pending.kind, purse.online, mac2, cryptogram)
    purse.balance = balance
    purse.online += 1
    kernel.commit()
    return Answer(cryptogram)
