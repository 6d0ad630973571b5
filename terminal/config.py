# SPDX-License-Identifier: Apache-2.0
"""Read the terminal's TOML file: every key known, every value checked, environment on top."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from terminal.errors import ConfigError

CONFIG_SIZE_MAX = 65_536  # a configuration is a page of text; anything larger is another file
DRIFT_PPM_MAX = 1_000  # a clock worse than this is broken
NO_POSITION = -0x8000_0000  # "no position" in the event's lat and lon


@dataclass(frozen=True, slots=True)
class TerminalSection:
    """Who this terminal is, and where it keeps its journal."""

    name: str = "terminal"
    data_dir: str = "/var/lib/yika-terminal"
    training: bool = False


@dataclass(frozen=True, slots=True)
class ServerSection:
    """Where to upload to; `keep_alive_s` is the longest silence."""

    url: str = "http://127.0.0.1:8000"
    timeout_s: int = 10
    keep_alive_s: int = 3600


@dataclass(frozen=True, slots=True)
class ReaderSection:
    """The readers: `pcsc:NAME`, and for the PSAM also `soft:FILE`."""

    card: str = "pcsc:"
    psam: str = "pcsc:"


@dataclass(frozen=True, slots=True)
class DeviceSection:
    """A serial device: `tty:/dev/…`, or `none`."""

    device: str = "none"


@dataclass(frozen=True, slots=True)
class SiteSection:
    """Where the terminal stands, in degrees; events carry it if it is known."""

    latitude: float | None = None
    longitude: float | None = None

    @property
    def lat(self) -> int:
        """Return the latitude in 1e-7 degree, or the mark for "no position"."""
        return NO_POSITION if self.latitude is None else round(self.latitude * 10_000_000)

    @property
    def lon(self) -> int:
        """Return the longitude in 1e-7 degree, or the mark for "no position"."""
        return NO_POSITION if self.longitude is None else round(self.longitude * 10_000_000)


@dataclass(frozen=True, slots=True)
class ClockSection:
    """The declared drift of the device: 50 ppm for a crystal, 5 for a compensated one."""

    drift_ppm: int = 50


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration; the defaults are those of a bare terminal."""

    terminal: TerminalSection = field(default_factory=TerminalSection)
    server: ServerSection = field(default_factory=ServerSection)
    reader: ReaderSection = field(default_factory=ReaderSection)
    display: DeviceSection = field(default_factory=DeviceSection)
    keypad: DeviceSection = field(default_factory=DeviceSection)
    site: SiteSection = field(default_factory=SiteSection)
    clock: ClockSection = field(default_factory=ClockSection)

    @property
    def data_dir(self) -> Path:
        """Return the folder of journal, identity and notices."""
        return Path(self.terminal.data_dir)


def load(path: Path | None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the file, if any, put `YIKA_<SECTION>_<KEY>` on top, and check everything."""
    document = {} if path is None else _read(path)
    where = "environment" if path is None else str(path)
    sections: dict[str, Any] = {}
    for section in fields(Config):
        kind = _section_kind(section.name)
        table = document.pop(section.name, {})
        if not isinstance(table, dict):
            raise ConfigError(where, f"[{section.name}] must be a table")
        sections[section.name] = _section(where, section.name, kind, {**table}, environ)
    if document:
        raise ConfigError(where, f"unknown section [{sorted(document)[0]}]")
    config = Config(**sections)
    _check(where, config)
    return config


def _section_kind(name: str) -> type[Any]:
    return {
        "terminal": TerminalSection,
        "server": ServerSection,
        "reader": ReaderSection,
        "display": DeviceSection,
        "keypad": DeviceSection,
        "site": SiteSection,
        "clock": ClockSection,
    }[name]


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > CONFIG_SIZE_MAX:
            raise ConfigError(str(path), f"larger than {CONFIG_SIZE_MAX} bytes")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(str(path), exc.strerror or str(exc)) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(str(path), str(exc)) from exc


def _section(
    where: str, name: str, kind: type[Any], table: dict[str, Any], environ: Mapping[str, str]
) -> object:
    values: dict[str, Any] = {}
    for key in fields(kind):
        wanted = _plain_type(str(key.type))
        variable = f"YIKA_{name}_{key.name}".upper()
        if variable in environ:
            values[key.name] = _from_text(variable, wanted, environ[variable])
            table.pop(key.name, None)
        elif key.name in table:
            values[key.name] = _typed(where, f"[{name}] {key.name}", wanted, table.pop(key.name))
    if table:
        raise ConfigError(where, f"unknown key {sorted(table)[0]} in [{name}]")
    return kind(**values)


def _plain_type(annotation: str) -> type[Any]:
    return {"str": str, "int": int, "bool": bool, "float | None": float}[annotation]


def _typed(where: str, key: str, wanted: type[Any], value: object) -> object:
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise ConfigError(where, f"{key} must be of type {wanted.__name__}")
    return value


def _from_text(variable: str, wanted: type[Any], text: str) -> object:
    if wanted is bool:
        if text not in ("true", "false"):
            raise ConfigError(variable, "must be true or false")
        return text == "true"
    try:
        return wanted(text)
    except ValueError as exc:
        raise ConfigError(variable, f"must be of type {wanted.__name__}") from exc


def _check(where: str, config: Config) -> None:
    """Refuse values that would fail later, far from their cause."""
    url = urlsplit(config.server.url)
    rules = (
        (url.scheme in ("http", "https") and bool(url.hostname), "[server] url is no http address"),
        (1 <= config.server.timeout_s <= 120, "[server] timeout_s must be 1 to 120"),
        (60 <= config.server.keep_alive_s <= 86_400, "[server] keep_alive_s must be 60 to 86400"),
        (config.reader.card.startswith(("pcsc:", "serial:")), "[reader] card: pcsc: or serial:"),
        (config.reader.psam.startswith(("pcsc:", "soft:")), "[reader] psam: pcsc: or soft:"),
        (_is_device(config.display.device), "[display] device must be tty:/… or none"),
        (_is_device(config.keypad.device), "[keypad] device must be tty:/… or none"),
        (abs(config.site.latitude or 0) <= 90, "[site] latitude must be -90 to 90"),
        (abs(config.site.longitude or 0) <= 180, "[site] longitude must be -180 to 180"),
        (0 < config.clock.drift_ppm <= DRIFT_PPM_MAX, "[clock] drift_ppm must be 1 to 1000"),
    )
    for holds, complaint in rules:
        if not holds:
            raise ConfigError(where, complaint)


def _is_device(text: str) -> bool:
    return text == "none" or text.startswith("tty:/")
