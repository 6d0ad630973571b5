# SPDX-License-Identifier: Apache-2.0
"""A slip as the bytes of an ESC/POS printer: Chinese in GB18030, the event as a QR code."""

from __future__ import annotations

from escpos.constants import QR_ECLEVEL_M
from escpos.printer import Dummy

from swipe.slip import slip_code
from terminal.devices.protocols import SLIP_LINES_MAX, Slip
from terminal.screen import width

CHINESE_ON = b"\x1c&"
QR_DOTS = 4  # 61 modules of 4 dots are 31 mm on a head of 203 dpi; paper of 58 mm has room
CENTRE, LEFT = b"\x1ba\x01", b"\x1ba\x00"


def slip_bytes(slip: Slip, columns: int) -> bytes:
    """Compose a slip, lines wrapped to `columns` columns.

    The library's own guess of code pages is not used: GB18030 goes out as it is.

    Raises:
        WrongLength: the event has not 224 bytes.
    """
    printer = Dummy()
    printer.hw("INIT")
    printer._raw(CHINESE_ON)
    for line in slip.lines[:SLIP_LINES_MAX]:
        for part in wrapped(line, columns):
            printer._raw(part.encode("gb18030", "replace") + b"\n")
    if slip.event:
        printer._raw(CENTRE)
        printer.qr(slip_code(slip.event), ec=QR_ECLEVEL_M, size=QR_DOTS, native=True)
        printer._raw(b"\n" + LEFT)
    printer.cut()
    composed: bytes = printer.output
    return composed


def wrapped(text: str, columns: int) -> list[str]:
    """Cut a line where the paper ends; what a printer would obey is left out.

    >>> wrapped("签到 IN 09:02", 8)
    ['签到 IN ', '09:02']
    """
    lines, used = [""], 0
    for char in text:
        if not char.isprintable():
            continue
        if used + width(char) > columns:
            lines.append("")
            used = 0
        lines[-1] += char
        used += width(char)
    return lines
