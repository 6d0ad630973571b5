# SPDX-License-Identifier: Apache-2.0
"""A serial device that must never hold up a tap: writes and reads that do not wait."""

from __future__ import annotations

import os
import select
import termios
import time
import tty

BAUD = 115_200
READ_SIZE = 64
SCHEME = "tty:"
_SPEEDS = {
    1200: termios.B1200,
    2400: termios.B2400,
    4800: termios.B4800,
    9600: termios.B9600,
    19_200: termios.B19200,
    38_400: termios.B38400,
    57_600: termios.B57600,
    115_200: termios.B115200,
}


class SerialLine:
    """A tty in raw mode; it may be missing, unplugged or full, and may come back.

    Args:
        device: `tty:` and the path of a character device.
        baud: the line's speed, one of the usual ones from 1200 to 115 200.
    """

    def __init__(self, device: str, baud: int = BAUD) -> None:
        self._path = device.removeprefix(SCHEME)
        self._speed = _SPEEDS[baud]
        self._handle = -1

    @property
    def is_open(self) -> bool:
        """Say whether the device was there when it was last needed."""
        return self._handle >= 0

    def write(self, data: bytes) -> bool:
        """Write if the line takes all of it now; return whether it did."""
        return self.write_some(data) == len(data)

    def write_some(self, data: bytes) -> int:
        """Write what the line takes now; return how many bytes, perhaps none."""
        try:
            return os.write(self._open(), data)
        except BlockingIOError:
            return 0
        except OSError:
            self.close()
            return 0

    def read(self, size: int = READ_SIZE) -> bytes:
        """Return what has come in, at most `size` bytes, perhaps nothing."""
        try:
            data = os.read(self._open(), size)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:  # hung up: a line that merely has nothing would have blocked
            self.close()
        return data

    def wait(self, seconds: float) -> None:
        """Wait until something comes in, at most so long; without a device just so long."""
        try:
            select.select([self._open()], [], [], seconds)
        except (OSError, ValueError):
            self.close()
            time.sleep(seconds)

    def close(self) -> None:
        """Let go of the device."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _open(self) -> int:
        if self._handle < 0:
            flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
            handle = os.open(self._path, flags)
            try:
                _make_raw(handle, self._speed)
            except (OSError, termios.error) as exc:
                os.close(handle)
                raise OSError(str(exc)) from exc
            self._handle = handle
        return self._handle


def _make_raw(handle: int, speed: int) -> None:
    tty.setraw(handle)
    settings = termios.tcgetattr(handle)
    settings[4] = settings[5] = speed
    termios.tcsetattr(handle, termios.TCSANOW, settings)
