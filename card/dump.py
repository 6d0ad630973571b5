# SPDX-License-Identifier: Apache-2.0
"""What a card holds, file by file: read once, then compared, stored (`card.dump_file`) or applied.

Anybody reads the public files; with a desk's keys the protected ones come too.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from card.attempts import AttemptGuard
from card.commands import get_balance, read_record, select_name
from card.errors import RecordNotFound
from card.file_access import read_file
from card.files import VOLUNTEER, FileKind, FileSpec
from card.layouts import PHOTO_HEAD
from card.operation import Operation, exchange, fetch
from card.secure_messaging import MacKey, read_maced
from card.trace_place import is_public
from card.volunteer import DeskKeys, authenticate_desk, public_data, read_composite, select

Values = dict[str, Any]

PUBLIC_FID, PHOTO_FID = 0x0015, 0x001B
_BALANCE_BYTES = 4


@dataclass(frozen=True, slots=True)
class CardDump:
    """The content of a volunteer card's files.

    Attributes:
        asn: The card's serial, 10 bytes.
        key_version: Version of its key set.
        application_version: Version of its file map.
        contents: Bytes of the files that hold one content, by file identifier.
        records: Records of the counted files, newest first, by file identifier.
        balance: Of the purse.
        protected: Whether the protected files are among them.
        atr: The card's answer to reset, if it is known.
    """

    asn: bytes
    key_version: int
    application_version: int
    contents: dict[int, bytes] = field(repr=False)
    records: dict[int, tuple[bytes, ...]] = field(repr=False)
    balance: int = 0
    protected: bool = False
    atr: bytes = b""


def read_dump(
    keys: DeskKeys | None = None, guard: AttemptGuard | None = None, atr: bytes = b""
) -> Operation[CardDump]:
    """Read everything a card lets one read.

    Args:
        keys: The card's desk keys, for the protected files.
        guard: Where attempts left are remembered.
        atr: The card's answer to reset, to be noted.

    Raises:
        BlankCard, ForeignCard, Blocked: There is nothing of ours to read.
        AuthenticationFailed, GuardRefused: The desk key is wrong or may not be tried.
        LayoutError: File 0015 does not decode.
        ProtocolFault: An answer has another size than its file.
    """
    yield from select()
    response = yield from exchange(select_name(VOLUNTEER.name))
    public = public_data(response.data)
    if keys is not None:
        yield from authenticate_desk(keys, guard or AttemptGuard())
    files = [
        spec
        for spec in VOLUNTEER.files_of(public.application_version)
        if is_public(spec) or keys is not None
    ]
    mac = None if keys is None else keys.maintenance
    contents: dict[int, bytes] = {}
    records: dict[int, tuple[bytes, ...]] = {}
    for spec in files:
        if spec.kind is FileKind.TRANSPARENT:
            content = yield from _read_content(spec, mac)
            if content is not None:
                contents[spec.fid] = content
        elif spec.kind is FileKind.VARIABLE:
            contents[spec.fid] = (yield from read_composite()).to_bytes()
        elif spec.kind is FileKind.CYCLIC:
            records[spec.fid] = yield from _read_records(spec, mac)
    balance = int.from_bytes((yield from fetch(get_balance(), _BALANCE_BYTES)), "big")
    return CardDump(
        asn=public.asn,
        key_version=public.key_version,
        application_version=public.application_version,
        contents=contents,
        records=records,
        balance=balance,
        protected=keys is not None,
        atr=atr,
    )


def _read_content(spec: FileSpec, key: MacKey | None) -> Operation[bytes | None]:
    """Read a transparent file; of a photo as much as its head announces."""
    if spec.fid != PHOTO_FID:
        return (yield from read_file(spec, spec.size, key))
    head = yield from read_file(spec, PHOTO_HEAD.size, key)
    if head is None:
        return None
    length = min(PHOTO_HEAD.parse(head).length, spec.size - PHOTO_HEAD.size)
    if not length:
        return head
    return (yield from read_file(spec, PHOTO_HEAD.size + length, key))


def _read_records(spec: FileSpec, key: MacKey | None) -> Operation[tuple[bytes, ...]]:
    """Read the records of a cyclic file, newest first."""
    found: list[bytes] = []
    for number in range(1, spec.records + 1):
        command = read_record(spec.sfi, number)
        try:
            if spec.maced_reads and key is not None:
                found.append((yield from read_maced(command, key)))
            else:
                found.append((yield from exchange(command)).data)
        except RecordNotFound:
            break
    return tuple(found)


def plain(value: Any) -> Values:
    """Return a record as plain values: bytes as hex, dates in ISO form.

    >>> from card.layouts import LOG_RECORD
    >>> plain(LOG_RECORD.vectors[0][1])["psam_no"]
    '001122334455'
    """
    return {
        field.name: _plain_value(getattr(value, field.name)) for field in dataclasses.fields(value)
    }


def _plain_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    return int(value)
