# SPDX-License-Identifier: Apache-2.0
"""The receipt printer: a slip with the event on it, and everything that can be wrong with paper."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hardware_mocks.printer import ReceiptPrinter
from swipe.slip import read_slip
from terminal.devices.printer import QUEUE_MAX, ProcessPrinter
from terminal.devices.protocols import DeviceState, Slip
from tests.factories import make_event

PATIENCE_S = 20.0
EVENT = make_event()
SLIP = Slip(("义卡 YIKA", "签到 IN 09:02", "阿依·古丽 㛃"), EVENT.to_bytes())


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ReceiptPrinter, ProcessPrinter]]:
    """A printer on a line and its driver, for all tests: a process takes a second to start."""
    mock = ReceiptPrinter(tmp_path_factory.mktemp("printer") / "printer")
    with mock.running():
        driver = ProcessPrinter(f"tty:{mock.device}", 9600, 32)
        yield mock, driver
        driver.close()


@pytest.fixture
def mock(pair: tuple[ReceiptPrinter, ProcessPrinter]) -> ReceiptPrinter:
    """The printer with paper, its cover closed, its tray empty."""
    mock = pair[0]
    mock.paper_low = mock.mute = mock.garbled = False
    mock.refill()
    mock.parser.slips.clear()
    return mock


@pytest.fixture
def printer(mock: ReceiptPrinter, pair: tuple[ReceiptPrinter, ProcessPrinter]) -> ProcessPrinter:
    """The driver, which has found its printer."""
    assert mock is pair[0]
    assert reaches(pair[1], DeviceState.OK)
    return pair[1]


def reaches(printer: ProcessPrinter, state: DeviceState) -> bool:
    """Wait until the driver tells a state."""
    return until(lambda: printer.state is state)


def until(wish: Callable[[], bool]) -> bool:
    """Wait for a wish; return whether it came true."""
    limit = time.monotonic() + PATIENCE_S
    while not wish():
        if time.monotonic() > limit:
            return False
        time.sleep(0.01)
    return True


def test_the_slip_carries_the_event(mock: ReceiptPrinter, printer: ProcessPrinter) -> None:
    """Text in GB18030, and a code that gives back the 224 bytes."""
    assert printer.print(SLIP)
    assert mock.wait(1)
    (paper,) = mock.slips

    assert paper.lines[:3] == list(SLIP.lines)
    assert [read_slip(code) for code in paper.codes] == [EVENT]
    assert mock.parser.unknown == 0


def test_a_slip_without_event_has_no_code(mock: ReceiptPrinter, printer: ProcessPrinter) -> None:
    """Totals and notices are text alone; wide lines are wrapped at the paper's width."""
    assert printer.print(Slip(("总计 " + "x" * 40,)))
    assert mock.wait(1)

    assert mock.slips[0].codes == []
    assert mock.slips[0].lines[:2] == ["总计 " + "x" * 27, "x" * 13]


@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        ("paper_out", DeviceState.PAPER_OUT),
        ("cover_open", DeviceState.COVER_OPEN),
        ("mute", DeviceState.OFFLINE),
        ("garbled", DeviceState.GARBAGE),
    ],
)
def test_trouble_is_told_and_nothing_is_printed(
    mock: ReceiptPrinter, printer: ProcessPrinter, trouble: str, state: DeviceState
) -> None:
    """Paper out, cover open, a hanging printer and nonsense have names; a slip is turned down."""
    setattr(mock, trouble, True)
    assert reaches(printer, state)
    assert not printer.print(SLIP)

    setattr(mock, trouble, False)
    mock.refill()
    assert reaches(printer, DeviceState.OK)
    assert printer.print(SLIP)
    assert mock.wait(1)


def test_low_paper_still_prints(mock: ReceiptPrinter, printer: ProcessPrinter) -> None:
    """The end of the roll is announced before it comes."""
    mock.paper_low = True
    assert reaches(printer, DeviceState.PAPER_LOW)
    assert printer.print(SLIP)
    assert mock.wait(1)


def test_the_queue_has_a_limit(mock: ReceiptPrinter, printer: ProcessPrinter) -> None:
    """While the printer hangs, only so many slips wait; what comes then is turned down."""
    mock.mute = True
    taken = sum(printer.print(SLIP) for _ in range(QUEUE_MAX + 5))

    assert taken <= QUEUE_MAX
    assert printer.state in (DeviceState.BUSY, DeviceState.OFFLINE)
    mock.mute = False
    assert mock.wait(taken)


def test_slips_that_wait_are_printed_in_order(
    mock: ReceiptPrinter, printer: ProcessPrinter
) -> None:
    """What was taken comes out, once, in the order it came."""
    wanted = [f"number {number}" for number in range(4)]
    assert all(printer.print(Slip((text,))) for text in wanted)
    assert mock.wait(4)

    assert [paper.lines[0] for paper in mock.slips] == wanted


def test_a_process_that_ends_is_started_again(tmp_path: Path) -> None:
    """A printing process that dies is a fault for some seconds and then there again."""
    clock = [0.0]
    dies = (sys.executable, "-c", "print('ok')")
    printer = ProcessPrinter("tty:/none", 9600, 32, now=lambda: clock[0], command=dies)
    assert reaches(printer, DeviceState.FAULT)
    assert not printer.print(SLIP)

    clock[0] = 60.0
    assert until(lambda: printer.state is not DeviceState.FAULT)
    printer.close()


def test_a_process_that_cannot_be_started_is_a_fault(tmp_path: Path) -> None:
    """Without its program the printer is a fault, and the terminal goes on."""
    printer = ProcessPrinter("tty:/none", 9600, 32, command=(str(tmp_path / "none"),))

    assert printer.state is DeviceState.FAULT
    assert not printer.print(SLIP)
    printer.close()


def test_a_slip_that_is_no_slip_is_turned_down(printer: ProcessPrinter) -> None:
    """A text longer than a pipe takes at once is no receipt."""
    assert not printer.print(Slip(("x" * 10_000,)))
