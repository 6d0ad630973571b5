# SPDX-License-Identifier: Apache-2.0
"""Where screens go: a serial customer display, or nowhere."""

from __future__ import annotations

from typing import Protocol

from terminal.screen import Screen, Tone
from terminal.serial_line import SerialLine


class Display(Protocol):
    """Light, tone and four lines at once."""

    def show(self, screen: Screen) -> None:
        """Show a screen; it must not wait, and must not fail."""

    def close(self) -> None:
        """Let go of the device."""


class NoDisplay:
    """A terminal without a display; the journal is complete all the same."""

    def show(self, screen: Screen) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Close nothing."""


class SerialDisplay:
    """Send frames to a serial display; a screen it did not take is sent again."""

    def __init__(self, device: str) -> None:
        self._line = SerialLine(device)
        self._shown: Screen | None = None

    @property
    def taken(self) -> bool:
        """Say whether the line took the last frame whole."""
        return self._shown is not None

    def show(self, screen: Screen) -> None:
        """Send the frame, unless this very screen without a tone is shown already."""
        if screen == self._shown and screen.tone is Tone.NONE:
            return
        self._shown = screen if self._line.write(screen.to_frame()) else None

    def close(self) -> None:
        """Close the line."""
        self._line.close()
