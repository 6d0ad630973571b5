# SPDX-License-Identifier: Apache-2.0
"""Readers of this process for tests of the command line: each holds a virtual card or nothing."""

from __future__ import annotations

from dataclasses import dataclass

from click.testing import CliRunner, Result

from card.cli import main
from card.cli.options import PASSPHRASE as PASSPHRASE_VARIABLE
from card.cli.options import Readers
from card.errors import NoCard, NoReader
from hardware_mocks.cardos.shell import ChipCard
from keys.store import FileKeyStore
from tests.contracts.connection_cards import PASSPHRASE, in_process


class VirtualConnection:
    """A virtual card as a card connection: power comes with it and goes with `close`."""

    def __init__(self, chip: ChipCard) -> None:
        chip.reset()
        self._chip = chip
        self._inner = in_process(chip)

    @property
    def atr(self) -> bytes:
        return self._chip.atr

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        return self._inner.transmit(apdu)

    def close(self) -> None:
        self._chip.reset()


@dataclass
class VirtualReader:
    """A reader that holds one virtual card, or none."""

    name: str
    chip: ChipCard | None = None
    blinks: int = 0  # so many waits for removal meet a reader that is away

    def wait_card(self, timeout_s: float) -> bool:
        return self.chip is not None

    def wait_removed(self, timeout_s: float) -> bool:
        if self.blinks:
            self.blinks -= 1
            raise NoReader(self.name)
        return self.chip is None

    def connect(self) -> VirtualConnection:
        if self.chip is None:
            raise NoCard(self.name)
        return VirtualConnection(self.chip)

    def close(self) -> None:
        pass


def readers_with(**chips: ChipCard | None) -> Readers:
    """Return readers by name, `desk=card` as `virtual:desk`."""
    found = {
        f"virtual:{name}": VirtualReader(f"virtual:{name}", chip) for name, chip in chips.items()
    }

    def open_one(name: str) -> VirtualReader:
        if name not in found:
            raise NoReader(name)
        return found[name]

    return Readers(lambda: list(found), open_one)


def invoke(
    readers: Readers, *arguments: str, text: str | None = None, store: FileKeyStore | None = None
) -> Result:
    """Run `yika-card` in this process with these readers, and the store's passphrase if any."""
    more = () if store is None else ("--store", str(store.path))
    environment = {PASSPHRASE_VARIABLE: PASSPHRASE}
    return CliRunner().invoke(main, [*arguments, *more], obj=readers, input=text, env=environment)
