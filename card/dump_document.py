# SPDX-License-Identifier: Apache-2.0
"""A card's dump as a document of plain values, and back.

The document is what YAML and JSON hold: schema and version, the card, and each file with its
fields by name. Bytes that no field accounts for appear as `raw`, so that nothing is lost.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing
from typing import Any

from card.codec import Layout
from card.dump import CardDump, plain
from card.errors import CardError, DumpRefused, LayoutError
from card.files import VOLUNTEER, VOLUNTEER_AID, FileKind, FileSpec
from card.profile import ASN_BYTES
from card.status_words import Text

SCHEMA = "yika-card-dump"
VERSION = 1
PURSE_FID = 0x0002
ATR_BYTES_MAX = 33  # ISO/IEC 7816-3 §8.2.1

Document = dict[str, Any]


def to_document(dump: CardDump) -> Document:
    """Return a dump as plain values."""
    files: Document = {}
    for spec in VOLUNTEER.files:
        if spec.fid in dump.contents:
            files[_name(spec)] = _content(spec, dump.contents[spec.fid])
        elif spec.fid in dump.records:
            rows = [_content(spec, record) for record in dump.records[spec.fid]]
            files[_name(spec)] = {"records": rows}
        elif spec.fid == PURSE_FID:
            files[_name(spec)] = {"balance": dump.balance}
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "card": {
            "application": VOLUNTEER_AID.hex().upper(),
            "asn": dump.asn.hex().upper(),
            "application_version": dump.application_version,
            "key_version": dump.key_version,
            "atr": dump.atr.hex().upper(),
        },
        "protected": dump.protected,
        "files": files,
    }


def from_document(document: Any) -> CardDump:
    """Return the dump a document stands for.

    Raises:
        DumpRefused: Another schema, another version of it, or not a dump at all; names the place.
    """
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise DumpRefused(Text("不是义工证转储", "not a dump of a volunteer card"))
    if document.get("version") != VERSION:
        found = document.get("version")
        raise DumpRefused(
            Text(f"格式版本 {found!r}，应为 {VERSION}", f"version {found!r}, not {VERSION}")
        )
    place = "card"
    contents: dict[int, bytes] = {}
    records: dict[int, tuple[bytes, ...]] = {}
    balance = 0
    try:
        card = document["card"]
        if card["application"] != VOLUNTEER_AID.hex().upper():
            raise DumpRefused(Text("是其他应用的卡", "the card of another application"))
        head = (_bytes(card["asn"], ASN_BYTES), _int(card["key_version"]))
        version, atr = _int(card["application_version"]), _bytes(card["atr"])
        for place, found in document["files"].items():
            spec = _spec(place)
            if spec.fid == PURSE_FID:
                balance = _int(found["balance"])
            elif spec.kind is FileKind.CYCLIC:
                records[spec.fid] = tuple(_coded(spec, row) for row in found["records"])
            else:
                contents[spec.fid] = _coded(spec, found)
        protected = document["protected"] is True
    except (KeyError, TypeError, ValueError, AttributeError, LayoutError) as exc:
        reason = exc.reason if isinstance(exc, LayoutError) else type(exc).__name__
        raise DumpRefused(Text(f"{place} 有误：{reason}", f"{place}: {reason}")) from exc
    if len(atr) > ATR_BYTES_MAX or not 0 <= balance < 1 << 32:
        raise DumpRefused(Text("数值越界", "a value is out of bounds"))
    return CardDump(*head, version, contents, records, balance, protected, atr)


def _name(spec: FileSpec) -> str:
    return f"{spec.fid:04X}"


def _spec(name: Any) -> FileSpec:
    """Return the file of a name like 0015.

    Raises:
        KeyError: There is none.
    """
    return VOLUNTEER.file(int(name, 16))


def _layout(spec: FileSpec) -> Layout[Any]:
    if spec.layout is None:
        raise LayoutError(_name(spec), "not a file with fields")
    return spec.layout


def _content(spec: FileSpec, content: bytes) -> Document:
    """Return fields and what is behind them; all of it as raw bytes if the fields lose any."""
    layout = _layout(spec)
    head, rest = content[: layout.size], content[layout.size :]
    try:
        record = layout.parse(head)
        exact = layout.build(record) == head
    except CardError:
        exact = False
    if not exact:
        return {"raw": content.hex().upper()}
    found: Document = {"values": plain(record)}
    if rest:
        found["rest"] = rest.hex().upper()
    return found


def _coded(spec: FileSpec, found: Any) -> bytes:
    """Return the bytes of a file or record.

    Raises:
        LayoutError, KeyError, TypeError, ValueError: It does not fit.
    """
    most = spec.record_bytes if spec.kind is FileKind.CYCLIC else spec.size
    if "raw" in found:
        content = _bytes(found["raw"])
    else:
        layout = _layout(spec)
        content = layout.build(_record(layout, found["values"])) + _bytes(found.get("rest", ""))
    if len(content) > most:
        raise LayoutError(_name(spec), f"{len(content)} bytes where {most} fit")
    return content


def _record(layout: Layout[Any], values: Any) -> Any:
    """Return the record of plain values; each must be of its field's kind."""
    hints = typing.get_type_hints(layout.record)
    names = [field.name for field in dataclasses.fields(layout.record)]
    if set(values) != set(names):
        odd = ", ".join(sorted(set(values) ^ set(names)))
        raise LayoutError(layout.title, f"fields: {odd}")
    return layout.record(**{name: _value(hints[name], values[name]) for name in names})


def _value(kind: Any, value: Any) -> Any:
    if kind is bytes:
        return _bytes(value)
    if kind is int:
        return _int(value)
    if kind is str:
        return _text(value)
    if value is None:
        return None
    return value if isinstance(value, dt.date) else dt.date.fromisoformat(_text(value))


def _bytes(value: Any, size: int | None = None) -> bytes:
    data = bytes.fromhex(_text(value))
    if size is not None and len(data) != size:
        raise ValueError("size")
    return data


def _int(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value
