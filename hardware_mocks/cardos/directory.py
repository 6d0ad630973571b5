# SPDX-License-Identifier: Apache-2.0
"""SELECT, CREATE FILE and ERASE DF (FMCOS 2.0 user manual 7.4, 7.11, 7.13)."""

from __future__ import annotations

from collections.abc import Callable

from hardware_mocks.cardos import state, sw
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.kernel import Kernel
from hardware_mocks.cardos.session import LEVELS_MAX, Session
from hardware_mocks.cardos.shell import Answer
from hardware_mocks.cardos.state import Df, Ef

MF_NAME = b"1PAY.SYS.DDF01"

BY_FID, BY_NAME = 0x00, 0x04
FID_LENGTH = 2
DF_HEADER = 8  # type, space 2, create, erase, application file, FF FF
EF_HEADER = 7
MF_HEADER = 6
# The manual's table says eight bytes FF, its example sends seven; nine with byte 7 counted.
TRANSPORT_CODE_LENGTHS = range(7, 10)
NAME_LENGTHS = range(5, 17)
RECORDS_MIN = 2
RECORD_BYTES_MAX = 248
PURSE_SIZE = 0x0208
LINE_BITS = 0xC0

EF_KINDS = frozenset(
    (
        state.TRANSPARENT,
        state.LINEAR_FIXED,
        state.LINEAR_VARIABLE,
        state.CYCLIC,
        state.PURSE,
        state.KEY_FILE,
    )
)
# An answer has at most 239 bytes (user manual 6.1); names and tags around the file take 28.
FCI_CONTENT_MAX = 208
# What the application-file byte of a directory means: 000xxxxx names the DIR file of a DDF,
# 100xxxxx the file that SELECT returns in 9F0C.
FCI_FILE = 0x80
SFI_MASK = 0x1F


def select(kernel: Kernel, command: Command) -> Answer:
    """SELECT by file identifier (P1 = 00) or by directory name (P1 = 04)."""
    session = kernel.session
    if command.p1 not in (BY_FID, BY_NAME) or command.p2:
        raise Refused(sw.WRONG_P1P2)
    data = command.data or b""
    if command.p1 == BY_FID:
        fid = int.from_bytes(data, "big") if data else state.MF_FID
        if len(data) not in (0, FID_LENGTH):
            raise Refused(sw.WRONG_LENGTH)
        if fid in session.df.files:
            kernel.require_unblocked()
            session.ef = session.df.files[fid]
            session.pointer = None
            return Answer()
        path = _find(session, lambda df: df.fid == fid)
    else:
        path = _find(session, lambda df: df.name == data)
    session.enter(path)
    kernel.require_unblocked()
    return Answer(_fci(session.df))


def _find(session: Session, matches: Callable[[Df], bool]) -> list[Df]:
    """Look for a directory: the MF, the current one, its children, its siblings."""
    path = session.path
    candidates = [path[:1], path]
    candidates += [[*path, child] for child in session.df.children.values()]
    if len(path) > 1:
        candidates += [[*path[:-1], child] for child in path[-2].children.values()]
    for candidate in candidates:
        if matches(candidate[-1]):
            return candidate
    raise Refused(sw.FILE_NOT_FOUND)


def _tlv(tag: bytes, value: bytes) -> bytes:
    length = bytes((len(value),)) if len(value) < 0x80 else bytes((0x81, len(value)))
    return tag + length + value


def _fci(df: Df) -> bytes:
    """Return 6F{84 name, A5{88 SFI of the DIR file | 9F0C content of the named file}}."""
    sfi = df.application_file & SFI_MASK
    own = b""
    if df.application_file & ~SFI_MASK == FCI_FILE:
        ef = df.files.get(sfi)
        if ef and ef.kind == state.TRANSPARENT:
            own = _tlv(b"\x9f\x0c", content(ef)[:FCI_CONTENT_MAX])
    elif df.application_file & ~SFI_MASK == 0:
        own = _tlv(b"\x88", bytes((sfi,)))
    return _tlv(b"\x6f", _tlv(b"\x84", df.name) + _tlv(b"\xa5", own))


def content(ef: Ef) -> bytes:
    """Return the bytes of a binary file; erased EEPROM reads FF."""
    return b"\xff" * ef.size if ef.body is None else ef.body


def create_file(kernel: Kernel, command: Command) -> Answer:
    """CREATE FILE: the MF, a directory or an elementary file; the new file is not selected."""
    fid = command.p1 << 8 | command.p2
    header = command.body()
    if kernel.image.mf is None:
        _create_mf(kernel, fid, header)
        return Answer()
    session = kernel.session
    df = session.df
    session.require(df.create)
    if fid in df.files or fid in df.children or fid == state.MF_FID:
        raise Refused(sw.WRONG_P1P2)
    if header[0] == state.DIRECTORY:
        child = _directory(session, fid, header)
        _require_space(session, child.reserved)
        df.children[fid] = child
    else:
        ef = _file(fid, header)
        if ef.kind == state.KEY_FILE and df.key_file:
            raise Refused(sw.WRONG_P1P2)
        _require_space(session, ef.footprint)
        df.files[fid] = ef
    kernel.commit()
    return Answer()


def _create_mf(kernel: Kernel, fid: int, header: bytes) -> None:
    """Make the MF; what follows its header is the transport code of the blank, all FF."""
    if fid != state.MF_FID:
        raise Refused(sw.UNSUPPORTED)
    code = header[MF_HEADER:]
    if len(code) not in TRANSPORT_CODE_LENGTHS:
        raise Refused(sw.WRONG_LENGTH)
    if header[0] != state.DIRECTORY or code.strip(b"\xff"):
        raise Refused(sw.WRONG_DATA)
    size = int.from_bytes(header[1:3], "big")
    kernel.image.mf = Df(fid, MF_NAME, size, header[3], header[4], header[5])
    kernel.commit()
    kernel.session.enter([kernel.image.mf])


def _directory(session: Session, fid: int, header: bytes) -> Df:
    name = header[DF_HEADER:]
    if len(name) not in NAME_LENGTHS:
        raise Refused(sw.WRONG_LENGTH)
    if len(session.path) >= LEVELS_MAX:
        raise Refused(sw.WRONG_DATA)
    if any(child.name == name for child in session.df.children.values()):
        raise Refused(sw.WRONG_P1P2)
    size = int.from_bytes(header[1:3], "big")
    return Df(fid, name, size, header[3], header[4], header[5])


def _file(fid: int, header: bytes) -> Ef:
    if len(header) != EF_HEADER:
        raise Refused(sw.WRONG_LENGTH)
    kind, line = _kind_of(header[0])
    size = int.from_bytes(header[1:3], "big")
    ef = Ef(fid, kind, line, size, header[3], header[4], header[6])
    if kind == state.PURSE:
        if size != PURSE_SIZE:
            raise Refused(sw.WRONG_DATA)
        ef.purse = state.Purse()
    elif kind in state.COUNTED:
        if ef.record_count < RECORDS_MIN or not 0 < ef.record_length <= RECORD_BYTES_MAX:
            raise Refused(sw.WRONG_DATA)
    elif size == 0:
        raise Refused(sw.WRONG_DATA)
    return ef


def _kind_of(byte: int) -> tuple[int, int]:
    """Split the type byte: 28 and A8, 68, E8 are one type with and without line protection."""
    for kind in EF_KINDS:
        line = byte ^ kind
        if line & ~LINE_BITS == 0 and (line == 0 or kind != state.KEY_FILE):
            return kind, line
    raise Refused(sw.WRONG_DATA)


def _require_space(session: Session, more: int) -> None:
    """Refuse with 6A84 a file that does not fit into every directory above it."""
    for df in session.path:
        limit = session.image.eeprom if df.size == state.UNLIMITED else df.size
        if df.footprint + more > limit:
            raise Refused(sw.NO_SPACE)


def erase_df(kernel: Kernel, command: Command) -> Answer:
    """ERASE DF: delete everything in the current directory; the directory itself stays."""
    if command.p1 or command.p2:
        raise Refused(sw.WRONG_P1P2)
    session = kernel.session
    session.require(session.df.erase)
    session.df.files.clear()
    session.df.children.clear()
    session.df.block = 0
    kernel.commit()
    session.enter(session.path)
    return Answer()
