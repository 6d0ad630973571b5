# SPDX-License-Identifier: Apache-2.0
"""BER-TLV: trees of a foreign decoder, faults with their place, bounds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emv.errors import EmvError, TlvError, TlvFault
from emv.tlv import (
    DATA_BYTES_MAX,
    DEPTH_MAX,
    OBJECTS_MAX,
    Tlv,
    build,
    encode,
    parse,
    parse_one,
)

VECTORS = Path(__file__).parents[2] / "vectors"
TREES = json.loads((VECTORS / "tlv_trees.json").read_text(encoding="utf-8"))["vectors"]
PARAMS = json.loads((VECTORS / "pboc_terminal_params.json").read_text(encoding="utf-8"))["vectors"]
TREE_LINE = re.compile(r"^( *)([0-9A-F]{2,6})(?: \| .*)? : \[(\d+)\]")

FAULTS = [
    ("9F", TlvFault.TAG_CUT, (), 0),
    ("9FFF", TlvFault.TAG_CUT, (), 0),
    ("9FFFFF0100", TlvFault.TAG_LONG, (), 0),
    ("9F8001", TlvFault.TAG_MALFORMED, (), 0),
    ("84010000", TlvFault.PADDING, (), 3),
    ("84", TlvFault.LENGTH_CUT, (0x84,), 1),
    ("8481", TlvFault.LENGTH_CUT, (0x84,), 1),
    ("8480", TlvFault.LENGTH_FORM, (0x84,), 1),
    ("8483000001AA", TlvFault.LENGTH_FORM, (0x84,), 1),
    ("9F0206010203", TlvFault.VALUE_CUT, (0x9F02,), 0),
    ("6F05A5039F0C02", TlvFault.VALUE_CUT, (0x6F, 0xA5, 0x9F0C), 4),
    ("6F0384050102030405", TlvFault.VALUE_CUT, (0x6F, 0x84), 2),
]


def _outline(objects: tuple[Tlv, ...]) -> list[tuple[int, str, int]]:
    return [
        (depth, f"{item.tag:02X}", len(item.value))
        for top in objects
        for depth, item in top.walk()
    ]


@pytest.mark.parametrize("vector", TREES, ids=lambda vector: vector["name"])
def test_tree_equals_the_one_of_a_foreign_decoder(vector: dict[str, str]) -> None:
    """Depth, tag and length of every object are those emv-decode prints."""
    expected = [
        (len(match[1]) // 2, match[2], int(match[3]))
        for line in vector["decoded"].splitlines()
        if (match := TREE_LINE.match(line))
    ]

    assert expected == _outline(parse(bytes.fromhex(vector["data"])))


@pytest.mark.parametrize("vector", TREES, ids=lambda vector: vector["name"])
def test_encoding_gives_the_bytes_back(vector: dict[str, str]) -> None:
    """A parsed tree re-encodes to the very bytes it came from."""
    data = bytes.fromhex(vector["data"])

    assert data == encode(parse(data))


@pytest.mark.parametrize("vector", PARAMS, ids=lambda vector: vector["name"])
def test_terminal_parameters_keep_their_order(vector: dict[str, object]) -> None:
    """Flat parameter lists keep every object in its place."""
    objects = parse(bytes.fromhex(str(vector["data"])))
    found = [[f"{item.tag:02X}", item.value.hex().upper()] for item in objects]

    assert vector["expected"] == found


@pytest.mark.parametrize(("data", "fault", "path", "offset"), FAULTS, ids=lambda v: str(v)[:24])
def test_fault_is_named_with_its_place(
    data: str, fault: TlvFault, path: tuple[int, ...], offset: int
) -> None:
    """Broken bytes give the kind of fault, the templates around it and the offset."""
    with pytest.raises(TlvError) as caught:
        parse(bytes.fromhex(data))

    assert (fault, path, offset) == (caught.value.fault, caught.value.path, caught.value.offset)


def test_duplicates_survive() -> None:
    """Two application templates of one directory record are both kept."""
    directory = parse_one(bytes.fromhex("700C 6104 4F02A001 6104 4F02A002"))

    names = [item.children[0].value for item in directory.find_all(0x61)]

    assert names == [b"\xa0\x01", b"\xa0\x02"]


def test_nesting_is_bounded() -> None:
    """Templates nested beyond the limit are refused, not recursed into."""
    data = b""
    for _ in range(DEPTH_MAX + 2):
        data = build(0x61, data).raw

    with pytest.raises(TlvError) as caught:
        parse(data)

    assert TlvFault.TOO_DEEP is caught.value.fault


def test_number_of_objects_is_bounded() -> None:
    """A flood of empty objects is refused."""
    with pytest.raises(TlvError) as caught:
        parse(b"\x84\x00" * (OBJECTS_MAX + 1))

    assert TlvFault.TOO_MANY is caught.value.fault


def test_size_is_bounded() -> None:
    """More bytes than the longest response APDU are refused unread."""
    with pytest.raises(TlvError) as caught:
        parse(bytes(DATA_BYTES_MAX + 1))

    assert TlvFault.TOO_BIG is caught.value.fault


def test_a_value_too_long_to_code_is_refused() -> None:
    """Building beyond two length bytes is an error, not a wrap."""
    with pytest.raises(TlvError):
        build(0x84, bytes(65_536))


def test_one_object_means_one() -> None:
    """parse_one refuses an empty buffer and a second object."""
    for data in (b"", bytes.fromhex("8400 8400")):
        with pytest.raises(EmvError):
            parse_one(data)


def test_find_stops_at_the_first_missing_tag() -> None:
    """A path that leaves the tree gives None."""
    fci = build(0x6F, [build(0x84, b"x")])

    assert fci.find(0xA5, 0x9F0C) is None
    assert fci.constructed


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_parse_or_fail_with_a_place(data: bytes) -> None:
    """Random bytes either re-encode to themselves or raise a TlvError inside the data."""
    try:
        outcome: bytes | int = encode(parse(data))
    except TlvError as error:
        outcome = error.offset

    assert outcome == data or (isinstance(outcome, int) and 0 <= outcome <= len(data))


_LEAF = st.builds(build, st.sampled_from([0x84, 0x9F0C, 0x50, 0xDF20]), st.binary(max_size=140))
_TREE = st.recursive(
    _LEAF,
    lambda inner: st.builds(
        build, st.sampled_from([0x6F, 0xA5, 0xBF0C]), st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_TREE, max_size=3))
def test_built_trees_parse_to_themselves(objects: list[Tlv]) -> None:
    """What build makes, parse finds again, shape and bytes."""
    parsed = parse(encode(objects))

    assert _outline(tuple(objects)) == _outline(parsed)
