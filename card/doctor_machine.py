# SPDX-License-Identifier: Apache-2.0
"""What of the machine the doctor looks at: service, drivers, readers plugged in by USB."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from card.errors import NoPermission, NoReader, NoService, ReaderError
from card.status_words import Text

SOCKET = "/run/pcscd/pcscd.comm"
SOCKET_VARIABLE = "PCSCLITE_CSOCK_NAME"  # pcsc-lite's own name for another socket
SYSTEM_PROGRAMS = ":/usr/sbin"  # where pcscd is and a user's PATH is not
SOCKET_TIMEOUT_S = 2.0
USB_DEVICES_MAX = 512  # no machine has more; a broken tree ends there

_CARD_READER_CLASS = "0b"  # bInterfaceClass of CCID devices (USB-IF class 0Bh)
_NOT_INSTALLED = Text("请安装：apt install pcscd libccid", "install it: apt install pcscd libccid")


class ReaderWithoutDriver(NoReader):
    """A reader is plugged in and no driver for it is installed."""

    advice = Text(
        "请执行 apt install libccid，然后 systemctl restart pcscd",
        "run: apt install libccid, then systemctl restart pcscd",
    )

    def __init__(self, product: str) -> None:
        super().__init__(product)
        self.meaning = Text(
            f"已插入读卡器（{product}），但没有安装驱动",
            f"a reader is plugged in ({product}) and no driver is installed",
        )


class ReaderNotTaken(NoReader):
    """A reader is plugged in, drivers are there, and the service does not list it."""

    advice = Text(
        "请重新插拔并执行 systemctl restart pcscd；仍不行则此型号不受 libccid 支持",
        "plug it in again and run systemctl restart pcscd; if that fails libccid lacks this model",
    )

    def __init__(self, product: str) -> None:
        super().__init__(product)
        self.meaning = Text(
            f"已插入读卡器（{product}），但服务没有使用它",
            f"a reader is plugged in ({product}) and the service does not use it",
        )


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the machine keeps what is looked at; a test names other folders."""

    drivers: Path = Path("/usr/lib/pcsc/drivers")
    usb: Path = Path("/sys/bus/usb/devices")

    def why_no_reader(self) -> NoReader:
        """Tell a reader without a driver from one the service ignores and from none at all."""
        plugged = self.usb_readers()
        if not plugged:
            return NoReader("" if self._has_drivers() else "no driver installed")
        product = ", ".join(plugged)
        return ReaderNotTaken(product) if self._has_drivers() else ReaderWithoutDriver(product)

    def usb_readers(self) -> list[str]:
        """Return the product names of card readers on USB, as the kernel has them."""
        found: list[str] = []
        for interface in sorted(self.usb.glob("*:*"))[:USB_DEVICES_MAX]:
            if _line(interface / "bInterfaceClass") == _CARD_READER_CLASS:
                device = self.usb / interface.name.partition(":")[0]
                found.append(_line(device / "product") or device.name)
        return found

    def _has_drivers(self) -> bool:
        return any(self.drivers.glob("*/*"))


def why_no_service(error: ReaderError) -> ReaderError:
    """Tell a service that is not installed from one that does not run or lets us not in."""
    path = os.environ.get(SOCKET_VARIABLE, SOCKET)
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(SOCKET_TIMEOUT_S)
        try:
            probe.connect(path)
        except PermissionError:
            return NoPermission(path)
        except OSError as exc:
            error = NoService(f"{path}: {exc.strerror}")
    if shutil.which("pcscd", path=os.environ.get("PATH", "") + SYSTEM_PROGRAMS) is None:
        error.advice = _NOT_INSTALLED
    return error


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
