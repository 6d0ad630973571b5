# SPDX-License-Identifier: Apache-2.0
"""What differs between two dumps, field by field."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from card.codec import Field
from card.decode import shown
from card.dump import CardDump
from card.errors import LayoutError
from card.files import VOLUNTEER, FileKind, FileSpec
from card.status_words import Text

_WHOLE = Text("内容", "content")
_BEHIND = Text("其后内容", "what follows")
_RECORDS = Text("记录", "records")
_BALANCE = Text("余额", "balance")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs.

    Attributes:
        fid: File identifier.
        file: Label of the file.
        field: Label of the field.
        before: Its value in the first dump, for people; "-" if it is not there.
        after: Its value in the second.
    """

    fid: int
    file: Text
    field: Text
    before: str = dataclasses.field(repr=False)
    after: str = dataclasses.field(repr=False)

    def __str__(self) -> str:
        name = f"{self.file.zh}·{self.field.zh} / {self.file.en}: {self.field.en}"
        return f"{self.fid:04X} {name}: {self.before} → {self.after}"


def diff(before: CardDump, after: CardDump) -> list[Difference]:
    """Return what differs, in the order of the files on the card.

    Protected files count only where both dumps have them.
    """
    found: list[Difference] = []
    both = before.protected and after.protected
    for spec in VOLUNTEER.files:
        if spec.kind is FileKind.PURSE:
            if before.balance != after.balance:
                values = str(before.balance), str(after.balance)
                found.append(Difference(spec.fid, spec.label, _BALANCE, *values))
        elif spec.kind is FileKind.CYCLIC:
            found += _records(spec, before.records, after.records, both)
        elif both or (spec.fid in before.contents and spec.fid in after.contents):
            found += _contents(spec, before.contents.get(spec.fid), after.contents.get(spec.fid))
    return found


def _records(
    spec: FileSpec,
    before: dict[int, tuple[bytes, ...]],
    after: dict[int, tuple[bytes, ...]],
    both: bool,
) -> Iterator[Difference]:
    if not both and not (spec.fid in before and spec.fid in after):
        return
    old, new = before.get(spec.fid, ()), after.get(spec.fid, ())
    if old == new:
        return
    fresh = len([record for record in new if record not in old])
    gone = len([record for record in old if record not in new])
    counts = f"{len(old)} (-{gone})", f"{len(new)} (+{fresh})"
    yield Difference(spec.fid, spec.label, _RECORDS, *counts)


def _contents(spec: FileSpec, before: bytes | None, after: bytes | None) -> Iterator[Difference]:
    if before == after:
        return
    if before is None or after is None or spec.layout is None:
        yield Difference(spec.fid, spec.label, _WHOLE, _short(before), _short(after))
        return
    fields = [item for item in spec.layout.fields if item.name is not None]
    size = spec.layout.size
    try:
        old, new = spec.layout.parse(before[:size]), spec.layout.parse(after[:size])
    except LayoutError:
        yield Difference(spec.fid, spec.label, _WHOLE, _short(before), _short(after))
        return
    yield from _fields(spec, fields, old, new)
    if before[size:] != after[size:]:
        behind = _short(before[size:]), _short(after[size:])
        yield Difference(spec.fid, spec.label, _BEHIND, *behind)
    elif old == new:
        yield Difference(spec.fid, spec.label, _WHOLE, _short(before), _short(after))


def _fields(spec: FileSpec, fields: list[Field], old: object, new: object) -> Iterator[Difference]:
    for item in fields:
        name = item.name or ""
        values = shown(getattr(old, name)), shown(getattr(new, name))
        if values[0] != values[1]:
            yield Difference(spec.fid, spec.label, item.label, *values)


def _short(content: bytes | None) -> str:
    """Return bytes for people: all of a few, only the count of many."""
    if content is None:
        return "-"
    return content.hex().upper() if len(content) <= 32 else f"{len(content)} bytes"
