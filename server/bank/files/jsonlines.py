# SPDX-License-Identifier: Apache-2.0
"""The JSON-lines profile: each line becomes the bytes of the same record in the fixed profile.

So both profiles are checked by the same code. A line is one object whose members are strings;
a number field may be a JSON integer. `null` and a missing member of an optional field are empty.
"""

from __future__ import annotations

import json
from typing import Any

from server.bank.files.checking import CHARSET
from server.bank.files.layout import NUMBER_WIDTH, Field, Layout
from server.bank.files.reasons import FileRefused, Finding, shown

LINE_MAX = 8_192  # bytes; the widest record of the family has some 500
_INTEGER_DIGITS_MAX = 40  # json reads longer ones, but nothing here has as many


def line_object(line: bytes, number: int) -> dict[str, Any]:
    """Read one line; raise `FileRefused` (F17 no object, F24 not UTF-8)."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileRefused(Finding("F24", number, "", "utf-8", shown(line))) from error
    try:
        found = json.loads(text, object_pairs_hook=_members, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise FileRefused(Finding("F17", number, "", "JSON object", shown(text))) from error
    if not isinstance(found, dict):
        raise FileRefused(Finding("F17", number, "", "JSON object", shown(text)))
    return found


def cell(value: object, field: Field) -> tuple[bytes, tuple[str, str] | None]:
    r"""Write one value as a cell; give reason code and what was expected when it does not fit.

    >>> cell(7, Field("count", 3, "n")), cell("王", Field("name", 4, "t"))
    ((b'007', None), (b'\xcd\xf5  ', None))
    >>> cell("1234", Field("count", 3, "n"))
    (b'123', ('R03', '3 bytes'))
    """
    if value is None:
        return b" " * field.width, None
    if isinstance(value, int) and not isinstance(value, bool) and field.kind == "n":
        value = str(value)
    if not isinstance(value, str):
        return b"?" * field.width, ("R01", "string")
    try:
        raw = value.encode(CHARSET)
    except UnicodeEncodeError:
        return b"?" * field.width, ("R01", "characters of Unicode")
    if field.kind == "n":
        raw = raw.rjust(field.width, b"0") if raw else raw.ljust(field.width)
    raw = raw.ljust(field.width)
    if len(raw) > field.width:
        return raw[: field.width], ("R03", f"{field.width} bytes")
    return raw, None


def detail(found: dict[str, Any], number: int, layout: Layout) -> tuple[bytes, list[Finding]]:
    """Write a detail object as a record of the layout; give what does not fit.

    `number` is its line. The running number is checked here.

    Raises:
        FileRefused: F18, it is no detail, or its running number is not the next.
    """
    if found.get("type") != "D":
        raise FileRefused(Finding("F18", number, "type", "D", shown(found.get("type"))))
    count = number - 1
    if found.get("no") not in (count, f"{count:0{NUMBER_WIDTH}d}"):
        raise FileRefused(Finding("F18", number, "no", str(count), shown(found.get("no"))))
    findings: list[Finding] = []
    parts = [b"D", f"{count:0{NUMBER_WIDTH}d}".encode()]
    for field in layout.fields:
        value = found.get(field.name)
        raw, fault = cell(value, field)
        parts.append(raw)
        if fault is not None:
            findings.append(Finding(fault[0], number, field.name, fault[1], shown(value)))
    for name in found.keys() - {"type", "no", *layout.names}:
        findings.append(Finding("R01", number, "", "a field of this kind", shown(name)))
    return b"".join(parts).ljust(layout.width), findings[:1]


def frame_values(found: dict[str, Any], fields: tuple[Field, ...], number: int) -> dict[str, str]:
    """Give the fields of a header or trailer as texts; raise `FileRefused` (F25)."""
    values = {}
    for field in fields:
        value = found.get(field.name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or len(value) > field.width:
            raise FileRefused(Finding("F25", number, field.name, str(field), shown(value)))
        values[field.name] = value
    return values


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members


def _integer(text: str) -> int:
    if len(text) > _INTEGER_DIGITS_MAX:
        raise ValueError("a number too long")
    return int(text)
