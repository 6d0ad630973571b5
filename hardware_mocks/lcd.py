# SPDX-License-Identifier: Apache-2.0
"""The far end of a serial customer display: what a person in front of the terminal sees and hears.

A frame is 0x0C, four lines of exactly twenty columns in GB18030 (a Hanzi takes two columns), each
ended by CR LF, then ESC 'L' with the lamp, ESC 'B' with the tone, then 0x03. Noise between frames
is skipped; a frame with a wrong shape is counted as damaged and never shown.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import time
import tty
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LINES = 4
COLUMNS = 20
START, END = 0x0C, 0x03
# Four lines of twenty Hanzi at four bytes each would be 320; anything longer lost its end mark.
FRAME_BYTES_MAX = 512
READ_BYTES = 4096
POLL_S = 0.2  # how soon the reading thread notices that it shall end


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture: four lines of text, the lamp's colour and the tone played with it."""

    number: int
    lines: tuple[str, str, str, str]
    lamp: str
    tone: str

    @property
    def text(self) -> str:
        """Return the four lines, without the spaces at their ends, as one text."""
        return "\n".join(line.rstrip() for line in self.lines)


def columns(text: str) -> int:
    """Return how many columns a text takes: two for each wide character.

    >>> columns("请刷卡 TAP CARD")
    15
    """
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


class FrameParser:
    """Cut a byte stream into frames."""

    def __init__(self) -> None:
        self.damaged = 0
        self._buffer = bytearray()
        self._count = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Take some bytes and return the frames that they complete."""
        self._buffer += data
        frames = []
        while (raw := self._cut()) is not None:
            frame = self._parse(raw)
            if frame is None:
                self.damaged += 1
            else:
                frames.append(frame)
        return frames

    def _cut(self) -> bytes | None:
        """Take one frame, without its marks, from the front of the buffer."""
        start = self._buffer.find(START)
        if start < 0:
            self._buffer.clear()
            return None
        del self._buffer[:start]
        end = self._buffer.find(END)
        again = self._buffer.find(START, 1)
        if 0 < again < (end if end >= 0 else len(self._buffer)):
            raw = bytes(self._buffer[1:again])
            del self._buffer[:again]
            return raw
        if end < 0:
            if len(self._buffer) <= FRAME_BYTES_MAX:
                return None
            end = len(self._buffer) - 1
        raw = bytes(self._buffer[1:end])
        del self._buffer[: end + 1]
        return raw

    def _parse(self, raw: bytes) -> Frame | None:
        try:
            *lines, tail = raw.decode("gb18030").split("\r\n")
        except UnicodeDecodeError:
            return None
        well_formed = (
            len(lines) == LINES
            and all(columns(line) == COLUMNS for line in lines)
            and len(tail) == 6
            and tail[:2] == "\x1bL"
            and tail[3:5] == "\x1bB"
        )
        if not well_formed:
            return None
        self._count += 1
        first, second, third, fourth = lines
        return Frame(self._count, (first, second, third, fourth), tail[2], tail[5])


class NothingShown(TimeoutError):
    """The display did not show what was waited for."""

    def __init__(self, wanted: str, last: Frame | None) -> None:
        shown = "nothing" if last is None else f"{last.text!r} (lamp {last.lamp}, tone {last.tone})"
        super().__init__(f"waited for {wanted}; the display shows {shown}")
        self.wanted = wanted
        self.last = last


class Lcd:
    """A pty whose far end is the terminal's display device; keeps every frame it was sent."""

    def __init__(self) -> None:
        self._near, self._far = pty.openpty()
        tty.setraw(self._far)  # no echo, no newline translation: bytes arrive as they were sent
        self.device = os.ttyname(self._far)
        self.frames: list[Frame] = []
        self._parser = FrameParser()
        self._news = threading.Condition()
        self._ended = False

    @property
    def damaged(self) -> int:
        """Return how many frames arrived with a wrong shape."""
        return self._parser.damaged

    @property
    def last(self) -> Frame | None:
        """Return what the display shows now."""
        with self._news:
            return self.frames[-1] if self.frames else None

    @property
    def mark(self) -> int:
        """Return the number of the newest frame; what comes later has a higher one."""
        with self._news:
            return self.frames[-1].number if self.frames else 0

    @contextlib.contextmanager
    def running(self) -> Iterator[Lcd]:
        """Read the line in a thread until the block is left."""
        reader = threading.Thread(target=self._read, name=f"lcd {self.device}", daemon=True)
        reader.start()
        try:
            yield self
        finally:
            self._ended = True
            reader.join()
            os.close(self._near)
            os.close(self._far)

    def wait(
        self, wanted: str, wish: Callable[[Frame], bool], *, after: int, timeout_s: float
    ) -> Frame:
        """Return the first frame with a number above `after` that fulfils the wish.

        Raises:
            NothingShown: no such frame within `timeout_s` seconds; says what was shown instead.
        """
        limit = time.monotonic() + timeout_s
        with self._news:
            while True:
                for frame in self.frames[after:]:
                    if wish(frame):
                        return frame
                left = limit - time.monotonic()
                if left <= 0:
                    raise NothingShown(wanted, self.frames[-1] if self.frames else None)
                self._news.wait(left)

    def _read(self) -> None:
        while not self._ended:
            if not select.select([self._near], [], [], POLL_S)[0]:
                continue
            frames = self._parser.feed(os.read(self._near, READ_BYTES))
            with self._news:
                self.frames += frames
                self._news.notify_all()
