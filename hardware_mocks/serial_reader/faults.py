# SPDX-License-Identifier: Apache-2.0
"""What a bad line, a bad reader or a bad card can do, and how often it still will."""

from __future__ import annotations

import enum
import threading


class Fault(enum.Enum):
    """One way to misbehave, struck at the next occasion."""

    BAD_LRC = "the answer goes out with a wrong check byte"
    LOST_BYTE = "the answer goes out with its fifth byte missing"
    LOST_ANSWER = "the answer does not go out at all"
    LOST_COMMAND = "the command is taken as never received"
    NAK = "the command is taken as received distorted"
    BAD_ECHO = "the echo goes out with a wrong check byte"
    NOISE = "line noise goes out before the answer"
    LATE = "time is asked for before the answer"
    MUTE = "the card does not answer"
    BAD_ATR = "the card answers to reset with a wrong check byte"
    BAD_BLOCK = "a T=1 block of the card is distorted"
    LOST_BLOCK = "a T=1 block does not reach the card"
    WAITING_TIME = "the T=1 card asks for more waiting time first"
    RENUMBERED = "the T=1 card has lost count of its blocks"


class Faults:
    """Faults that are due; safe to set from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[Fault, int] = {}

    def plan(self, fault: Fault, times: int = 1) -> None:
        """Let a fault strike so many times."""
        with self._lock:
            self._due[fault] = times

    def strikes(self, fault: Fault) -> bool:
        """Whether it strikes now; counts it."""
        with self._lock:
            left = self._due.get(fault, 0)
            if left:
                self._due[fault] = left - 1
            return left > 0

    def left(self, fault: Fault) -> int:
        """Return how often it will still strike."""
        with self._lock:
            return self._due.get(fault, 0)
