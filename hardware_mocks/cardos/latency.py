# SPDX-License-Identifier: Apache-2.0
"""How long a card takes: four ways to it, and a clock that counts instead of sleeping.

The time of a byte follows from the standards: ISO/IEC 7816-3 at 3.571 MHz (12 elementary time
units under T=0, 11 under T=1), ISO/IEC 14443-3 (9 bits). What the chip itself takes for a
command, for a cipher and for a page of EEPROM are round figures of the FM1208 class; they are
not tried on metal.

>>> PROFILES["contactless-106"].duration_us(bytes(5), bytes(58), writes=0) < 10_000
True
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

# Commands that run a cipher; every command under secure messaging does too.
CRYPTOGRAPHIC = frozenset((0x24, 0x50, 0x52, 0x54, 0x58, 0x5E, 0x70, 0x72, 0x82, 0x88, 0xD4))
SECURE = 0x04

COMMAND_US = 800
CRYPTO_US = 2_500
WRITE_US = 5_000


@dataclass(frozen=True, slots=True)
class Latency:
    """One way to a card; all times in microseconds.

    Attributes:
        name: What the profile is called.
        byte_us: One byte on the line or in the air.
        frame_bytes: What a frame adds in each direction: procedure byte, prologue, checksums.
        command_us: What the card takes to understand a command.
        crypto_us: What a command that runs a cipher takes more.
        write_us: What one non-volatile write takes more.
    """

    name: str
    byte_us: float
    frame_bytes: int
    command_us: int = COMMAND_US
    crypto_us: int = CRYPTO_US
    write_us: int = WRITE_US

    def duration_us(self, command: bytes, answer: bytes, *, writes: int) -> int:
        """Return how long one exchange takes."""
        bytes_moved = len(command) + len(answer) + 2 * self.frame_bytes
        return round(
            self.byte_us * bytes_moved
            + self.command_us
            + self.crypto_us * runs_cipher(command)
            + self.write_us * writes
        )


def runs_cipher(command: bytes) -> bool:
    """Whether a command makes the card encrypt.

    >>> runs_cipher(bytes.fromhex("0088000108")), runs_cipher(bytes.fromhex("00B0950000"))
    (True, False)
    """
    if len(command) < 2:
        return False
    return command[1] in CRYPTOGRAPHIC or command[0] & 0x0F == SECURE


PROFILES = {
    profile.name: profile
    for profile in (
        Latency("contact-t0", 12 * 372 / 3.571, 1),
        Latency("contact-t1", 11 * 31 / 3.571, 4),
        Latency("contactless-106", 9 * 128 / 13.56, 3),
        Latency("contactless-424", 9 * 32 / 13.56, 3),
    )
}

Spend = Callable[[int], None]


class Stopwatch:
    """A clock that a card moves on instead of making anybody wait."""

    def __init__(self) -> None:
        self.elapsed_us = 0

    def __call__(self, spent_us: int) -> None:
        """Count."""
        self.elapsed_us += spent_us


def really_wait(spent_us: int) -> None:
    """Make the caller wait; for a card behind a real reader driver, when asked for."""
    time.sleep(spent_us / 1_000_000)
