# SPDX-License-Identifier: Apache-2.0
"""What the values of a configuration must keep to: what would fail later is refused at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

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
    url = urlsplit(config.server.url)
    server, reader, site = config.server, config.reader, config.site
    web = url.scheme in ("http", "https") and bool(url.hostname)
    return (
        ("server", "url", web, "url is no http address"),
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


def _listed(values: tuple[object, ...]) -> str:
    return ", ".join(str(value) for value in values)
