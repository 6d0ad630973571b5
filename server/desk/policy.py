# SPDX-License-Identifier: Apache-2.0
"""Rules of the desk: kinds of jobs, their states, and the count of a box. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

ISSUE, REPLACE, READ, REFRESH, BLOCK, UNBLOCK, PIN_CHANGE, PIN_UNBLOCK = KINDS = (
    "issue", "replace", "read", "refresh", "block", "unblock", "pin-change", "pin-unblock",
)  # fmt: skip
# They take a blank and make a card of it.
MAKING = (ISSUE, REPLACE)
# They are about a card that is known beforehand.
OF_A_CARD = (REFRESH, BLOCK, UNBLOCK, PIN_CHANGE, PIN_UNBLOCK)

PLANNED, RUNNING, STOPPED, DONE, CANCELLED = STATES = (
    "planned", "running", "stopped", "done", "cancelled",
)  # fmt: skip
# A card may be laid down for them: a stopped one goes on where it was.
OPEN = (PLANNED, RUNNING, STOPPED)

WAITING, ISSUED, LEFT_OUT = LINE_STATES = ("waiting", "issued", "left-out")
RECEIVED, USED, SPOILT, COUNTED = STOCK_KINDS = ("received", "issued", "spoilt", "counted")

# A card lies on a reader for seconds; a session that stands longer is dead.
SESSION_MS = 120_000
# A personalisation takes 112 commands; beyond this it is a loop.
COMMANDS_MAX = 1_000
# Status word and the longest answer of a short APDU.
ANSWER_BYTES = range(2, 259)
ANSWERS_MAX = 64
CHIP_BYTES_MAX = 32
REASON_LENGTH_MAX = 200
BOX_MAX = 2_000
VALID_YEARS = 5  # of an own card, when its order does not say


@dataclass(frozen=True, slots=True)
class Stock:
    """The blanks of a box: received, made into cards, thrown away, and counted at the end."""

    received: int
    issued: int
    spoilt: int
    counted: int | None = None

    @property
    def left(self) -> int:
        """Return how many must be left in the box."""
        return self.received - self.issued - self.spoilt

    @property
    def difference(self) -> int:
        """Return counted less what must be left; 0 before somebody has counted.

        >>> Stock(100, 95, 2, 2).difference
        -1
        """
        return 0 if self.counted is None else self.counted - self.left


def stock(movements: Iterable[tuple[str, int]]) -> Stock:
    """Add up the movements of a box, oldest first; the latest count stands.

    >>> stock([("received", 10), ("issued", 1), ("spoilt", 1), ("received", 5)]).left
    13
    """
    sums = dict.fromkeys(STOCK_KINDS, 0)
    counted: int | None = None
    for what, count in movements:
        if what == COUNTED:
            counted = count
        else:
            sums[what] += count
            counted = None  # what moved after a count makes it old
    return Stock(sums[RECEIVED], sums[USED], sums[SPOILT], counted)


def may_lay(state: str) -> bool:
    """Say whether a card may be laid down for a job in this state."""
    return state in OPEN
