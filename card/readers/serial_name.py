# SPDX-License-Identifier: Apache-2.0
"""Names of serial readers: `serial:/dev/ttyUSB0?model=gemcore-pos-pro&slot=1&baud=115200`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

from card.errors import NoReader
from card.readers.serial_models import Model, model_named

PREFIX = "serial:"
DEFAULT_MODEL = "gempc-twin"
DEFAULT_BAUD = 115_200
# What termios has a constant for, from the slowest these readers can be switched to.
BAUDS = (9_600, 19_200, 38_400, 57_600, 115_200, 230_400)


@dataclass(frozen=True, slots=True)
class SerialName:
    """Where a serial reader is and what it is."""

    device: str
    model: Model
    slot: int
    baud: int

    @classmethod
    def parse(cls, text: str) -> SerialName:
        """Read a name.

        Raises:
            NoReader: It is no such name; the detail says what is wrong with it.

        >>> SerialName.parse("serial:/dev/ttyS1?model=gemcore-pos-pro&slot=1").slot
        1
        """
        device, _, query = text.removeprefix(PREFIX).partition("?")
        if not text.startswith(PREFIX) or not device:
            raise NoReader(f"{text}: expected serial:DEVICE?model=…&slot=…&baud=…")
        try:
            options = dict(parse_qsl(query, strict_parsing=True)) if query else {}
            model = model_named(options.pop("model", DEFAULT_MODEL))
            slot = int(options.pop("slot", "0"))
            baud = int(options.pop("baud", str(DEFAULT_BAUD)))
        except ValueError as exc:
            raise NoReader(f"{text}: {exc}") from exc
        if options:
            raise NoReader(f"{text}: unknown option {next(iter(options))}")
        if not 0 <= slot < model.slots:
            raise NoReader(f"{text}: {model.name} has {model.slots} slot(s), counted from 0")
        if baud not in BAUDS:
            raise NoReader(f"{text}: baud {baud}")
        return cls(device, model, slot, baud)
