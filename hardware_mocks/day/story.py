# SPDX-License-Identifier: Apache-2.0
"""What happens, in order: the steps of the day and what must come of them."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from hardware_mocks.day.document import DocumentError, Row, instant_ms


class Answer(enum.Enum):
    """What the terminal must answer to a card: the page's words, the tone, words on the display."""

    IN = ("in", "i", ("签到 IN",))
    OUT = ("out", "o", ("签退 OUT",))
    ALREADY = ("already", "d", ("ALREADY",))
    AGAIN = ("again", "a", ("AGAIN",))
    GUARDIAN = ("guardian", "i", ("监护 GUARDIAN",))
    ALONE_IN = ("alone in", "i", ("GUARDIAN NEEDED", "签到 IN"))
    LOST_IN = ("lost in", "x", ("CARD REPORTED LOST", "签到 IN"))
    LOST_OUT = ("lost out", "x", ("CARD REPORTED LOST", "签退 OUT"))

    def __init__(self, said: str, tone: str, words: tuple[str, ...]) -> None:
        self.said = said
        self.tone = tone
        self.words = words


@dataclass(frozen=True, slots=True)
class Tap:
    """A person presents a card; keys may be pressed before and after."""

    who: str
    shows: Answer
    keys_before: str = ""
    keys_after: str = ""
    pulled_off: bool = False


class Deed(enum.Enum):
    """What else happens; the values are the page's words."""

    START = "start"
    START_FAST = "start, clock +2 h"
    CUT = "cut"
    MEND = "mend"
    MEND_SPOILT = "mend, spoil one bit"
    KILL = "kill"
    SEND_AGAIN = "send again"
    REPORT_LOST = "report lost"
    SETTLE = "settle"


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the day: a tap, or a deed that concerns a terminal or a person."""

    utc_ms: int
    post: str
    what: Tap | Deed
    who: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one person's day must come to."""

    who: str
    taps: int
    intervals: tuple[str, ...]
    minutes: int
    grades: tuple[str, ...]
    rules: frozenset[int]
    queue: tuple[int, ...]
    why: str


POSTS = {"A": ("A",), "B": ("B",), "both": ("A", "B"), "": ("",)}
_ANSWERS = {answer.said: answer for answer in Answer}
_DEEDS = {deed.value: deed for deed in Deed}


def read_steps(rows: list[Row]) -> tuple[Step, ...]:
    """Read the table of the day.

    Raises:
        DocumentError: an unknown word, or a time that runs back.
    """
    steps = tuple(step for row in rows for step in _steps(row))
    for earlier, later in itertools.pairwise(steps):
        if later.utc_ms < earlier.utc_ms:
            raise DocumentError(f"the day runs back at {later}")
    return steps


def moments(steps: tuple[Step, ...]) -> Iterator[tuple[int, tuple[Step, ...]]]:
    """Group what happens at the same second: taps at two terminals go side by side."""
    for utc_ms, group in itertools.groupby(steps, lambda step: step.utc_ms):
        yield utc_ms, tuple(group)


def read_outcomes(rows: list[Row]) -> tuple[Outcome, ...]:
    """Read the table of the outcome."""
    return tuple(
        Outcome(
            who=row["who"],
            taps=int(row["taps"]),
            intervals=_list(row["intervals"], ";"),
            minutes=int(row["minutes"]),
            grades=_list(row["grade"], ","),
            rules=frozenset(int(rule) for rule in _list(row["rules"], ",")),
            queue=tuple(int(rule) for rule in _list(row["queue"], ",")),
            why=row["why"],
        )
        for row in rows
    )


def _steps(row: Row) -> Iterator[Step]:
    utc_ms, does = instant_ms(row["time"]), row["does"]
    for post in POSTS[row["at"]]:
        if does in _DEEDS:
            yield Step(utc_ms, post, _DEEDS[does], row["who"])
        else:
            yield Step(utc_ms, post, _tap(row["who"], does, row["shows"]), row["who"])


def _tap(who: str, does: str, shows: str) -> Tap:
    before, after, tapped, pulled = "", "", False, False
    for word in does.split(", "):
        if word == "tap":
            tapped = True
        elif word == "pulled off":
            pulled = True
        elif word.startswith("key ") and not tapped:
            before += word.removeprefix("key ")
        elif word.startswith("key "):
            after += word.removeprefix("key ")
        else:
            raise DocumentError(f"nobody knows how to {word!r}")
    if not tapped:
        raise DocumentError(f"nobody knows how to {does!r}")
    return Tap(who, _ANSWERS[shows], before, after, pulled)


def _list(cell: str, separator: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(separator) if part.strip())
