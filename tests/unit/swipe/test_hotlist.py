# SPDX-License-Identifier: Apache-2.0
"""The hotlist: exact for every serial, signed as a set, changed by deltas, strict about bytes."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swipe import hotlist
from swipe.errors import BadSignature, FieldError, SwipeError, TooMany, WrongLength, WrongMagic
from swipe.hotlist import (
    MAX_FOREIGN,
    MAX_RUNS,
    NUMBER_MAX,
    OWN_PREFIX,
    STATEMENT,
    WAY,
    CardSet,
    HotlistBitmap,
)
from tests.factories import make_identity

SERVER = make_identity("server")
HEAD = STATEMENT.size + 64


def own(number: int) -> bytes:
    """Return the serial of a card of this scheme."""
    return OWN_PREFIX + bytes.fromhex(f"{number:016d}")


FOREIGN = bytes.fromhex("31415926535897932384")
HEXED = bytes.fromhex("5949000000000000001f")
numbers = st.integers(0, 400) | st.integers(0, NUMBER_MAX)
serials = st.lists(
    numbers.map(own) | st.binary(min_size=10, max_size=10) | st.sampled_from([FOREIGN, HEXED]),
    max_size=40,
)


def made(version: int, listed: Sequence[bytes]) -> HotlistBitmap:
    """Return a signed hotlist."""
    return HotlistBitmap(version, 1000 + version, CardSet.of(listed), 99, 1).signed(SERVER)


def read(data: bytes, held: HotlistBitmap | None = None) -> HotlistBitmap:
    """Read a notice as a terminal does."""
    return HotlistBitmap.from_bytes(data, SERVER.public_key, held)


@given(serials, serials)
def test_a_set_is_exact(listed: list[bytes], others: list[bytes]) -> None:
    """A serial is in the set exactly if it was put there; the set comes back from its bytes."""
    found = read(made(3, listed).to_bytes())

    assert all(serial in found for serial in listed)
    assert [serial in found for serial in others] == [serial in listed for serial in others]
    assert len(found.cards) == len(set(listed))
    assert found == made(3, listed)


@given(serials, serials)
def test_a_delta_leads_to_the_same_list(before: list[bytes], after: list[bytes]) -> None:
    """What differs from the held version brings the very list that the whole notice brings."""
    old, new = made(3, before), made(5, after)
    found = read(new.since(old), old)

    assert found == new
    assert found.to_bytes() == new.to_bytes()


def test_runs_of_cards_are_short() -> None:
    """A whole box of cards that was stolen costs a few bytes, not eight for each."""
    box = CardSet.of(own(number) for number in range(500_000, 501_000))

    assert len(box) == 1000
    assert len(box.to_bytes()) == 5


def test_a_delta_is_short() -> None:
    """One more lost card in a list of thousands is a statement and a few bytes."""
    drawn = random.Random(1).sample(range(2_000_000), 20_000)
    old = made(1, [own(number) for number in drawn])
    new = made(2, [own(number) for number in [*drawn, 2_000_001]])

    assert len(old.to_bytes()) > 30_000
    assert len(new.since(old)) == HEAD + WAY.size + 4


def test_an_empty_list_is_a_list() -> None:
    """No lost card is a statement too, and is signed like any other."""
    assert read(made(1, []).to_bytes()) == made(1, [])
    assert own(1) not in made(1, [])


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_any_flip_is_refused(place: int, bit: int) -> None:
    """One flipped bit anywhere, in the statement or in the way to the list, and it is refused."""
    raw = bytearray(made(2, [own(5), own(6), own(900), FOREIGN]).to_bytes())
    raw[place % len(raw)] ^= 1 << bit

    with pytest.raises((SwipeError, BadSignature)):
        read(bytes(raw))


def test_any_cut_is_refused() -> None:
    """A notice cut anywhere is refused, never half read."""
    raw = made(2, [own(5), own(900), FOREIGN]).to_bytes()

    for end in range(len(raw)):
        with pytest.raises((SwipeError, BadSignature)):
            read(raw[:end])


def test_a_delta_for_another_version_is_refused() -> None:
    """A change of a version that is not held is of no use, and is named."""
    one, two, three = made(1, []), made(2, [own(1)]), made(3, [own(2)])

    with pytest.raises(FieldError, match="version 2"):
        read(three.since(two), one)
    with pytest.raises(FieldError, match="version 2"):
        read(three.since(two))


def test_the_way_of_another_list_is_refused() -> None:
    """A true statement with the cards of another list does not come to the signed digest."""
    two, three = made(2, [own(1)]), made(3, [own(2)])
    mixed = three.to_bytes()[:HEAD] + two.to_bytes()[HEAD:]

    with pytest.raises(FieldError, match="signed"):
        read(mixed)


def way(body: bytes, tail: bytes = b"", **counts: int) -> bytes:
    """Return what follows a true statement about the empty list."""
    runs, foreign = counts.get("runs", len(body)), counts.get("foreign", len(tail) // 10)
    return made(1, []).to_bytes()[:HEAD] + WAY.pack(0, runs, foreign) + body + tail


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", WrongMagic),
        (b"YIKAHOT1" + bytes(200), WrongMagic),
        (made(1, []).to_bytes()[:-1], WrongLength),
        (way(b"\x05"), FieldError),  # an edge without its partner
        (way(b"\x85\x80\x00\x01"), FieldError),  # a length with a byte too many
        (way(b"\x85"), FieldError),  # a length without its end
        (way(b"\x05\x00"), FieldError),  # a run of nothing
        (way(b"\xff" * 9 + b"\x01\x01"), FieldError),
        (way(b"\xff" * 7 + b"\x7f\x01"), FieldError),  # beyond the last number
        (way((b"\xff" * 7 + b"\x7f") * 600), FieldError),
        (way(b"\x01" * (2 * MAX_RUNS + 2)), TooMany),
        (way(b"", runs=2**32 - 1), TooMany),
        (way(b"", foreign=MAX_FOREIGN + 1), TooMany),
        (way(b"", FOREIGN + FOREIGN), FieldError),
        (way(b"", own(1)), FieldError),
        (way(b"", FOREIGN, foreign=2), WrongLength),
        (way(b"\x05\x01"), FieldError),
    ],
)
def test_nonsense_is_named(data: bytes, error: type[SwipeError]) -> None:
    """A true statement does not make up for lengths, limits or order of what follows."""
    with pytest.raises(error):
        read(data)


@given(st.binary(max_size=300), st.binary(max_size=60))
def test_garbage_is_refused(garbage: bytes, after: bytes) -> None:
    """Random bytes, and random bytes behind a true statement, end in a named error."""
    for data in (garbage, b"YIKAHOT2" + garbage, made(1, []).to_bytes()[:HEAD] + after):
        with pytest.raises((SwipeError, BadSignature)):
            read(data)


def test_limits_hold_before_signing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing beyond the limits is signed, and nothing unsigned is sent."""
    monkeypatch.setattr(hotlist, "MAX_RUNS", 3)
    monkeypatch.setattr(hotlist, "MAX_FOREIGN", 1)
    with pytest.raises(TooMany):
        made(1, [own(number) for number in (1, 3, 5, 7)])
    with pytest.raises(TooMany):
        made(1, [FOREIGN, HEXED])
    with pytest.raises(FieldError, match="not signed"):
        HotlistBitmap(1, 0).to_bytes()


def test_a_serial_has_ten_bytes() -> None:
    """Anything else is no serial and is not looked up."""
    with pytest.raises(FieldError, match="10 bytes"):
        b"\x59\x49" in CardSet()  # noqa: B015 - the question itself is refused
