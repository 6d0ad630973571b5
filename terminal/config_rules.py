# SPDX-License-Identifier: Apache-2.0
"""What the values of a configuration must keep to: what would fail later is refused at once."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keys.tls import is_pin

if TYPE_CHECKING:
    from terminal.config import Config

DRIFT_PPM_MAX = 1_000  # a clock worse than this is broken
BAUDS = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
PAPER_COLUMNS = (32, 42, 48)  # 58 mm; 80 mm in font A of the two common heads
DISPLAY_KINDS = ("text", "st7920")


def complaints(config: Config) -> Iterator[tuple[str, str, str]]:
    """Give section, key and complaint of every value that cannot work."""
    for section, key, holds, complaint in (*_program_rules(config), *_device_rules(config)):
        if not holds:
            yield section, key, f"[{section}] {complaint}"


def _program_rules(config: Config) -> tuple[tuple[str, str, bool, str], ...]:
    server, reader, site = config.server, config.reader, config.site
    return (
        ("server", "url", is_server_address(server.url), "url is no http or serial address"),
        (
            "server",
            "url",
            server.plain_http or not is_plain_abroad(server.url),
            "url: http to another machine needs plain_http = true; better use https with a pin",
        ),
        ("server", "pin", _is_pin(server.pin), "pin must be sha256: and 64 hex digits"),
        ("server", "pin_next", _is_pin(server.pin_next), "pin_next: sha256: and 64 hex digits"),
        ("server", "timeout_s", 1 <= server.timeout_s <= 120, "timeout_s must be 1 to 120"),
        (
            "server",
            "keep_alive_s",
            60 <= server.keep_alive_s <= 86_400,
            "keep_alive_s must be 60 to 86400",
        ),
        ("reader", "card", reader.card.startswith(("pcsc:", "serial:")), "card: pcsc: or serial:"),
        ("reader", "psam", reader.psam.startswith(("pcsc:", "soft:")), "psam: pcsc: or soft:"),
        ("site", "latitude", abs(site.latitude or 0) <= 90, "latitude must be -90 to 90"),
        ("site", "longitude", abs(site.longitude or 0) <= 180, "longitude must be -180 to 180"),
        (
            "clock",
            "drift_ppm",
            0 < config.clock.drift_ppm <= DRIFT_PPM_MAX,
            "drift_ppm must be 1 to 1000",
        ),
        (
            "update",
            "status_s",
            60 <= config.update.status_s <= 86_400,
            "status_s must be 60 to 86400",
        ),
    )


def _device_rules(config: Config) -> Iterator[tuple[str, str, bool, str]]:
    lines = {
        "display": config.display.device,
        "keypad": config.keypad.device,
        "printer": config.printer.device,
        "gps": config.gps.device,
        "scanner": config.scanner.device,
    }
    for section, device in lines.items():
        good = device == "none" or device.startswith("tty:/")
        yield section, "device", good, "device must be tty:/… or none"
    for section, baud in (
        ("printer", config.printer.baud),
        ("gps", config.gps.baud),
        ("scanner", config.scanner.baud),
    ):
        yield section, "baud", baud in BAUDS, f"baud must be one of {_listed(BAUDS)}"
    kind, columns = config.display.kind, config.printer.columns
    yield "display", "kind", kind in DISPLAY_KINDS, f"kind must be one of {_listed(DISPLAY_KINDS)}"
    yield "printer", "columns", columns in PAPER_COLUMNS, f"columns: {_listed(PAPER_COLUMNS)}"
    beeper, leds = config.sounder.device, config.sounder.leds
    yield (
        "sounder",
        "device",
        beeper == "none" or beeper.startswith("evdev:/"),
        "device must be evdev:/… or none",
    )
    yield "sounder", "leds", leds == "none" or leds.startswith("/"), "leds must be a path or none"


def is_server_address(url: str) -> bool:
    """Say whether requests can be sent to an address: HTTP, HTTPS, or a serial line.

    >>> is_server_address("serial:/dev/ttyS1?baud=115200"), is_server_address("ftp://x")
    (True, False)
    """
    try:
        parts = urlsplit(url)
        known = parts.port is None or parts.port > 0
    except ValueError:
        return False
    if parts.scheme == "serial":
        return parts.path.startswith("/") and line_baud(url) in BAUDS
    return parts.scheme in ("http", "https") and bool(parts.hostname) and known


def line_baud(url: str) -> int | None:
    """Return the speed a serial address names, 115200 if none; None if it is no number.

    >>> line_baud("serial:/dev/ttyS1?baud=9600"), line_baud("serial:/dev/ttyS1")
    (9600, 115200)
    """
    query = urlsplit(url).query
    if not query:
        return BAUDS[-1]
    digits = query.removeprefix("baud=")
    named = digits != query and digits.isascii() and digits.isdigit() and len(digits) < 9
    return int(digits) if named else None


def is_plain_abroad(url: str) -> bool:
    """Say whether an address means HTTP without TLS to another machine than this one.

    >>> is_plain_abroad("http://127.0.0.1:8000"), is_plain_abroad("http://10.1.2.3:8000")
    (False, True)
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme != "http" or parts.hostname == "localhost":
        return False
    try:
        return not ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return True


def _is_pin(text: str) -> bool:
    return not text or is_pin(text)


def _listed(values: tuple[object, ...]) -> str:
    return ", ".join(str(value) for value in values)
