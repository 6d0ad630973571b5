# SPDX-License-Identifier: Apache-2.0
"""Display and keypad on serial lines, and a PSAM that comes and goes."""

from __future__ import annotations

import os
import pty
import time
import tty
from pathlib import Path

import pytest

from card.errors import CardError, CardRemoved, NoCard, NoReader, WrongCard
from card.readers import CardConnection
from hardware_mocks.cardos.psam import VirtualPsam
from hardware_mocks.keypad import Keypad
from hardware_mocks.lcd import Lcd
from keys.psam import PurchaseRequest
from keys.store import FileKeyStore
from terminal import screen
from terminal.config_sections import DisplaySection
from terminal.devices.opening import open_display
from terminal.display import NoDisplay, SerialDisplay
from terminal.errors import ConfigError
from terminal.keypad import Key, NoKeypad, SerialKeypad, open_keypad
from terminal.policy import Mode, Say
from terminal.psam_slot import PsamSlot, open_psam
from terminal.screen import Note, Standing
from tests.integration.terminal.bench import HARD_NUMBER, connect, psam_chip
from tests.integration.terminal.devices import HandConnection

REQUEST = PurchaseRequest(bytes(4), 0, 0, 9, bytes(4), bytes(3), 1, 0, bytes(8))


def test_screens_arrive_at_the_display() -> None:
    """What the terminal shows is what the display reads: words, light and tone."""
    lcd = Lcd()
    with lcd.running():
        display = open_display(DisplaySection(f"tty:{lcd.device}"))
        display.show(screen.message(Say.IN, Note(clock="09:02", name="林**", place="导览")))
        frame = lcd.wait("IN", lambda frame: frame.tone == "i", after=0, timeout_s=5)
        display.close()

    assert frame.text.splitlines()[:2] == ["签到 IN        09:02", "林**"]
    assert (frame.lamp, lcd.damaged) == ("g", 0)


def test_same_idle_screen_is_sent_once() -> None:
    """A line that shows the right thing is left in peace; a tone is sounded each time."""
    lcd = Lcd()
    idle = screen.idle(Standing("09:02", Mode.AUTO, "莲花山"))
    again = screen.message(Say.AGAIN, Note())
    with lcd.running():
        display = open_display(DisplaySection(f"tty:{lcd.device}"))
        for shown in (idle, idle, idle, again, again):
            display.show(shown)
        lcd.wait("the second tone", lambda frame: frame.number == 3, after=0, timeout_s=5)
        display.close()

    assert [frame.tone for frame in lcd.frames] == ["n", "a", "a"]


def test_missing_display_holds_up_nothing(tmp_path: Path) -> None:
    """Without its device a display is silent, and works as soon as it is there."""
    display = SerialDisplay(f"tty:{tmp_path}/none")
    display.show(screen.reading())
    display.close()

    assert isinstance(open_display(DisplaySection()), NoDisplay)


def test_stuck_display_holds_up_nothing() -> None:
    """A line that takes no more bytes loses screens, never time."""
    near, far = pty.openpty()
    tty.setraw(far)
    display = SerialDisplay(f"tty:{os.ttyname(far)}")
    start = time.monotonic()
    for number in range(500):
        display.show(screen.message(Say.IN, Note(clock=f"{number}")))
    display.close()
    os.close(near)
    os.close(far)

    assert time.monotonic() - start < 2


def test_keys_arrive_at_the_terminal() -> None:
    """Each key is one byte; what is no key is noise."""
    keypad = Keypad()
    with keypad.running():
        keys = open_keypad(f"tty:{keypad.device}")
        keys.pressed()
        for key in "31\r9":
            keypad.press(key)
        found: list[Key] = []
        deadline = time.monotonic() + 5
        while len(found) < 4 and time.monotonic() < deadline:
            found += keys.pressed()
        keys.close()

    assert found == [Key.OUT, Key.IN, Key.CONFIRM, Key.SETTLE]


def test_missing_keypad_has_no_keys(tmp_path: Path) -> None:
    """Without its device nobody presses anything."""
    keys = SerialKeypad(f"tty:{tmp_path}/none")

    assert keys.pressed() == []
    assert open_keypad("none").pressed() == []
    assert isinstance(open_keypad("none"), NoKeypad)


def test_unplugged_keypad_comes_back() -> None:
    """A line that hung up is opened again at the next look."""
    first = Keypad()
    with first.running():
        keys = SerialKeypad(f"tty:{first.device}")
        assert keys.pressed() == []

    assert keys.pressed() == []
    keys.close()


class Socket:
    """A PSAM socket whose chip a test exchanges."""

    name = "pcsc:Socket"

    def __init__(self, chip: VirtualPsam | None) -> None:
        self.chip = chip
        self.connections = 0

    def wait_card(self, timeout_s: float) -> bool:
        """Say whether a chip is there."""
        return self.chip is not None

    def wait_removed(self, timeout_s: float) -> bool:
        """Say whether it is empty."""
        return self.chip is None

    def connect(self) -> CardConnection:
        """Power the chip."""
        if self.chip is None:
            raise NoCard
        self.connections += 1
        return HandConnection(connect(self.chip))

    def close(self) -> None:
        """Nothing to let go of."""


@pytest.fixture
def socket(store: FileKeyStore) -> Socket:
    """A socket with an issued PSAM."""
    return Socket(psam_chip(store))


def slot_of(socket: Socket, number: bytes = bytes(6)) -> PsamSlot:
    """Return the terminal's view of a socket."""
    return PsamSlot(socket, number)


def test_psam_is_found_and_named(socket: Socket) -> None:
    """The number comes from the PSAM itself, and one connection serves all purchases."""
    slot = slot_of(socket)

    assert slot.adopt() == HARD_NUMBER
    assert [slot.init_purchase(REQUEST).psam_seq for _ in range(3)] == [1, 2, 3]
    assert socket.connections == 1


def test_lost_connection_is_made_again(socket: Socket) -> None:
    """After the reader was away the purchase is begun anew; one number at most is used up."""
    slot = slot_of(socket)
    slot.adopt()
    assert socket.chip is not None
    socket.chip.power_off()

    assert slot.init_purchase(REQUEST).psam_seq == 1
    assert socket.connections == 2


def test_empty_socket_is_an_error_each_time(socket: Socket) -> None:
    """Without its PSAM the terminal knows the number and cannot tap."""
    chip, socket.chip = socket.chip, None
    slot = slot_of(socket, HARD_NUMBER)
    with pytest.raises(NoCard):
        slot.adopt()
    with pytest.raises(NoCard):
        slot.init_purchase(REQUEST)

    assert slot.number == HARD_NUMBER
    socket.chip = chip
    assert slot.init_purchase(REQUEST).psam_seq == 1


def test_other_psam_is_not_used_behind_the_journals_back(socket: Socket) -> None:
    """A PSAM exchanged while the program runs is refused until the next start."""
    slot = slot_of(socket, bytes.fromhex("880000000009"))

    with pytest.raises(WrongCard):
        slot.init_purchase(REQUEST)
    assert slot.adopt() == HARD_NUMBER


def test_mac2_is_checked_where_the_purchase_began(socket: Socket) -> None:
    """A connection lost between the two commands cannot check anything."""
    slot = slot_of(socket)
    slot.init_purchase(REQUEST)
    assert socket.chip is not None
    socket.chip.power_off()

    with pytest.raises(CardRemoved):
        slot.credit_purchase(bytes(4))


def test_psam_names_are_checked(tmp_path: Path) -> None:
    """A software PSAM that is not there, or a name that is no reader's, is named."""
    with pytest.raises(ConfigError, match="No such file"):
        open_psam(f"soft:{tmp_path}/none", "x")
    with pytest.raises((NoReader, CardError)):
        open_psam("usb:1", "")
