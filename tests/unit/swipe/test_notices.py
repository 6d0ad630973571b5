# SPDX-License-Identifier: Apache-2.0
"""Signed configuration of the server."""

from __future__ import annotations

import pytest

from swipe.errors import BadSignature, SwipeError, TooMany, WrongLength, WrongMagic
from swipe.notices import CONFIG_CONTEXT, CONFIG_MAGIC, MAX_CONFIG_SIZE, Config
from tests.factories import TERMINAL_ID, make_identity

SERVER = make_identity("server")
CONFIG = Config(
    version=4,
    json=b'{"version":4}',
    terminal_id=TERMINAL_ID,
    built_ms=1_795_222_800_000,
    key_id=1,
)


def read(raw: bytes) -> Config:
    """Read a configuration as a terminal does."""
    return Config.from_bytes(raw, SERVER.public_key)


def test_a_notice_comes_back() -> None:
    """What the server signed is what the terminal reads."""
    assert read(CONFIG.to_bytes(SERVER)) == CONFIG


def test_any_flip_is_refused() -> None:
    """One flipped bit anywhere, and the notice is not the server's."""
    raw = CONFIG.to_bytes(SERVER)

    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 0x04]) + raw[at + 1 :]
        with pytest.raises((BadSignature, WrongMagic)):
            read(changed)


def test_any_cut_is_refused() -> None:
    """A notice cut anywhere is refused, never half read."""
    raw = CONFIG.to_bytes(SERVER)

    for end in range(len(raw)):
        with pytest.raises((BadSignature, SwipeError)):
            read(raw[:end])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (CONFIG_MAGIC, WrongLength),
        (CONFIG_MAGIC + bytes(27) + b"\1", WrongLength),
        (CONFIG_MAGIC + bytes(24) + b"\xff" * 4, TooMany),
    ],
)
def test_signed_nonsense_is_refused(body: bytes, error: type[SwipeError]) -> None:
    """A valid signature does not make up for lengths or limits."""
    with pytest.raises(error):
        read(body + SERVER.sign(CONFIG_CONTEXT, body))


def test_limits_hold_before_signing() -> None:
    """Nothing beyond the limit is signed."""
    with pytest.raises(TooMany):
        Config(1, bytes(MAX_CONFIG_SIZE + 1)).to_bytes(SERVER)
