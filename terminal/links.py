# SPDX-License-Identifier: Apache-2.0
"""Open the way to the server that the configuration names: HTTP, HTTPS with pins, a serial line."""

from __future__ import annotations

from terminal.config_sections import ServerSection
from terminal.transport import HttpTransport, Transport, Trust


def open_transport(server: ServerSection, timeout_s: float | None = None) -> Transport:
    """Return the transport of a `[server]` section; `timeout_s` asks for less patience."""
    patience = server.timeout_s if timeout_s is None else min(server.timeout_s, timeout_s)
    pins = tuple(pin for pin in (server.pin, server.pin_next) if pin)
    return HttpTransport(server.url, patience, Trust(pins))
