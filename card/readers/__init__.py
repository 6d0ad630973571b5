# SPDX-License-Identifier: Apache-2.0
"""Card readers by name: `open_reader("pcsc:NAME")`, `open_reader("serial:DEVICE?model=…")`.

Importing this package loads no library for readers; it is loaded when a reader is first used, so
programs without readers run without it.
"""

from __future__ import annotations

from card.errors import NoReader
from card.readers import pcsc, serial_name
from card.readers.pcsc import PcscReader, list_names
from card.readers.seam import CardConnection, Reader
from card.readers.serial_reader import SerialReader
from card.readers.watch import CardWatch, watch_cards

__all__ = ["CardConnection", "CardWatch", "Reader", "list_readers", "open_reader", "watch_cards"]


def open_reader(name: str) -> Reader:
    """Open a reader by its name; it need not be plugged in yet.

    Args:
        name: `pcsc:` and the name PC/SC gives the reader, as `list_readers` prints it; or
            `serial:` and a device, `serial:/dev/ttyUSB0?model=gemcore-pos-pro&slot=1`.

    Raises:
        NoReader: The scheme is unknown, or the rest of the name does not fit it.
        NoDriver: The library for it is not installed.
    """
    if name.startswith(serial_name.PREFIX):
        return SerialReader(name)
    if not name.startswith(pcsc.PREFIX) or name == pcsc.PREFIX:
        raise NoReader(f"{name}: expected pcsc:NAME or serial:DEVICE?model=…")
    return PcscReader(name)


def list_readers() -> list[str]:
    """Return the names of all PC/SC readers, each good for `open_reader`.

    Serial readers do not announce themselves; they are named by whoever wired them.

    Raises:
        NoDriver, NoService, NoPermission: As they say.
    """
    return [pcsc.PREFIX + name for name in list_names()]
