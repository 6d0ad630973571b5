# SPDX-License-Identifier: Apache-2.0
"""SELECT, CREATE FILE and DELETE FILE with file control templates (ISO/IEC 7816-4, -9)."""

from __future__ import annotations

from hardware_mocks.cardos import sw
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.iso import state
from hardware_mocks.cardos.iso.session import Session
from hardware_mocks.cardos.iso.state import Node
from hardware_mocks.cardos.shell import Answer

FILE_EXISTS = 0x6A89
TEMPLATE, CONTROL = 0x6F, 0x62
SIZE, DESCRIPTOR, FID, NAME, SECURITY, SFI = 0x80, 0x82, 0x83, 0x84, 0x86, 0x88
BY_FID, BY_CHILD, BY_EF, BY_PARENT, BY_NAME = range(5)
RETURN_FCI, RETURN_FCP, RETURN_NOTHING = 0x00, 0x04, 0x0C
LEVELS_MAX = 4
HEADER_BYTES = 16
NAME_LENGTHS = range(1, 17)
RECORD_MAX = 255


def tlv(tag: int, value: bytes) -> bytes:
    """Build one TLV with a short length."""
    return bytes((tag, len(value))) + value


def select(session: Session, command: Command) -> Answer:
    """SELECT by identifier, child, file, parent or (partial) name."""
    path = _target(session, command.p1, command.data or b"")
    if command.p2 not in (RETURN_FCI, RETURN_FCP, RETURN_NOTHING):
        raise Refused(sw.WRONG_P1P2)
    node = path[-1]
    if node.directory:
        session.enter(path)
    else:
        session.enter(path[:-1])
        session.ef = node
    if command.p2 == RETURN_NOTHING:
        return Answer()
    return Answer(tlv(TEMPLATE if command.p2 == RETURN_FCI else CONTROL, _control(node)))


def _control(node: Node) -> bytes:
    shape = bytes((0x01, 0x00, node.record)) if node.record else b""
    body = tlv(DESCRIPTOR, bytes((node.descriptor,)) + shape)
    body += tlv(FID, node.fid.to_bytes(2, "big"))
    if node.directory:
        return body + (tlv(NAME, node.name) if node.name else b"")
    body += tlv(SIZE, node.size.to_bytes(2, "big"))
    return body + (tlv(SFI, bytes((node.sfi << 3,))) if node.sfi else b"")


def _target(session: Session, p1: int, data: bytes) -> list[Node]:
    path = session.path
    if p1 == BY_NAME:
        return _by_name(session, data)
    if p1 == BY_PARENT:
        if data or len(path) == 1:
            raise Refused(sw.FILE_NOT_FOUND)
        return path[:-1]
    if p1 not in (BY_FID, BY_CHILD, BY_EF):
        raise Refused(sw.WRONG_P1P2)
    fid = int.from_bytes(data, "big") if data else state.MF_FID
    if len(data) not in (0, 2):
        raise Refused(sw.WRONG_LENGTH)
    if p1 == BY_FID and fid == state.MF_FID:
        return path[:1]
    node = session.df.children.get(fid)
    if node is None or (p1 == BY_CHILD and not node.directory) or (p1 == BY_EF and node.directory):
        raise Refused(sw.FILE_NOT_FOUND)
    return [*path, node]


def _by_name(session: Session, name: bytes) -> list[Node]:
    """Find a directory anywhere whose name begins with these bytes."""
    waiting = [session.path[:1]]
    while waiting:
        path = waiting.pop(0)
        node = path[-1]
        if name and node.name.startswith(name):
            return path
        waiting += [[*path, child] for child in node.children.values() if child.directory]
    raise Refused(sw.FILE_NOT_FOUND)


def create_file(session: Session, command: Command) -> Answer:
    """CREATE FILE: what a file is stands in its control parameters; the new file is selected."""
    if command.p1 or command.p2:
        raise Refused(sw.WRONG_P1P2)
    node = _parse(command.body())
    session.require(session.df.read)
    if node.directory and len(session.path) >= LEVELS_MAX:
        raise Refused(sw.WRONG_DATA)
    _require_unique(session, node)
    taken = sum(HEADER_BYTES + item.size for item in session.image.mf.walk())
    if taken + HEADER_BYTES + node.size > session.image.memory:
        raise Refused(sw.NO_SPACE)
    session.df.children[node.fid] = node
    session.memory.commit()
    if node.directory:
        session.enter([*session.path, node])
    else:
        session.ef = node
    return Answer()


def _require_unique(session: Session, node: Node) -> None:
    names = {item.name for item in session.image.mf.walk() if item.name}
    short = {child.sfi for child in session.df.children.values() if child.sfi}
    taken = node.fid in session.df.children or node.fid == state.MF_FID
    if taken or node.name in names or node.sfi in short:
        raise Refused(FILE_EXISTS)


def _parse(data: bytes) -> Node:
    """Read file control parameters; refuse with 6A80 whatever does not fit."""
    if len(data) < 2 or data[0] != CONTROL or data[1] != len(data) - 2:
        raise Refused(sw.WRONG_DATA)
    fields: dict[int, bytes] = {}
    rest = data[2:]
    while rest:
        if len(rest) < 2 or len(rest) < 2 + rest[1] or rest[0] in fields:
            raise Refused(sw.WRONG_DATA)
        fields[rest[0]], rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
    descriptor, fid = fields.get(DESCRIPTOR, b""), fields.get(FID, b"")
    security = fields.get(SECURITY, b"\x00\x00")
    if not descriptor or len(fid) != 2 or len(security) != 2:
        raise Refused(sw.WRONG_DATA)
    node = Node(int.from_bytes(fid, "big"), descriptor[0], read=security[0], write=security[1])
    if node.directory:
        node.name = fields.get(NAME, b"")
        if node.name and len(node.name) not in NAME_LENGTHS:
            raise Refused(sw.WRONG_DATA)
        return node
    return _as_file(node, descriptor, fields)


def _as_file(node: Node, descriptor: bytes, fields: dict[int, bytes]) -> Node:
    node.size = int.from_bytes(fields.get(SIZE, b""), "big")
    node.sfi = (fields.get(SFI) or b"\x00")[0] >> 3
    if not 0 < node.size <= 0x7FFF:
        raise Refused(sw.WRONG_DATA)
    if node.descriptor == state.TRANSPARENT:
        node.body = bytes(node.size)
    elif node.descriptor in state.RECORDS:
        node.record = descriptor[-1] if len(descriptor) > 1 else RECORD_MAX
        if not 0 < node.record <= node.size and node.descriptor != state.LINEAR_VARIABLE:
            raise Refused(sw.WRONG_DATA)
    else:
        raise Refused(sw.WRONG_DATA)
    return node


def delete_file(session: Session, command: Command) -> Answer:
    """DELETE FILE: a child of the current directory, with everything below it."""
    if command.p1 or command.p2:
        raise Refused(sw.WRONG_P1P2)
    fid = int.from_bytes(command.body(2), "big")
    session.require(session.df.read)
    if fid not in session.df.children:
        raise Refused(sw.FILE_NOT_FOUND)
    del session.df.children[fid]
    session.ef = None
    session.memory.commit()
    return Answer()
