# SPDX-License-Identifier: Apache-2.0
"""Signed notices of the server: hotlist and configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from swipe.errors import BadSignature, FieldError, SwipeError, TooMany, WrongLength, WrongMagic
from swipe.notices import (
    CONFIG_CONTEXT,
    CONFIG_MAGIC,
    HOTLIST_CONTEXT,
    HOTLIST_MAGIC,
    MAX_CONFIG_SIZE,
    MAX_HOTLIST,
    Config,
    Hotlist,
)
from tests.factories import TERMINAL_ID, make_identity

SERVER = make_identity("server")
SERIALS = tuple((7 * i).to_bytes(8) for i in range(20))
HOTLIST = Hotlist(version=3, built_ms=1_795_222_800_000, serials=SERIALS, key_id=1)
CONFIG = Config(
    version=4,
    json=b'{"version":4}',
    terminal_id=TERMINAL_ID,
    built_ms=1_795_222_800_000,
    key_id=1,
)
NOTICES = [HOTLIST, CONFIG]


@pytest.mark.parametrize("notice", NOTICES, ids=lambda notice: type(notice).__name__)
def test_a_notice_comes_back(notice: Any) -> None:
    """What the server signed is what the terminal reads."""
    assert type(notice).from_bytes(notice.to_bytes(SERVER), SERVER.public_key) == notice


def test_an_empty_hotlist_is_a_hotlist() -> None:
    """No lost card is a statement too, and is signed like any other."""
    empty = Hotlist(1, 0, ())

    assert Hotlist.from_bytes(empty.to_bytes(SERVER), SERVER.public_key) == empty


def test_membership() -> None:
    """A card is on the list exactly if its serial is."""
    assert all(serial in HOTLIST for serial in SERIALS)
    assert not any((7 * i + 1).to_bytes(8) in HOTLIST for i in range(-1, 25) if i >= 0)
    assert bytes(8) not in Hotlist(1, 0, ())


@pytest.mark.parametrize("notice", NOTICES, ids=lambda notice: type(notice).__name__)
def test_any_flip_is_refused(notice: Any) -> None:
    """One flipped bit anywhere, and the notice is not the server's."""
    raw = notice.to_bytes(SERVER)

    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 0x04]) + raw[at + 1 :]
        with pytest.raises((BadSignature, WrongMagic)):
            type(notice).from_bytes(changed, SERVER.public_key)


@pytest.mark.parametrize("notice", NOTICES, ids=lambda notice: type(notice).__name__)
def test_any_cut_is_refused(notice: Any) -> None:
    """A notice cut anywhere is refused, never half read."""
    raw = notice.to_bytes(SERVER)

    for end in range(len(raw)):
        with pytest.raises((BadSignature, SwipeError)):
            type(notice).from_bytes(raw[:end], SERVER.public_key)


def test_a_notice_of_the_other_kind_is_refused() -> None:
    """A configuration is no hotlist."""
    with pytest.raises(WrongMagic, match="YIKAHOT1"):
        Hotlist.from_bytes(CONFIG.to_bytes(SERVER), SERVER.public_key)


def _signed(body: bytes, context: bytes) -> bytes:
    return body + SERVER.sign(context, body)


@pytest.mark.parametrize(
    ("read", "body", "context", "error"),
    [
        (Hotlist.from_bytes, HOTLIST_MAGIC, HOTLIST_CONTEXT, WrongLength),
        (Hotlist.from_bytes, HOTLIST_MAGIC + bytes(19) + b"\1", HOTLIST_CONTEXT, WrongLength),
        (Hotlist.from_bytes, HOTLIST_MAGIC + bytes(16) + b"\xff" * 4, HOTLIST_CONTEXT, TooMany),
        (
            Hotlist.from_bytes,
            HOTLIST_MAGIC + bytes(19) + b"\2" + b"\1" * 8 + bytes(8),
            HOTLIST_CONTEXT,
            FieldError,
        ),
        (Config.from_bytes, CONFIG_MAGIC, CONFIG_CONTEXT, WrongLength),
        (Config.from_bytes, CONFIG_MAGIC + bytes(27) + b"\1", CONFIG_CONTEXT, WrongLength),
        (Config.from_bytes, CONFIG_MAGIC + bytes(24) + b"\xff" * 4, CONFIG_CONTEXT, TooMany),
    ],
)
def test_signed_nonsense_is_refused(
    read: Callable[[bytes, bytes], object], body: bytes, context: bytes, error: type[SwipeError]
) -> None:
    """A valid signature does not make up for lengths, limits or order."""
    with pytest.raises(error):
        read(_signed(body, context), SERVER.public_key)


def test_limits_hold_before_signing() -> None:
    """Nothing beyond the limits or out of order is signed."""
    with pytest.raises(TooMany):
        Hotlist(1, 0, SERIALS[:1] * (MAX_HOTLIST + 1)).to_bytes(SERVER)
    with pytest.raises(TooMany):
        Config(1, bytes(MAX_CONFIG_SIZE + 1)).to_bytes(SERVER)
    with pytest.raises(FieldError, match="not sorted"):
        Hotlist(1, 0, SERIALS[::-1]).to_bytes(SERVER)
    with pytest.raises(FieldError, match="8 bytes"):
        Hotlist(1, 0, (b"short",)).to_bytes(SERVER)
