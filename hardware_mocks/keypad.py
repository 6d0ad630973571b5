# SPDX-License-Identifier: Apache-2.0
"""The far end of a serial keypad: a finger on the keys 0 to 9, ✓ and ✗."""

from __future__ import annotations

import contextlib
import os
import pty
import tty
from collections.abc import Iterator

CONFIRM = "\r"  # the green key ✓
CANCEL = "\x1b"  # the red key ✗
KEYS = frozenset("0123456789") | {CONFIRM, CANCEL}


class Keypad:
    """A pty whose far end is the terminal's keypad device; every key is one byte."""

    def __init__(self) -> None:
        self._near, self._far = pty.openpty()
        tty.setraw(self._far)  # keys arrive one by one, unechoed
        self.device = os.ttyname(self._far)

    @contextlib.contextmanager
    def running(self) -> Iterator[Keypad]:
        """Keep the line open until the block is left, also while no terminal is listening."""
        try:
            yield self
        finally:
            os.close(self._near)
            os.close(self._far)

    def press(self, key: str) -> None:
        """Press one key.

        Raises:
            ValueError: the keypad has no such key.
        """
        if key not in KEYS:
            raise ValueError(f"the keypad has no key {key!r}")
        os.write(self._near, key.encode("ascii"))
