# SPDX-License-Identifier: Apache-2.0
"""Purchase and composite (CAPP) purchase, the tap (FMCOS 2.0 user manual 8.8, 8.9)."""

from __future__ import annotations

from hardware_mocks.cardos import crypto, files, messaging, state, sw
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.kernel import Kernel
from hardware_mocks.cardos.purse import (
    CAPP,
    CHALLENGE_LENGTH,
    COUNTER_MAX,
    Signer,
    expect_le,
    key_of,
    log_of,
    log_record,
    purse_of,
    tac,
    transaction,
)
from hardware_mocks.cardos.session import CachedRecord, Pending
from hardware_mocks.cardos.shell import Answer
from hardware_mocks.cardos.state import Proof, Purse

PURCHASE_KEY = 0x3E
INIT_ANSWER = 15
DEBIT_LENGTH = 15  # terminal sequence 4, date 4, time 3, MAC1 4
DEBIT_ANSWER = 8
# One tap updates one record; a gate updates two. More would be a fault of the terminal.
CACHED_RECORDS_MAX = 4


def initialize(kernel: Kernel, pending: Pending, purse: Purse) -> Answer:
    """INITIALIZE FOR PURCHASE, CASH WITHDRAW or CAPP PURCHASE: balance, counter and random."""
    key = key_of(kernel, PURCHASE_KEY, pending.key_number)
    if purse.offline == COUNTER_MAX:
        raise Refused(sw.COUNTER_EXHAUSTED)
    if pending.amount > purse.balance:
        raise Refused(sw.LOW_BALANCE)
    pending.random = kernel.random(CHALLENGE_LENGTH)
    kernel.session.pending = pending
    return Answer(
        purse.balance.to_bytes(4, "big")
        + purse.offline.to_bytes(2, "big")
        + purse.overdraft.to_bytes(3, "big")
        + bytes((key.third, key.fourth))
        + pending.random
    )


def update_capp_data_cache(kernel: Kernel, command: Command) -> Answer:
    """UPDATE CAPP DATA CACHE: keep a record in RAM until the debit commits it.

    The write right of the file is not asked for here: nothing is written without the MAC1 of
    the debit, and a terminal must be able to leave its record in a file that nobody may write
    directly.
    """
    session = kernel.session
    pending = session.pending
    if pending is None or pending.command != CAPP:
        raise Refused(sw.WRONG_STATE)
    sfi, mode = command.p2 >> 3, command.p2 & files.MODE_MASK
    if mode not in (files.BY_TAG_FIRST, files.BY_NUMBER) or sfi == files.SFI_RESERVED:
        raise Refused(sw.WRONG_P1P2)
    ef = session.file(sfi)
    if ef.kind not in (state.LINEAR_FIXED, state.LINEAR_VARIABLE):
        raise Refused(sw.WRONG_FILE_TYPE)
    record = messaging.incoming(kernel.memory, session.df, ef, command, session.challenge)
    index = files.locate(ef, command.p1, mode, session.pointer)
    files.require_fit(ef, index, record)
    kept = [c for c in pending.cache if (c.fid, c.index) != (ef.fid, index)]
    if len(kept) >= CACHED_RECORDS_MAX:
        raise Refused(sw.NO_SPACE)
    pending.cache = [*kept, CachedRecord(ef.fid, index, record)]
    return Answer()


def debit(kernel: Kernel, command: Command, pending: Pending) -> Answer:
    """DEBIT FOR (CAPP) PURCHASE: check MAC1, commit everything at once, return TAC and MAC2."""
    session = kernel.session
    if pending.command == CAPP and not pending.cache:
        raise Refused(sw.WRONG_STATE)
    data = command.body(DEBIT_LENGTH)
    expect_le(command, DEBIT_ANSWER)
    sequence, when, mac1 = data[:4], data[4:11], data[11:]
    ef, purse = purse_of(kernel, pending.fid)
    key = key_of(kernel, PURCHASE_KEY, pending.key_number)
    signer = Signer.derive(key, pending.random, purse.offline, sequence[2:])
    signed = transaction(pending)
    if not crypto.same(mac1, signer.mac(signed + when)):
        raise Refused(sw.MAC_INVALID)
    mac2 = signer.mac(pending.amount.to_bytes(4, "big"))
    cryptogram = tac(kernel, signed + sequence + when)
    log = log_of(kernel, ef)
    files.append(log, log_record(purse.offline, purse, signed + when))
    for cached in pending.cache:
        session.df.files[cached.fid].records[cached.index] = cached.record
    purse.proof = Proof(pending.kind, purse.offline, mac2, cryptogram)
    purse.balance -= pending.amount
    purse.offline += 1
    kernel.commit()
    return Answer(cryptogram + mac2)
