# SPDX-License-Identifier: Apache-2.0
"""One serial line: raw, 8 data bits, no parity, 2 stop bits. Only this module loads pyserial."""

from __future__ import annotations

import contextlib
import errno
import importlib
import select
import time
from types import ModuleType
from typing import Any

from card.errors import NoDriver, NoPermission, NoReader, ReaderBusy, ReaderError
from card.status_words import Text

READ_BYTES_MAX = 512
WRITE_TIMEOUT_S = 2.0  # 274 bytes take 26 ms at 115 200 baud

_BUSY = frozenset((errno.EAGAIN, errno.EBUSY))
_FORBIDDEN = frozenset((errno.EACCES, errno.EPERM))


def _library() -> ModuleType:
    try:
        return importlib.import_module("serial")
    except ImportError as exc:
        error = NoDriver(str(exc))
        error.meaning = Text("未安装串口程序库 pyserial", "the library pyserial is not installed")
        raise error from exc


class SerialLine:
    """An open serial device that no second program of ours can open meanwhile.

    Args:
        device: Path of the device.
        baud: Bits per second.

    Raises:
        NoReader: No such device. NoPermission: This user may not use it.
        ReaderBusy: Another program has it open. NoDriver: pyserial is not installed.
    """

    def __init__(self, device: str, baud: int) -> None:
        self._device = device
        serial = _library()
        port = serial.Serial(
            None,
            baud,
            stopbits=serial.STOPBITS_TWO,
            timeout=0,
            write_timeout=WRITE_TIMEOUT_S,
            exclusive=True,
        )
        port.port = device
        port.rts = False  # a reader that sees RTS at power-up sends its plug-and-play string
        try:
            port.open()
        except OSError as exc:
            raise _why_not(device, exc) from exc
        self._port: Any = port

    def read(self, timeout_s: float) -> bytes:
        """Wait for bytes; return those that are there, none after the timeout.

        Raises:
            NoReader: The line went away.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                remaining = max(0.0, deadline - time.monotonic())
                ready, _, _ = select.select([self._port.fileno()], [], [], remaining)
                received = bytes(self._port.read(READ_BYTES_MAX)) if ready else b""
            except OSError as exc:
                raise NoReader(f"{self._device}: {exc}") from exc
            if received or time.monotonic() >= deadline:
                return received

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            NoReader: The line went away.
        """
        try:
            self._port.write(data)
        except OSError as exc:
            raise NoReader(f"{self._device}: {exc}") from exc

    def close(self) -> None:
        """Close the device; one that went away is closed already."""
        with contextlib.suppress(OSError):
            self._port.close()


def _why_not(device: str, error: OSError) -> ReaderError:
    if error.errno in _FORBIDDEN:
        refused = NoPermission(device)
        refused.meaning = Text("没有使用此串口的权限", "this user may not use this serial device")
        refused.advice = Text(
            "请将用户加入 dialout 组后重新登录（usermod -aG dialout 用户名）",
            "add the user to the group dialout and sign in again (usermod -aG dialout NAME)",
        )
        return refused
    if error.errno in _BUSY:
        return ReaderBusy(device)
    return NoReader(f"{device}: {error}")  # a file that is no serial device, or one that is gone
