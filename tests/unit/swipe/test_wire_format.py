# SPDX-License-Identifier: Apache-2.0
"""docs/spec/wire-format.md, the code and the example bytes say the same."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

import pytest

from keys.usage import DPK_INDEX_PSAM, DPK_INDEX_SOFT
from swipe import batch, event, frames, hotlist, kinds, notices, payloads, receipt
from swipe.findings import REMARKS, FindingKind
from swipe.layout import Layout
from terminal.policy import Mode
from tests import vectors

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "spec" / "wire-format.md").read_text(encoding="utf-8")
DATA = vectors.content("wire_format")


def _table(name: str) -> list[list[str]]:
    """Read the rows of the table after a mark, without its head."""
    body = TEXT.split(f"<!-- table:{name} -->\n", 1)[1]
    lines = []
    for line in body.splitlines():
        if not line.startswith("|"):
            break
        lines.append([cell.strip() for cell in line.strip("|").split("|")])
    return lines[2:]


def _blocks() -> list[tuple[str, str, str]]:
    """Read all hex blocks: kind, name, hex digits."""
    found = re.findall(r"```hex (\S+) (\S+)\n(.*?)```", TEXT, re.DOTALL)
    return [(kind, name, re.sub(r"\s", "", digits).lower()) for kind, name, digits in found]


def _plain(text: str) -> str:
    return text.strip("`")


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("event", event.EVENT_LAYOUT),
        ("batch", batch.BATCH_LAYOUT),
        ("receipt", receipt.RECEIPT_LAYOUT),
        ("file", frames.FILE_LAYOUT),
    ],
)
def test_offsets_lengths_and_names(name: str, layout: Layout) -> None:
    """Each record's table has the fields of the code, at their offsets, signed where marked."""
    rows = [(int(off), int(size), _plain(field)) for off, size, field, _ in _table(name)]
    signed = {_plain(row[2]) for row in _table(name) if row[3].startswith("**i**")}

    assert rows == [(layout.span(field.name)[0], field.size, field.name) for field in layout.fields]
    assert signed == {field.name for field in layout.fields if field.code in ("b", "i")}


def test_payload_tables() -> None:
    """Every field of every payload stands in the table, at its offset; what is left is zero."""
    rows = [
        (kind, int(off), int(size), _plain(field))
        for kind, off, size, field, _ in _table("payloads")
    ]

    assert rows == [
        (kind.name, layout.span(field.name)[0], field.size, field.name)
        for kind, layout in payloads.PAYLOADS.items()
        for field in layout.fields
        if field.name != "reserved"
    ]


@pytest.mark.parametrize(
    ("name", "head", "magic"),
    [
        ("hotlist", hotlist.STATEMENT.size + 64 + hotlist.WAY.size, hotlist.HOTLIST_MAGIC),
        ("config", notices.CONFIG_HEAD.size, notices.CONFIG_MAGIC),
    ],
)
def test_notice_tables(name: str, head: int, magic: bytes) -> None:
    """The heads of the notices are as long as their tables, and their magics are named."""
    rows = _table(name)
    fixed, open_ended = rows[:-1], rows[-1]

    assert [int(row[0]) for row in rows] == [
        sum(int(other[1]) for other in fixed[:i]) for i in range(len(rows))
    ]
    assert int(open_ended[0]) == head
    assert magic.decode() in rows[0][3]


def test_types() -> None:
    """Codes, names and what stands in 96 to 127 of every type."""
    rows = {(int(code, 16), _plain(name), part) for code, name, part, _ in _table("types")}

    assert rows == {
        (int(kind), kind.name, "answer" if kind in kinds.PROVEN_TYPES else "payload")
        for kind in kinds.EventType
    }


def test_flags() -> None:
    """Every flag and its bit; the rest is reserved."""
    rows = {(int(bit, 16), _plain(name)) for bit, name, _ in _table("flags")}

    assert rows == {(int(flag), flag.name) for flag in kinds.Flag}
    assert 0xFFFF & ~sum(kinds.Flag) == kinds.FLAGS_RESERVED


def test_codes() -> None:
    """Every other list of codes has the numbers and names of the code."""
    lists: dict[str, type[IntEnum]] = {
        "card_kind": kinds.CardKind,
        "cg_type": kinds.CgType,
        "result": kinds.Result,
        "REJECTED reason": kinds.RejectReason,
        "OPEN mode": Mode,
        "BOOT cause": kinds.BootCause,
        "BOOT journal_state": kinds.JournalState,
        "TIME_SET source": kinds.TimeSource,
        "CONFIG kind": kinds.ConfigKind,
        "OUTAGE kind": kinds.OutageKind,
        "TAMPER kind": kinds.TamperKind,
        "batch kind": kinds.BatchKind,
        "batch flags": kinds.BatchFlag,  # type: ignore[dict-item]
        "receipt status": kinds.ReceiptStatus,
    }
    rows = {
        field.replace("`", ""): {
            (int(number, 0), name)
            for number, name in (code.split(" ", 1) for code in codes.split(" · "))
        }
        for field, codes in _table("codes")
    }

    assert rows == {
        field: {(int(code), code.name) for code in codes} for field, codes in lists.items()
    }


def test_contexts() -> None:
    """Every signature and hash prefix stands in the table, and no other."""
    rows = {_plain(name).replace("\\0", "\0").encode() for name, _ in _table("contexts")}

    assert rows == {
        event.SWIPE_CONTEXT,
        event.CORE_CONTEXT,
        event.CHAIN_CONTEXT,
        batch.BATCH_CONTEXT,
        receipt.RECEIPT_CONTEXT,
        hotlist.HOTLIST_CONTEXT,
        notices.CONFIG_CONTEXT,
    }


def test_frame_kinds_and_limits() -> None:
    """Frame kinds, magic and limits are those of the code."""
    rows = {(int(kind), _plain(name)) for kind, name, _ in _table("frames")}

    assert rows == {(int(kind), kind.name) for kind in frames.FrameKind}
    assert frames.MAGIC.hex().upper() in TEXT
    assert batch.MAX_BATCH_EVENTS == 1000
    assert f"{hotlist.MAX_RUNS:,}".replace(",", " ") in TEXT
    assert f"{hotlist.MAX_FOREIGN:,}".replace(",", " ") in TEXT
    assert f"{notices.MAX_CONFIG_SIZE:,}".replace(",", " ") in TEXT
    assert receipt.GAP_LENGTH_MAX == 65535
    assert (DPK_INDEX_PSAM, DPK_INDEX_SOFT) == (0x01, 0x82)


def test_verdicts() -> None:
    """Every family the verifier can name is explained, remarks as remarks."""
    rows = {(_plain(name), text.startswith("remark")) for name, text in _table("verdicts")}

    assert rows == {(kind.value, kind in REMARKS) for kind in FindingKind}


def test_meanings_cover_the_fields_that_vary() -> None:
    """Every field stands in the table of meanings or in the list of those that never vary."""
    listed = {_plain(row[0]) for row in _table("meanings")}
    constant = set(
        re.findall(r"`(\w+)`", TEXT.split("These stand in every event")[1].split("\n\n")[0])
    )

    assert listed | constant == set(event.EVENT_LAYOUT.names)
    assert not listed & constant


COLUMNS = [
    "tap",
    "torn tap",
    "TORN_RESOLVED",
    "REJECTED",
    "TORN",
    "VOID_LAST",
    "RECOVERED",
    "system",
]
EXAMPLES = {
    "in": "tap",
    "out-hotlisted": "tap",
    "out-torn": "torn tap",
    "resolved": "TORN_RESOLVED",
    "duplicate": "REJECTED",
    "torn-damaged": "TORN",
    "open": "system",
    "anchor": "system",
    "close": "system",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_obey_the_table_of_meanings(name: str) -> None:
    """A field that must be zero (or a fixed number) in a type is so in the example of it."""
    fields = next(item["fields"] for item in DATA["events"] if item["name"] == name)
    column = 1 + COLUMNS.index(EXAMPLES[name])

    for row in _table("meanings"):
        value = fields[_plain(row[0])]
        number = int(value, 16) if isinstance(value, str) else value
        none = event.NO_POSITION if row[0] in ("`lat`", "`lon`") else 0
        if row[column].isdigit():
            assert number == (none if row[column] == "0" else int(row[column])), row[0]


def test_every_hex_block_is_a_vector() -> None:
    """Each block in the document has the bytes of the vector it names."""
    named = {("event", item["name"]): item["hex"] for item in DATA["events"]}
    for part in ("h8", "content_hash", "event_hash"):
        named |= {(part, item["name"]): item[part] for item in DATA["events"]}
    for kind in ("receipt", "frame", "notice", "wrong_event"):
        named |= {(kind, item["name"]): item["hex"] for item in DATA[f"{kind}s"]}
    blocks = _blocks()

    assert len(blocks) >= 10
    for kind, name, digits in blocks:
        assert digits == named[kind, name], f"{kind} {name}"
