# SPDX-License-Identifier: Apache-2.0
"""Reading and writing binary and record files (FMCOS 2.0 user manual 7.5 to 7.9)."""

from __future__ import annotations

from hardware_mocks.cardos import crypto, messaging, state, sw
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.directory import RECORD_BYTES_MAX, content
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.kernel import Kernel
from hardware_mocks.cardos.shell import Answer
from hardware_mocks.cardos.state import Ef

BY_SFI = 0x80
SFI_BITS = 0xE0
OFFSET_MAX = 0x7FFF

BY_TAG_FIRST, BY_TAG_LAST, BY_TAG_NEXT, BY_TAG_PREVIOUS, BY_NUMBER = range(5)
MODE_MASK = 0x07
SFI_RESERVED = 0x1F
CYCLIC_APPENDS = (BY_TAG_NEXT, BY_TAG_PREVIOUS)

READ_MAX = 256
# A protected answer also holds LD, padding and the MAC, and stays below 256 with them.
PROTECTED_READ_MAX = 232

RECORD_KINDS = (state.LINEAR_FIXED, state.LINEAR_VARIABLE, state.CYCLIC)
TLV_HEADER = 2


def read_binary(kernel: Kernel, command: Command) -> Answer:
    """READ BINARY by short identifier or of the current file, plain or MACed.

    A file that was never written reads FF with the warning 6281.
    """
    ef, offset = _binary(kernel, command)
    kernel.session.require(ef.read)
    challenge = _check_read(kernel, ef, command)
    rest = content(ef)[offset:]
    data = _protected(kernel, ef, _cut(rest, command), challenge)
    return Answer(data, sw.UNWRITTEN if ef.body is None else sw.OK)


def update_binary(kernel: Kernel, command: Command) -> Answer:
    """UPDATE BINARY; the data must lie inside the file."""
    ef, offset = _binary(kernel, command)
    kernel.session.require(ef.write)
    data = _incoming(kernel, ef, command)
    if offset + len(data) > ef.size:
        raise Refused(sw.WRONG_OFFSET)
    body = content(ef)
    ef.body = body[:offset] + data + body[offset + len(data) :]
    kernel.commit()
    return Answer()


def _binary(kernel: Kernel, command: Command) -> tuple[Ef, int]:
    """Find the file and the offset that P1 P2 mean."""
    if command.p1 & SFI_BITS == BY_SFI:
        ef, offset = kernel.session.file(command.p1 & ~SFI_BITS), command.p2
    else:
        ef, offset = kernel.session.file(0), command.p1 << 8 | command.p2
        if offset > OFFSET_MAX:
            raise Refused(sw.WRONG_P1P2)
    if ef.kind != state.TRANSPARENT:
        raise Refused(sw.WRONG_FILE_TYPE)
    if offset >= ef.size:
        raise Refused(sw.WRONG_OFFSET)
    return ef, offset


def _check_read(kernel: Kernel, ef: Ef, command: Command) -> bytes | None:
    session = kernel.session
    return messaging.check_read(kernel.memory, session.df, ef, command, session.challenge)


def _incoming(kernel: Kernel, ef: Ef, command: Command) -> bytes:
    session = kernel.session
    return messaging.incoming(kernel.memory, session.df, ef, command, session.challenge)


def _cut(available: bytes, command: Command) -> bytes:
    """Cut to Le bytes; 6Cxx where there are fewer. Le of a MACed read counts the MAC too."""
    wanted = command.le or 0
    if not command.secure:
        limit = READ_MAX
    else:
        limit = PROTECTED_READ_MAX
        wanted = min(max(wanted - crypto.MAC_LENGTH, 0), limit)
    if wanted > len(available):
        raise Refused(sw.WRONG_LE | len(available))
    return available[: wanted or limit]


def _protected(kernel: Kernel, ef: Ef, data: bytes, challenge: bytes | None) -> bytes:
    if challenge is None:
        return data
    return messaging.outgoing(kernel.session.df, ef, data, challenge)


def read_record(kernel: Kernel, command: Command) -> Answer:
    """READ RECORD by number (low bits of P2 100) or by tag (000), plain or MACed."""
    ef = _records(kernel, command)
    kernel.session.require(ef.read)
    challenge = _check_read(kernel, ef, command)
    mode = command.p2 & MODE_MASK
    if mode not in (BY_TAG_FIRST, BY_NUMBER):
        raise Refused(sw.WRONG_P1P2)
    index = locate(ef, command.p1, mode, kernel.session.pointer)
    kernel.session.pointer = index
    return Answer(_protected(kernel, ef, _cut(ef.records[index], command), challenge))


def _records(kernel: Kernel, command: Command) -> Ef:
    """Find the record file that the upper five bits of P2 name."""
    sfi = command.p2 >> 3
    if sfi == SFI_RESERVED:
        raise Refused(sw.WRONG_P1P2)
    ef = kernel.session.file(sfi)
    if ef.kind not in RECORD_KINDS:
        raise Refused(sw.WRONG_FILE_TYPE)
    return ef


def locate(ef: Ef, p1: int, mode: int, pointer: int | None) -> int:
    """Return the index of the record that P1 and the low bits of P2 mean; 6A83 where none."""
    if mode == BY_NUMBER:
        index = p1 - 1 if p1 else pointer
        if index is None or not 0 <= index < len(ef.records):
            raise Refused(sw.RECORD_NOT_FOUND)
        return index
    if ef.kind != state.LINEAR_VARIABLE:
        raise Refused(sw.WRONG_P1P2)
    tagged = [i for i, record in enumerate(ef.records) if record[0] == p1]
    if mode == BY_TAG_NEXT and pointer is not None:
        tagged = [i for i in tagged if i > pointer]
    elif mode == BY_TAG_PREVIOUS and pointer is not None:
        tagged = [i for i in tagged if i < pointer]
    if mode not in (BY_TAG_FIRST, BY_TAG_LAST, BY_TAG_NEXT, BY_TAG_PREVIOUS):
        raise Refused(sw.WRONG_P1P2)
    if not tagged:
        raise Refused(sw.RECORD_NOT_FOUND)
    return tagged[0] if mode in (BY_TAG_FIRST, BY_TAG_NEXT) else tagged[-1]


def update_record(kernel: Kernel, command: Command) -> Answer:
    """UPDATE RECORD: replace a record, or append one.

    Appending: to a cyclic file with P1 = 00 and low bits 011 (the manual's example 5 sends 010),
    to a variable file with P1 = 00 and low bits 010 (example 4).
    """
    ef = _records(kernel, command)
    session = kernel.session
    session.require(ef.write)
    record = _incoming(kernel, ef, command)
    mode = command.p2 & MODE_MASK
    if ef.kind == state.CYCLIC:
        if mode not in CYCLIC_APPENDS:
            raise Refused(sw.WRONG_P1P2)
        session.pointer = append(ef, record)
    elif ef.kind == state.LINEAR_VARIABLE and command.p1 == 0 and mode == BY_TAG_NEXT:
        session.pointer = append(ef, record)
    else:
        index = locate(ef, command.p1, mode, session.pointer)
        require_fit(ef, index, record)
        ef.records[index] = record
        session.pointer = index
    kernel.commit()
    return Answer()


def require_fit(ef: Ef, index: int, record: bytes) -> None:
    """Refuse with 6700 a record that is not exactly as long as the one it replaces."""
    if ef.kind == state.LINEAR_VARIABLE:
        _require_tlv(record)
    if len(record) != len(ef.records[index]):
        raise Refused(sw.WRONG_LENGTH)


def _require_tlv(record: bytes) -> None:
    if not TLV_HEADER < len(record) <= RECORD_BYTES_MAX:
        raise Refused(sw.WRONG_LENGTH)
    if record[1] != len(record) - TLV_HEADER:
        raise Refused(sw.WRONG_DATA)


def append_record(kernel: Kernel, command: Command) -> Answer:
    """APPEND RECORD: at the end of a fixed or variable file, at the front of a cyclic one.

    The low bits of P2 are 100, or 000 as in the vendor's issuing example.
    """
    if command.p1 or command.p2 & MODE_MASK not in (BY_TAG_FIRST, BY_NUMBER):
        raise Refused(sw.WRONG_P1P2)
    ef = _records(kernel, command)
    kernel.session.require(ef.write)
    kernel.session.pointer = append(ef, _incoming(kernel, ef, command))
    kernel.commit()
    return Answer()


def append(ef: Ef, record: bytes) -> int:
    """Add a record and return its index; the newest record of a cyclic file is the first."""
    if ef.kind == state.LINEAR_VARIABLE:
        _require_tlv(record)
        if sum(map(len, ef.records)) + len(record) > ef.size:
            raise Refused(sw.NO_SPACE)
    elif len(record) != ef.record_length:
        raise Refused(sw.WRONG_LENGTH)
    elif ef.kind == state.LINEAR_FIXED and len(ef.records) >= ef.record_count:
        raise Refused(sw.NO_SPACE)
    if ef.kind == state.CYCLIC:
        ef.records.insert(0, record)
        del ef.records[ef.record_count :]
        return 0
    ef.records.append(record)
    return len(ef.records) - 1
