# SPDX-License-Identifier: Apache-2.0
"""Kinds of files and the fields of their records, as data.

A field is written `name:WIDTHkind`, such as `order_no:12n`, with `?` behind it when it may be
empty. Kinds: `n` digits, zeros in front; `a` letters, digits and `-_./`; `h` lower-case hex; `d` a
date YYYYMMDD; `t` text. `a`, `h` and `t` stand left, blanks behind. Widths count bytes.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

WIDTH_MAX = 400  # an address has 160
FIELDS_MAX = 40
# Header and trailer are as long as every other record; the longer of the two has this many bytes.
RECORD_MIN = 112
TYPE_WIDTH, NUMBER_WIDTH = 1, 8  # what stands before the fields of a detail record
_FIELD = re.compile(r"([a-z][a-z0-9_]{0,31}):([1-9][0-9]{0,2})([nahdt])(\??)", re.ASCII)


class Kind(enum.StrEnum):
    """What a file is about."""

    ORDER = "ORD"
    ANSWER = "ANS"
    RESULT = "RES"
    AUDIT = "AUD"
    ARRIVAL = "ARR"
    COLLECTION = "COL"
    CUT = "CUT"
    LOSS = "LOS"
    DONATION = "DON"
    TRANSACTIONS = "TXN"
    BRANCHES = "BRA"


INCOMING = tuple(kind for kind in Kind if kind is not Kind.ORDER)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record: name, width in bytes, kind (n a h d t), may it be empty."""

    name: str
    width: int
    kind: str
    optional: bool = False

    @classmethod
    def parse(cls, text: str) -> Field:
        """Read a field's short form; raise `ValueError` saying what is wrong.

        >>> Field.parse("asn:20n?")
        Field(name='asn', width=20, kind='n', optional=True)
        """
        found = _FIELD.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not name:WIDTHkind, such as order_no:12n")
        field = cls(found[1], int(found[2]), found[3], bool(found[4]))
        if field.width > WIDTH_MAX or (field.kind == "d" and field.width != 8):
            raise ValueError(f"{text!r}: a date has 8 bytes, other fields 1 to {WIDTH_MAX}")
        return field

    def __str__(self) -> str:
        return f"{self.name}:{self.width}{self.kind}{'?' if self.optional else ''}"


@dataclass(frozen=True)
class Layout:
    """The detail record of a kind: fields one after the other behind type and running number."""

    kind: Kind
    fields: tuple[Field, ...]

    @property
    def width(self) -> int:
        """Give the bytes of every record of the file, without the line end."""
        own = TYPE_WIDTH + NUMBER_WIDTH + sum(field.width for field in self.fields)
        return max(RECORD_MIN, own)

    @property
    def names(self) -> tuple[str, ...]:
        """Name the fields in order."""
        return tuple(field.name for field in self.fields)

    def place(self, name: str) -> tuple[int, Field]:
        """Give a field and where it starts in the record."""
        at = TYPE_WIDTH + NUMBER_WIDTH
        for field in self.fields:
            if field.name == name:
                return at, field
            at += field.width
        raise KeyError(name)


_TEXTS: dict[Kind, str] = {
    Kind.ORDER: "order_no:12n number:10n carrier:1a branch:12a reason:8a photo_ref:40a "
    "photo_sha256:64h name:60t document_kind:20a? document_no:24a? birth:8d? sex:1a? mobile:20t? "
    "address:160t?",
    Kind.ANSWER: "level:1a ref:10n status:4a code:3a? field:32a? expected:40t? found:40t? "
    "accepted:10n rejected:10n",
    Kind.RESULT: "batch:8n order_no:12n outcome:2a reason:4a? asn:20n? date:8d",
    Kind.AUDIT: "batch:8n order_no:12n outcome:2a reason:4a? date:8d",
    Kind.ARRIVAL: "batch:8n order_no:12n branch:12a date:8d",
    Kind.COLLECTION: "batch:8n order_no:12n asn:20n? id_checked:1a date:8d",
    Kind.CUT: "batch:8n order_no:12n reason:4a? date:8d",
    Kind.LOSS: "order_no:12n event:4a channel:4a branch:12a? date:8d time:6n",
    Kind.DONATION: "month:6n number:10n purchases:8n refunds:8n amount_fen:12n",
    Kind.TRANSACTIONS: "month:6n number:10n purchases:8n amount_fen:14n points:10n?",
    Kind.BRANCHES: "branch:12a name:80t address:160t? from:8d until:8d?",
}
LAYOUTS: dict[Kind, Layout] = {
    kind: Layout(kind, tuple(Field.parse(part) for part in text.split()))
    for kind, text in _TEXTS.items()
}
# What the control totals of the trailer add up; a kind without such a field has zeros there.
CONTROL_KEY: dict[Kind, str] = {
    Kind.ORDER: "order_no",
    Kind.RESULT: "order_no",
    Kind.AUDIT: "order_no",
    Kind.ARRIVAL: "order_no",
    Kind.COLLECTION: "order_no",
    Kind.CUT: "order_no",
    Kind.LOSS: "order_no",
    Kind.DONATION: "number",
    Kind.TRANSACTIONS: "number",
    Kind.ANSWER: "ref",
}
CONTROL_AMOUNT: dict[Kind, str] = {
    Kind.DONATION: "amount_fen",
    Kind.TRANSACTIONS: "amount_fen",
}
# Values that a field may have; everything else is R04.
CHOICES: dict[str, tuple[bytes, ...]] = {
    "carrier": (b"D", b"C"),
    "outcome": (b"OK", b"RJ"),
    "id_checked": (b"Y", b"N"),
    "level": (b"F", b"B", b"R"),
    "status": (b"ACCP", b"PART", b"RJCT", b"QUAR"),
    "event": (b"LOST", b"DMGD", b"REIS"),
    "channel": (b"HOTL", b"BRCH"),
}
# Fields of an order that a partner always gets: without them no card can be made.
ORDER_CORE = ("order_no", "number", "carrier", "branch", "reason", "photo_ref", "photo_sha256",
              "name")  # fmt: skip
# Fields that must be unique in one file: the record is about this.
SUBJECT: dict[Kind, tuple[str, ...]] = {
    **{kind: ("order_no",) for kind in CONTROL_KEY if CONTROL_KEY[kind] == "order_no"},
    Kind.DONATION: ("month", "number"),
    Kind.TRANSACTIONS: ("month", "number"),
    Kind.BRANCHES: ("branch",),
}


def changed(kind: Kind, parts: list[str]) -> Layout:
    """Make a partner's own layout of a kind; raise `ValueError` saying what is wrong.

    Every field must be known; what is not optional must be there, and no field may be narrower
    than a number that fits it needs. An order's optional fields are the partner's white list.
    """
    fields = tuple(Field.parse(part) for part in parts)
    known = {field.name: field for field in LAYOUTS[kind].fields}
    names = [field.name for field in fields]
    if len(fields) > FIELDS_MAX:
        raise ValueError(f"{kind}: more than {FIELDS_MAX} fields")
    for field in fields:
        usual = known.get(field.name)
        if usual is None:
            raise ValueError(f"{kind}: unknown field {field.name}; known: {', '.join(known)}")
        if names.count(field.name) > 1:
            raise ValueError(f"{kind}: {field.name} twice")
        if field.kind != usual.kind:
            raise ValueError(f"{kind}: {field.name} is of kind {usual.kind}, not {field.kind}")
        if field.kind in "nh" and field.width < usual.width:
            raise ValueError(f"{kind}: {field.name} needs {usual.width} bytes, not {field.width}")
        if field.optional and not usual.optional:
            raise ValueError(f"{kind}: {field.name} is never empty")
    missing = [name for name, field in known.items() if not field.optional and name not in names]
    if missing:
        raise ValueError(f"{kind}: missing {', '.join(missing)}")
    return Layout(kind, fields)
