# SPDX-License-Identifier: Apache-2.0
"""A serial device that must never hold up a tap: writes and reads that do not wait."""

from __future__ import annotations

import os
import termios
import tty

BAUD = termios.B115200
READ_SIZE = 64
SCHEME = "tty:"


class SerialLine:
    """A tty in raw mode; it may be missing, unplugged or full, and may come back."""

    def __init__(self, device: str) -> None:
        self._path = device.removeprefix(SCHEME)
        self._handle = -1

    def write(self, data: bytes) -> bool:
        """Write if the line takes all of it now; return whether it did."""
        try:
            return os.write(self._open(), data) == len(data)
        except BlockingIOError:
            return False
        except OSError:
            self.close()
            return False

    def read(self) -> bytes:
        """Return what has come in, perhaps nothing."""
        try:
            return os.read(self._open(), READ_SIZE)
        except BlockingIOError:
            return b""
        except OSError:
            self.close()
            return b""

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
                _make_raw(handle)
            except (OSError, termios.error) as exc:
                os.close(handle)
                raise OSError(str(exc)) from exc
            self._handle = handle
        return self._handle


def _make_raw(handle: int) -> None:
    tty.setraw(handle)
    settings = termios.tcgetattr(handle)
    settings[4] = settings[5] = BAUD
    termios.tcsetattr(handle, termios.TCSANOW, settings)
