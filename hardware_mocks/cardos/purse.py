# SPDX-License-Identifier: Apache-2.0
"""What purse commands share: the purse file, its keys and log, GET BALANCE and the proof.

FMCOS 2.0 user manual, chapter 8.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hardware_mocks.cardos import state, sw
from hardware_mocks.cardos.algorithms import Algorithm, algorithm_of
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.kernel import Kernel
from hardware_mocks.cardos.session import Pending
from hardware_mocks.cardos.shell import Answer
from hardware_mocks.cardos.state import Ef, Key, Purse

PASSBOOK, ELECTRONIC_PURSE = 0x01, 0x02
LOAD, PURCHASE, CASH, CAPP, OVERDRAFT, UNLOAD = range(6)
# Transaction types by P1 and P2 of INITIALIZE (user manual 8.13.2).
KINDS = {
    (LOAD, PASSBOOK): 0x01,
    (LOAD, ELECTRONIC_PURSE): 0x02,
    (UNLOAD, PASSBOOK): 0x03,
    (CASH, PASSBOOK): 0x04,
    (PURCHASE, PASSBOOK): 0x05,
    (PURCHASE, ELECTRONIC_PURSE): 0x06,
    (OVERDRAFT, PASSBOOK): 0x07,
    (CAPP, ELECTRONIC_PURSE): 0x09,
}

INTERNAL_KEY = (0x34, 0x00)

INIT_LENGTH = 11  # key number, amount 4, terminal 6
LIMIT_INIT_LENGTH = 7  # key number, terminal 6
BALANCE_ANSWER = 4
PROOF_ANSWER = 8
CHALLENGE_LENGTH = 4
COUNTER_MAX = 0xFFFF
BALANCE_MAX = 0xFFFFFFFF
LOG_RECORD = 23
# Stands where a purchase has the terminal's number (user manual 8.7, 8.10, 8.12).
ONLINE = b"\x80\x00"


def expect_le(command: Command, length: int) -> None:
    """Refuse with 6700 an Le that is neither absent, 00 nor the length of the answer."""
    if command.le not in (None, 0, length):
        raise Refused(sw.WRONG_LENGTH)


def purse_of(kernel: Kernel, fid: int) -> tuple[Ef, Purse]:
    """Find a purse file of the current directory that may be used."""
    ef = kernel.session.df.files.get(fid)
    if ef is None or ef.purse is None:
        raise Refused(sw.FILE_NOT_FOUND)
    kernel.session.require(ef.read)
    return ef, ef.purse


def key_of(kernel: Kernel, kind: int, number: int) -> Key:
    """Find the key INITIALIZE named; 9403 where there is none."""
    key = kernel.session.df.key(kind, number)
    if key is None:
        raise Refused(sw.UNKNOWN_KEY_INDEX)
    kernel.session.require(key.use)
    return key


def tac(kernel: Kernel, data: bytes) -> bytes:
    """Return the TAC under the internal key 34/00; 6A88 where there is none."""
    key = kernel.session.df.key(*INTERNAL_KEY)
    if key is None:
        raise Refused(sw.KEY_NOT_FOUND)
    return algorithm_of(key).signature(key.value, data)


@dataclass(frozen=True, slots=True)
class Signer:
    """The session key of one transaction."""

    algorithm: Algorithm
    value: bytes = field(repr=False)

    @classmethod
    def derive(cls, key: Key, random: bytes, counter: int, terminal: bytes) -> Signer:
        """Derive it from the card's random and counter and two bytes of the other side."""
        algorithm = algorithm_of(key)
        block = random + counter.to_bytes(2, "big") + terminal
        return cls(algorithm, algorithm.session_key(key.value, block))

    def mac(self, data: bytes) -> bytes:
        """Return the 4 bytes over data."""
        return self.algorithm.purse_mac(self.value, data)


def log_of(kernel: Kernel, ef: Ef) -> Ef:
    """Find the cyclic file that the purse's last header byte names for its records."""
    log = kernel.session.df.files.get(ef.last)
    if log is None:
        raise Refused(sw.FILE_NOT_FOUND)
    if log.kind != state.CYCLIC or log.record_length != LOG_RECORD:
        raise Refused(sw.WRONG_FILE_TYPE)
    return log


def log_record(sequence: int, purse: Purse, rest: bytes) -> bytes:
    """Build a 23-byte log record: sequence before its step, overdraft, then the signed data."""
    return sequence.to_bytes(2, "big") + purse.overdraft.to_bytes(3, "big") + rest


def transaction(pending: Pending) -> bytes:
    """Return what every MAC of a transaction begins with: amount, kind and terminal."""
    return pending.amount.to_bytes(4, "big") + bytes((pending.kind,)) + pending.terminal


def get_balance(kernel: Kernel, command: Command) -> Answer:
    """GET BALANCE of the passbook (P2 = 01) or the purse (02): 4 bytes."""
    if command.p1 or command.p2 not in (PASSBOOK, ELECTRONIC_PURSE):
        raise Refused(sw.WRONG_P1P2)
    if command.data is not None:
        raise Refused(sw.WRONG_LENGTH)
    _, purse = purse_of(kernel, command.p2)
    return Answer(purse.balance.to_bytes(BALANCE_ANSWER, "big"))


def get_transaction_prove(kernel: Kernel, command: Command) -> Answer:
    """GET TRANSACTION PROVE: MAC and TAC of the latest transaction, 9406 for any other."""
    if command.p1:
        raise Refused(sw.WRONG_P1P2)
    sequence = int.from_bytes(command.body(2), "big")
    expect_le(command, PROOF_ANSWER)
    fid = next((fid for (_, fid), kind in KINDS.items() if kind == command.p2), None)
    if fid is None:
        raise Refused(sw.WRONG_P1P2)
    _, purse = purse_of(kernel, fid)
    proof = purse.proof
    if proof is None or (proof.kind, proof.sequence) != (command.p2, sequence):
        raise Refused(sw.NO_PROOF)
    return Answer(proof.mac + proof.tac)
