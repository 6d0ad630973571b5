# SPDX-License-Identifier: Apache-2.0
"""The terminal's PSAM, wherever it is: in a card slot that may lose it, or in a file."""

from __future__ import annotations

from pathlib import Path

from card.errors import CardError, NoCard, WrongCard
from card.psam import HARDWARE_KEY_INDEX, PsamCard
from card.readers import CardConnection, Reader, open_reader
from keys.errors import KeysError
from keys.psam import Psam, PurchaseGrant, PurchaseRequest, SoftwarePsam
from terminal.errors import ConfigError

UNNAMED = "pcsc:"  # the default: somebody has to say which reader it is
SOFT = "soft:"
# A PSAM sits in its slot for years; if it is not there at once, it is not there.
SLOT_WAIT_S = 1.0


class PsamSlot:
    """A PSAM card that is connected when needed, and again after the reader was lost.

    Until it was seen, `number` is the one the journal knows.
    """

    key_index = HARDWARE_KEY_INDEX
    hardware = True

    def __init__(self, reader: Reader, number: bytes) -> None:
        self._reader = reader
        self._connection: CardConnection | None = None
        self._card: PsamCard | None = None
        self.number = number

    def connect(self) -> PsamCard:
        """Return the PSAM, connecting it if it is not.

        Raises:
            CardError: There is none, or another one than at the start.
        """
        if self._card is None:
            if not self._reader.wait_card(SLOT_WAIT_S):
                raise NoCard
            self._connection = self._reader.connect()
            card = PsamCard(self._connection)
            if any(self.number) and card.number != self.number:
                self.release()
                raise WrongCard(self.number, card.number)
            self.number = card.number
            self._card = card
        return self._card

    def adopt(self) -> bytes:
        """Connect whatever PSAM is there now and take its number: at the start only."""
        known, self.number = self.number, bytes(len(self.number))
        try:
            return self.connect().number
        except CardError:
            self.number = known
            raise

    def init_purchase(self, request: PurchaseRequest) -> PurchaseGrant:
        """Begin a purchase; a lost connection is made again once: only a number is used up."""
        try:
            return self.connect().init_purchase(request)
        except CardError:
            self.release()
            return self.connect().init_purchase(request)

    def credit_purchase(self, mac2: bytes) -> None:
        """Check MAC2 where the purchase was begun."""
        try:
            self.connect().credit_purchase(mac2)
        except CardError:
            self.release()
            raise

    def release(self) -> None:
        """Let go of the card; the next use connects it again."""
        self._card = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def open_named(key: str, name: str) -> Reader:
    """Open the reader of a configuration; it need not be plugged in yet, but it has a name.

    Raises:
        ConfigError: No name stands behind `pcsc:`.
        ReaderError: The name is no reader's, or the driver is missing.
    """
    if name == UNNAMED:
        told = "读卡器未指明名称 · the reader is not named; yika-card readers 列出名称 prints names"
        raise ConfigError(f"[reader] {key}", told)
    return open_reader(name)


def open_psam(name: str, passphrase: str, known_number: bytes = bytes(6)) -> Psam:
    """Open the PSAM of a configuration: `soft:FILE` or a reader's name.

    A card PSAM that is not there now is no error: the terminal starts and says so at each tap.

    Raises:
        ConfigError: A software PSAM that does not open, or a card that was never seen.
        ReaderError: The name is no reader's, or the driver is missing.
    """
    if name.startswith(SOFT):
        return _open_software(Path(name.removeprefix(SOFT)), passphrase)
    slot = PsamSlot(open_named("psam", name), known_number)
    try:
        slot.adopt()
    except CardError as exc:
        if not any(known_number):
            raise ConfigError("[reader] psam", f"{name}: {exc}") from exc
    return slot


def _open_software(path: Path, passphrase: str) -> SoftwarePsam:
    try:
        return SoftwarePsam.open(path, passphrase)
    except OSError as exc:
        raise ConfigError("[reader] psam", f"{path}: {exc.strerror}") from exc
    except KeysError as exc:
        raise ConfigError("[reader] psam", str(exc)) from exc
