# SPDX-License-Identifier: Apache-2.0
"""Reading and writing binary files and records of a plain card (ISO/IEC 7816-4 §7.2, §7.3)."""

from __future__ import annotations

from hardware_mocks.cardos import sw
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.iso import state
from hardware_mocks.cardos.iso.session import Session
from hardware_mocks.cardos.iso.state import Node
from hardware_mocks.cardos.shell import END_OF_FILE, Answer

BY_SFI = 0x80
NUMBER = 0x04
READ_MAX = 256


def _binary(session: Session, command: Command) -> tuple[Node, int]:
    if command.p1 & BY_SFI:
        node, offset = session.file(command.p1 & 0x1F), command.p2
    else:
        node, offset = session.file(0), command.p1 << 8 | command.p2
    if node.descriptor != state.TRANSPARENT:
        raise Refused(sw.WRONG_FILE_TYPE)
    if offset >= node.size:
        raise Refused(sw.WRONG_OFFSET)
    return node, offset


def read_binary(session: Session, command: Command) -> Answer:
    """READ BINARY: what there is, with 6282 where more was wanted."""
    if command.data is not None:
        raise Refused(sw.WRONG_LENGTH)
    node, offset = _binary(session, command)
    session.require(node.read)
    rest = node.body[offset:]
    wanted = command.le or READ_MAX
    short = command.le and wanted > len(rest)
    return Answer(rest[:wanted], END_OF_FILE if short else sw.OK)


def update_binary(session: Session, command: Command) -> Answer:
    """UPDATE BINARY inside the file."""
    node, offset = _binary(session, command)
    session.require(node.write)
    data = command.body()
    if offset + len(data) > node.size:
        raise Refused(sw.WRONG_LENGTH)
    node.body = node.body[:offset] + data + node.body[offset + len(data) :]
    session.memory.commit()
    return Answer()


def _records(session: Session, command: Command) -> Node:
    node = session.file(command.p2 >> 3)
    if node.descriptor not in state.RECORDS:
        raise Refused(sw.WRONG_FILE_TYPE)
    return node


def _index(node: Node, command: Command) -> int:
    if command.p2 & 0x07 != NUMBER:
        raise Refused(sw.WRONG_P1P2)
    if not 0 < command.p1 <= len(node.records):
        raise Refused(sw.RECORD_NOT_FOUND)
    return command.p1 - 1


def read_record(session: Session, command: Command) -> Answer:
    """READ RECORD by number, one record."""
    if command.data is not None:
        raise Refused(sw.WRONG_LENGTH)
    node = _records(session, command)
    session.require(node.read)
    record = node.records[_index(node, command)]
    if command.le and command.le > len(record):
        return Answer(record, END_OF_FILE)
    return Answer(record[: command.le or READ_MAX])


def update_record(session: Session, command: Command) -> Answer:
    """UPDATE RECORD by number."""
    node = _records(session, command)
    session.require(node.write)
    index, data = _index(node, command), command.body()
    _require_fit(node, data, len(node.records[index]))
    node.records[index] = data
    session.memory.commit()
    return Answer()


def append_record(session: Session, command: Command) -> Answer:
    """APPEND RECORD: at the end, in a cyclic file at the front in place of the oldest."""
    if command.p1 or command.p2 & 0x07:
        raise Refused(sw.WRONG_P1P2)
    node = _records(session, command)
    session.require(node.write)
    data = command.body()
    if node.descriptor == state.CYCLIC:
        _require_fit(node, data, node.size)
        node.records = [data, *node.records][: node.size // node.record]
    else:
        _require_fit(node, data, 0)
        node.records.append(data)
    session.memory.commit()
    return Answer()


def _require_fit(node: Node, data: bytes, freed: int) -> None:
    if node.descriptor != state.LINEAR_VARIABLE and len(data) != node.record:
        raise Refused(sw.WRONG_LENGTH)
    if not data:
        raise Refused(sw.WRONG_LENGTH)
    if sum(map(len, node.records)) - freed + len(data) > node.size:
        raise Refused(sw.NO_SPACE)
