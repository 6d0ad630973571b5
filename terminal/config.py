# SPDX-License-Identifier: Apache-2.0
"""Read the terminal's TOML file: every key known, every value checked, environment on top."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from terminal.config_rules import complaints
from terminal.config_sections import (
    NO_POSITION,
    ClockSection,
    DeviceSection,
    DisplaySection,
    FaceSection,
    LineSection,
    PrinterSection,
    ReaderSection,
    ServerSection,
    SiteSection,
    SounderSection,
    TerminalSection,
    UpdateSection,
)
from terminal.errors import ConfigError
from terminal.toml_lines import line_of

__all__ = [
    "CONFIG_SIZE_MAX",
    "NO_POSITION",
    "Config",
    "DisplaySection",
    "PrinterSection",
    "TerminalSection",
    "load",
]

CONFIG_SIZE_MAX = 65_536  # a configuration is a page of text; anything larger is another file


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration; the defaults are those of a bare terminal."""

    terminal: TerminalSection = field(default_factory=TerminalSection)
    server: ServerSection = field(default_factory=ServerSection)
    reader: ReaderSection = field(default_factory=ReaderSection)
    display: DisplaySection = field(default_factory=DisplaySection)
    keypad: DeviceSection = field(default_factory=DeviceSection)
    sounder: SounderSection = field(default_factory=SounderSection)
    printer: PrinterSection = field(default_factory=PrinterSection)
    gps: LineSection = field(default_factory=LineSection)
    scanner: LineSection = field(default_factory=LineSection)
    face: FaceSection = field(default_factory=FaceSection)
    site: SiteSection = field(default_factory=SiteSection)
    clock: ClockSection = field(default_factory=ClockSection)
    update: UpdateSection = field(default_factory=UpdateSection)

    @property
    def data_dir(self) -> Path:
        """Return the folder of journal, identity and notices."""
        return Path(self.terminal.data_dir)

    @property
    def update_dir(self) -> Path:
        """Return the folder of the releases and of what is believed about them."""
        return Path(self.update.dir)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the values come from, to name file and line of a fault."""

    where: str
    text: str = ""

    def fault(self, detail: str, *path: str) -> ConfigError:
        line = line_of(self.text, path) if path else None
        return ConfigError(self.where if line is None else f"{self.where}:{line}", detail)


def load(path: Path | None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the file, if any, put `YIKA_<SECTION>_<KEY>` on top, and check everything.

    Raises:
        ConfigError: An unknown section or key, or a value that cannot work; names file and line.
    """
    source = _Source("environment") if path is None else _Source(str(path), _read(path))
    document = _parsed(source)
    sections: dict[str, Any] = {}
    for section in fields(Config):
        table = document.pop(section.name, {})
        if not isinstance(table, dict):
            raise source.fault(f"[{section.name}] must be a table", section.name)
        kind: Any = section.default_factory
        sections[section.name] = _section(source, section.name, kind, {**table}, environ)
    if document:
        unknown = sorted(document)[0]
        raise source.fault(f"没有这一节 · unknown section [{unknown}]", unknown)
    config = Config(**sections)
    for name, key, complaint in complaints(config):
        raise source.fault(complaint, name, key)
    return config


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > CONFIG_SIZE_MAX:
            raise ConfigError(str(path), f"larger than {CONFIG_SIZE_MAX} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(str(path), exc.strerror or str(exc)) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(str(path), str(exc)) from exc


def _parsed(source: _Source) -> dict[str, Any]:
    try:
        return tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as exc:
        raise source.fault(str(exc)) from exc


def _section(
    source: _Source, name: str, kind: type[Any], table: dict[str, Any], environ: Mapping[str, str]
) -> object:
    values: dict[str, Any] = {}
    for key in fields(kind):
        wanted = _plain_type(str(key.type))
        variable = f"YIKA_{name}_{key.name}".upper()
        if variable in environ:
            values[key.name] = _from_text(variable, wanted, environ[variable])
            table.pop(key.name, None)
        elif key.name in table:
            values[key.name] = _typed(source, (name, key.name), wanted, table.pop(key.name))
    if table:
        unknown = sorted(table)[0]
        raise source.fault(f"没有这一项 · unknown key {unknown} in [{name}]", name, unknown)
    return kind(**values)


def _plain_type(annotation: str) -> type[Any]:
    return {"str": str, "int": int, "bool": bool, "float | None": float}[annotation]


def _typed(source: _Source, path: tuple[str, str], wanted: type[Any], value: object) -> object:
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise source.fault(f"[{path[0]}] {path[1]} must be of type {wanted.__name__}", *path)
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
