# SPDX-License-Identifier: Apache-2.0
"""What every command handler is given: the durable image, the session and randomness."""

from __future__ import annotations

from collections.abc import Callable

from hardware_mocks.cardos import sw
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.messaging import BLOCKED_FOR_GOOD
from hardware_mocks.cardos.session import Session
from hardware_mocks.cardos.state import CardImage
from hardware_mocks.cardos.store import Memory


class Kernel:
    """One power-on of one card.

    A handler checks everything before it changes anything, then calls `commit` once: so a
    refused command leaves no trace (except error counters, which are committed by themselves).
    """

    def __init__(self, memory: Memory[CardImage], random: Callable[[int], bytes]) -> None:
        self.memory = memory
        self.random = random
        self.session = Session(memory.image)

    @property
    def image(self) -> CardImage:
        """The durable state."""
        return self.memory.image

    def commit(self) -> None:
        """Make the changes outlive the power."""
        self.memory.commit()

    def require_unblocked(self) -> None:
        """Refuse with 6A81 in a blocked application, with 9303 in one blocked for good."""
        block = self.session.df.block
        if block == BLOCKED_FOR_GOOD:
            raise Refused(sw.BLOCKED_FOR_GOOD)
        if block:
            raise Refused(sw.UNSUPPORTED)
