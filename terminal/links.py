# SPDX-License-Identifier: Apache-2.0
"""Open the way to the server that the configuration names: HTTP, HTTPS with pins, a serial line."""

from __future__ import annotations

import threading
from functools import lru_cache
from urllib.parse import urlsplit

from swipe.serial_link import repeat_s
from terminal.config_rules import line_baud
from terminal.config_sections import ServerSection
from terminal.serial_line import BAUD, SerialLine
from terminal.serial_uplink import SerialTransport
from terminal.transport import HttpTransport, Transport, Trust


def open_transport(server: ServerSection, timeout_s: float | None = None) -> Transport:
    """Return the transport of a `[server]` section; `timeout_s` asks for less patience."""
    patience = server.timeout_s if timeout_s is None else min(server.timeout_s, timeout_s)
    parts = urlsplit(server.url)
    if parts.scheme == "serial":
        return _serial(parts.path, line_baud(server.url) or BAUD, patience)
    pins = tuple(pin for pin in (server.pin, server.pin_next) if pin)
    return HttpTransport(server.url, patience, Trust(pins))


@lru_cache(maxsize=1)
def _serial_line(path: str, baud: int) -> tuple[SerialLine, threading.Lock]:
    """Return the one line of this process and who may use it: patience differs, the cable not."""
    return SerialLine(path, baud), threading.Lock()


def _serial(path: str, baud: int, patience_s: float) -> SerialTransport:
    line, turn = _serial_line(path, baud)
    return SerialTransport(line, patience_s, repeat_s(baud), turn)
