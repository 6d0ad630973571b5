# SPDX-License-Identifier: Apache-2.0
"""The keypad: single bytes on a line."""

from __future__ import annotations

import os

import pytest

from hardware_mocks.keypad import CANCEL, CONFIRM, Keypad


def test_keys_arrive_one_by_one_unchanged() -> None:
    """Digits, ✓ and ✗ reach the terminal as the bytes they are, at once and unechoed."""
    with Keypad().running() as keypad:
        device = os.open(keypad.device, os.O_RDONLY | os.O_NOCTTY)
        for key in ("4", CONFIRM, CANCEL, "9"):
            keypad.press(key)
        read = b"".join(os.read(device, 1) for _ in range(4))
        os.close(device)

    assert read == b"4\r\x1b9"


@pytest.mark.parametrize("key", ["a", "", "12", "\n"])
def test_keypad_has_twelve_keys(key: str) -> None:
    """Anything that is not on the keypad is refused."""
    with Keypad().running() as keypad, pytest.raises(ValueError, match="has no key"):
        keypad.press(key)
