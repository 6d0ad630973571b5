# SPDX-License-Identifier: Apache-2.0
"""Buzzer and lights: the structures that Linux takes, written into files of a test."""

from __future__ import annotations

import os
import pty
import select
import time
import tty
from collections.abc import Callable
from pathlib import Path

from terminal.devices.protocols import DeviceState
from terminal.devices.sounder import COLOURS, EV_SND, INPUT_EVENT, SND_TONE, LinuxSounder
from terminal.screen import Led, Tone

PATIENCE_S = 10.0


def until(wish: Callable[[], bool]) -> bool:
    """Wait for a wish; return whether it came true."""
    limit = time.monotonic() + PATIENCE_S
    while not wish():
        if time.monotonic() > limit:
            return False
        time.sleep(0.005)
    return True


def lamps(folder: Path) -> str:
    """Make three lamps; return their prefix."""
    for colour in COLOURS:
        (folder / f"yika:{colour}:status").mkdir()
        (folder / f"yika:{colour}:status" / "brightness").write_text("0\n")
    return str(folder / "yika")


def lit(folder: Path) -> str:
    """Return which lamps are on, by their first letters."""
    files = [(folder / f"yika:{colour}:status" / "brightness", colour) for colour in COLOURS]
    return "".join(colour[0] for file, colour in files if file.read_text() == "1\n")


def test_lights_follow_the_screen(tmp_path: Path) -> None:
    """White is all three, amber red and green; at the end it is dark."""
    sounder = LinuxSounder("none", lamps(tmp_path))
    for led, wanted in ((Led.WHITE, "rgb"), (Led.AMBER, "rg"), (Led.BLUE, "b"), (Led.RED, "r")):
        sounder.light(led)
        assert until(lambda wanted=wanted: lit(tmp_path) == wanted)
    sounder.light(Led.RED_BLINK)
    assert until(lambda: lit(tmp_path) == "")
    assert until(lambda: lit(tmp_path) == "r")
    assert sounder.state is DeviceState.OK
    sounder.close()

    assert lit(tmp_path) == ""


def test_tones_are_the_events_of_the_kernel(tmp_path: Path) -> None:
    """OUT is a high and a low tone, as EV_SND events, and ends in silence."""
    near, far = pty.openpty()
    tty.setraw(far)
    sounder = LinuxSounder(f"evdev:{os.ttyname(far)}", "none")
    sounder.play(Tone.OUT)
    heard = b""
    limit = time.monotonic() + PATIENCE_S
    while len(heard) < 4 * INPUT_EVENT.size and time.monotonic() < limit:
        if select.select([near], [], [], 0.1)[0]:
            heard += os.read(near, 4096)
    sounder.close()
    os.close(near)
    os.close(far)
    events = [INPUT_EVENT.unpack_from(heard, at) for at in range(0, 96, INPUT_EVENT.size)]

    assert {event[2:4] for event in events} == {(EV_SND, SND_TONE)}
    assert [event[4] for event in events] == [1760, 0, 880, 0]
