# SPDX-License-Identifier: Apache-2.0
"""The power-on self-test (开机自检): each part looked at once, shown, and recorded in one event.

A part that fails stops nobody: a reader may be plugged in later, a card may be tapped without
printer and display, a clock is told by the server. Only the journal must take data, and it has, or
the station would not have opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from card.errors import CardError
from card.readers import Reader
from keys.errors import KeysError
from keys.psam import Psam
from swipe.kinds import EventType, OutageKind
from terminal.desk import Desk
from terminal.devices.protocols import DeviceState, Printer
from terminal.display import Display
from terminal.modes.screens import tuple4
from terminal.psam_slot import PsamSlot
from terminal.screen import Led, Screen, Tone

TESTED = {
    "journal": OutageKind.JOURNAL,
    "reader": OutageKind.READER,
    "psam": OutageKind.PSAM,
    "clock": OutageKind.CLOCK,
    "display": OutageKind.DISPLAY,
    "printer": OutageKind.PRINTER,
}
# A printer that is told to print nothing is well; one without paper is not.
_WELL = frozenset({DeviceState.OK, DeviceState.PAPER_LOW, DeviceState.BUSY})


@dataclass(frozen=True, slots=True)
class Result:
    """One part and whether it passed."""

    part: str
    passed: bool


@runtime_checkable
class TellsTaken(Protocol):
    """A display that knows whether it took the last screen."""

    @property
    def taken(self) -> bool:
        """Say whether the line took the last screen whole."""


def cannot_start(short: str) -> Screen:
    """Compose what stands on the display of a program that does not start, and whom to ask.

    >>> print(cannot_start("此终端已停用|TERMINAL RETIRED"))
    此终端已停用
    TERMINAL RETIRED
    请找管理员
    ASK THE OFFICE
    """
    zh, _, en = short.partition("|")
    return Screen(tuple4((zh, en, "请找管理员", "ASK THE OFFICE")), Led.RED, Tone.NONE)


def lift_first() -> Screen:
    """Compose what is said to a card that lay there before anybody looked.

    >>> print(lift_first())
    请先取走卡再刷
    LIFT CARD, TAP AGAIN
    <BLANKLINE>
    <BLANKLINE>
    """
    return Screen(tuple4(("请先取走卡再刷", "LIFT CARD, TAP AGAIN", "", "")), Led.AMBER, Tone.NONE)


def self_test(
    desk: Desk, reader: Reader, display: Display, printer: Printer, show: Callable[[Result], None]
) -> list[Result]:
    """Look at each part, show each result, and keep the event to be written with the next notes.

    A display or printer that is not fitted is not tested.
    """
    results = []
    for result in _looked_at(desk, reader, display, printer):
        show(result)
        results.append(result)
    _record(desk, results)
    return results


def _looked_at(desk: Desk, reader: Reader, display: Display, printer: Printer) -> Iterator[Result]:
    yield Result("journal", not desk.chain.journal.failed)
    yield Result("reader", _answers(reader))
    yield Result("psam", is_there(desk.psam))
    yield Result("clock", desk.chain.time.now().known)
    if isinstance(display, TellsTaken):  # it has been shown four results by now
        yield Result("display", display.taken)
    if printer.state is not DeviceState.NONE:
        yield Result("printer", printer.state in _WELL)


def bits(parts: list[str]) -> int:
    """Return the parts as the event has them: bit n for kind n.

    >>> bits(["psam", "reader"])
    10
    """
    return sum(1 << TESTED[part] for part in parts)


def _record(desk: Desk, results: list[Result]) -> None:
    now_s = desk.chain.time.now().utc_s
    desk.note_later(
        EventType.OUTAGE,
        kind=OutageKind.SELF_TEST,
        started=now_s,
        ended=now_s,
        tested=bits([result.part for result in results]),
        failed=bits([result.part for result in results if not result.passed]),
    )


def _answers(reader: Reader) -> bool:
    try:
        reader.wait_card(0)
    except CardError:
        return False
    return True


def is_there(psam: Psam) -> bool:
    """Say whether the PSAM answers; one whose number only the journal knows may be missing."""
    if not isinstance(psam, PsamSlot):
        return True
    try:
        psam.connect()
    except (CardError, KeysError):
        return False
    return True
