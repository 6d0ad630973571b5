# SPDX-License-Identifier: Apache-2.0
"""Buzzer and lights of the box itself, as Linux offers them.

The buzzer is an input device that takes `EV_SND`/`SND_TONE` events (`pcspkr`, `pwm-beeper`,
`gpio-beeper`): writing a `struct input_event` with a frequency begins a tone, with 0 ends it. The
lights are three of the LED class, `PREFIX:red:status`, `:green:` and `:blue:`, each with a file
`brightness`. A thread steps through the patterns; whoever calls goes on at once.
"""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path

from terminal.devices.patterns import DARK, LIGHTS, REPEATED, TONES, Colour
from terminal.devices.protocols import DeviceState
from terminal.screen import Led, Tone

SCHEME = "evdev:"
EV_SND, SND_TONE = 0x12, 0x02
INPUT_EVENT = struct.Struct("@llHHi")  # timeval, type, code, value
COLOURS = ("red", "green", "blue")
END_S = 1.0


class Buzzer:
    """One input device; opened when it is needed, and again after it was away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fine = path.exists()

    def tone(self, hertz: int) -> None:
        """Begin a tone; 0 is silence."""
        event = INPUT_EVENT.pack(0, 0, EV_SND, SND_TONE, hertz)
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            try:
                self.fine = os.write(handle, event) == len(event)
            finally:
                os.close(handle)
        except OSError:
            self.fine = False


class Lights:
    """Three lamps of the LED class."""

    def __init__(self, prefix: str) -> None:
        self._files = [Path(f"{prefix}:{colour}:status/brightness") for colour in COLOURS]
        self.fine = all(file.exists() for file in self._files)

    def show(self, colour: Colour) -> None:
        """Switch the lamps."""
        try:
            for file, on in zip(self._files, colour, strict=True):
                file.write_text("1\n" if on else "0\n", encoding="ascii")
            self.fine = True
        except OSError:
            self.fine = False


class LinuxSounder:
    """Play patterns on a buzzer and three lamps; either may be missing (`none`)."""

    def __init__(self, device: str, leds: str) -> None:
        self._buzzer = None if device == "none" else Buzzer(Path(device.removeprefix(SCHEME)))
        self._lights = None if leds == "none" else Lights(leds)
        self._news = threading.Condition()
        self._tone, self._led = Tone.NONE, Led.WHITE
        self._tones = self._leds = 0  # how many were asked for: the same again is a new one
        self._ended = False
        self._threads = [
            threading.Thread(target=target, name=f"sounder {target.__name__}", daemon=True)
            for target, part in ((self._sound, self._buzzer), (self._shine, self._lights))
            if part is not None
        ]
        for thread in self._threads:
            thread.start()

    @property
    def state(self) -> DeviceState:
        """Say whether the files were there when they were last needed."""
        parts = [part for part in (self._buzzer, self._lights) if part is not None]
        return DeviceState.OK if all(part.fine for part in parts) else DeviceState.OFFLINE

    def play(self, tone: Tone) -> None:
        """Begin a tone pattern; a pattern under way is cut off."""
        with self._news:
            self._tone = tone
            self._tones += 1
            self._news.notify_all()

    def light(self, led: Led) -> None:
        """Show a colour from now on."""
        with self._news:
            self._led = led
            self._leds += 1
            self._news.notify_all()

    def close(self) -> None:
        """End silent and dark."""
        with self._news:
            self._ended = True
            self._news.notify_all()
        for thread in self._threads:
            thread.join(END_S)

    def _sound(self) -> None:
        buzzer, seen = self._buzzer, 0
        while buzzer is not None and self._await_tone(seen, None):
            seen, tone = self._tones, self._tone
            self._play_through(buzzer, tone, seen)
            if TONES[tone]:
                buzzer.tone(0)

    def _play_through(self, buzzer: Buzzer, tone: Tone, seen: int) -> None:
        """Step through a pattern, again and again if it is of that kind, until another comes."""
        while True:
            for hertz, ms in TONES[tone]:
                buzzer.tone(hertz)
                self._await_tone(seen, ms / 1000)
                if self._ended or self._tones != seen:
                    return
            if tone not in REPEATED:
                return

    def _shine(self) -> None:
        lights, seen = self._lights, -1
        while lights is not None and self._await_light(seen, None):
            seen, steps = self._leds, LIGHTS[self._led]
            at = 0
            while not self._ended and self._leds == seen:
                colour, ms = steps[at % len(steps)]
                lights.show(colour)
                if not ms:
                    break
                self._await_light(seen, ms / 1000)
                at += 1
        if lights is not None:
            lights.show(DARK)

    def _await_tone(self, seen: int, timeout_s: float | None) -> bool:
        """Wait for another tone or a time; return False when all is over."""
        with self._news:
            self._news.wait_for(lambda: self._ended or self._tones != seen, timeout_s)
            return not self._ended

    def _await_light(self, seen: int, timeout_s: float | None) -> bool:
        """Wait for another light or a time; return False when all is over."""
        with self._news:
            self._news.wait_for(lambda: self._ended or self._leds != seen, timeout_s)
            return not self._ended
