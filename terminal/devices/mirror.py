# SPDX-License-Identifier: Apache-2.0
"""The development screen: what the displays hold, byte for byte, in the terminal window.

The text side is read back from the very frame that goes out on the line; the bitmap side shows the
1 024 bytes that the panel is given, two pixels to a character. Light and tone stand below.
"""

from __future__ import annotations

from typing import TextIO

from terminal.devices.raster import HEIGHT, WIDTH, Raster
from terminal.display import Display
from terminal.screen import COLUMNS, ENCODING, LINES, Led, Screen, Tone, width

HOME, CLEAR = "\x1b[H", "\x1b[2J"
_ANSI = {
    Led.WHITE: "47",
    Led.BLUE: "44",
    Led.GREEN: "42",
    Led.GREEN_TWICE: "42",
    Led.AMBER: "43",
    Led.RED: "41",
    Led.RED_BLINK: "5;41",
}
_HALVES = " ▀▄█"


class Mirror:
    """Pass screens on to a display and draw them in a window too."""

    def __init__(self, display: Display, window: TextIO, raster: Raster | None = None) -> None:
        self._display = display
        self._window = window
        self._raster = raster
        self._shown: Screen | None = None
        window.write(CLEAR)

    def show(self, screen: Screen) -> None:
        """Show a screen on both."""
        self._display.show(screen)
        if screen != self._shown:
            self._window.write(HOME + "\n".join(self.drawn(screen)) + "\n")
            self._window.flush()
            self._shown = screen

    def close(self) -> None:
        """Let go of the display."""
        self._display.close()

    def drawn(self, screen: Screen) -> list[str]:
        """Return the lines of the window."""
        edge = "+" + "-" * COLUMNS + "+"
        text = [f"|{line}{' ' * (COLUMNS - width(line))}|" for line in frame_lines(screen)]
        lamp = f"\x1b[{_ANSI[screen.led]}m    \x1b[0m {screen.led.name:<12}"
        tone = "" if screen.tone is Tone.NONE else f"♪ {screen.tone.name}"
        drawn = [edge, *text, edge, f"{lamp} {tone:<12}"]
        if self._raster is not None:
            drawn += pixels(self._raster.picture(screen.lines))
        return drawn


def frame_lines(screen: Screen) -> list[str]:
    """Read the four lines back from the bytes of the frame."""
    parts = screen.to_frame().removeprefix(b"\x0c").split(b"\r\n")
    return [part.decode(ENCODING) for part in parts[:LINES]]


def pixels(picture: bytes) -> list[str]:
    """Draw a picture of 1 024 bytes as 32 lines, two rows of pixels in one.

    >>> pixels(bytes([0x80]) + bytes(15) + bytes([0xC0]) + bytes(1007))[0][:3]
    '█▄ '
    """
    rows = [
        [picture[y * WIDTH // 8 + x // 8] >> (7 - x % 8) & 1 for x in range(WIDTH)]
        for y in range(HEIGHT)
    ]
    return [
        "".join(_HALVES[up + 2 * down] for up, down in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]
