# SPDX-License-Identifier: Apache-2.0
"""Chips of a world: real virtual cards and PSAMs on a store that copies in memory."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from typing import TypeVar

from card.errors import CardRemoved, MuteCard, NoCard
from card.operation import Connection
from card.protocol import ByteConnection, T0Connection
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.atr import CARD_HISTORICAL, PSAM_HISTORICAL, contact_atr
from hardware_mocks.cardos.cos import CardOs
from hardware_mocks.cardos.errors import CardGone, CardMute
from hardware_mocks.cardos.psam import PsamImage, PsamOs
from hardware_mocks.cardos.shell import Answer, ChipCard
from hardware_mocks.cardos.state import CardImage
from hardware_mocks.cardos.store import Memory, RamStore, WriteStep
from hardware_mocks.world.faults import Fuse
from hardware_mocks.world.stock import SPARE_CARDS, stock
from terminal.psam_slot import PsamSlot

T = TypeVar("T")

CARD_MS, PSAM_MS = 18, 9  # what one command takes, as on real chips


class _Copies(Memory[T]):
    """A chip's memory whose commits are copies, and which begins as a stock chip once was."""

    def __init__(self, written: bytes) -> None:
        self._path = None
        self._store = RamStore()
        self._dump, self._load = pickle.dumps, pickle.loads
        self.hook = _nothing
        self._store.save(written, _nothing)
        self.image = self._parse(written)


def _nothing(_step: WriteStep) -> None:
    """Let a commit go by."""


class _CardEngine(CardOs):
    """A card's engine; what no command has reached since the last reset needs none."""

    touched = False

    def reset(self) -> None:
        """Come up with the state that was committed last."""
        if self.touched:
            super().reset()
            self.touched = False

    def execute(self, command: Command) -> Answer:
        """Run one command."""
        self.touched = True
        return super().execute(command)


class _PsamEngine(PsamOs):
    """A PSAM's engine, likewise."""

    touched = False

    def reset(self) -> None:
        """Come up with the state that was committed last."""
        if self.touched:
            super().reset()
            self.touched = False

    def execute(self, command: Command) -> Answer:
        """Run one command."""
        self.touched = True
        return super().execute(command)


class QuickCard(ChipCard):
    """A volunteer card whose commits are copies in memory."""

    def __init__(self, written: bytes, dice: random.Random) -> None:
        self.memory: Memory[CardImage] = _Copies(written)
        engine = _CardEngine(self.memory, dice.randbytes)
        super().__init__(engine, contact_atr(CARD_HISTORICAL), contactless=False)

    @property
    def counter(self) -> int:
        """Return how many taps the card has committed."""
        folder = self.memory.image.mf
        assert folder is not None
        files = [file for child in folder.children.values() for file in child.files.values()]
        return max(file.purse.offline for file in files if file.purse is not None)


class QuickPsam(ChipCard):
    """A PSAM whose commits are copies in memory."""

    def __init__(self, written: bytes, dice: random.Random) -> None:
        self.memory: Memory[PsamImage] = _Copies(written)
        engine = _PsamEngine(self.memory, dice.randbytes)
        super().__init__(engine, contact_atr(PSAM_HISTORICAL), contactless=False)

    def step(self, numbers: int) -> None:
        """Use up numbers somewhere else, or with a negative count put an older state back."""
        image = self.memory.image
        image.counter = max(0, image.counter + numbers)
        self.memory.commit()


def make_cards(dice: random.Random, *, spare: bool) -> list[QuickCard]:
    """Return the cards of a new world, with those that the bank has not given out if wanted."""
    known = stock().cards if spare else stock().cards[: SPARE_CARDS[0]]
    return [QuickCard(written, dice) for written in known]


def make_psams(dice: random.Random) -> list[QuickPsam]:
    """Return the PSAMs of a new world."""
    return [QuickPsam(written, dice) for written in stock().psams]


class Field:
    """What lies on the antenna: a card that may be taken away after so many commands."""

    def __init__(self, fuse: Fuse, spend: Callable[[int], None]) -> None:
        self._fuse = fuse
        self._spend = spend
        self._chip: ChipCard | None = None
        self._stays: int | None = None

    def lay(self, chip: ChipCard, stays: int | None = None) -> Connection:
        """Put a card on the antenna, for so many commands, and return the connection to it."""
        chip.power_on()
        self._chip, self._stays = chip, stays
        return T0Connection(ByteConnection(self._send), strip_le=True)

    def lift(self) -> None:
        """Take the card away."""
        if self._chip is not None:
            self._chip.power_off()
            self._chip.plan()
        self._chip = None

    def _send(self, apdu: bytes) -> bytes:
        self._fuse.moment()
        self._leave()
        if self._chip is None:
            raise CardRemoved
        self._spend(CARD_MS)
        try:
            answer = self._chip.transmit(apdu)
        except CardGone as exc:
            raise CardRemoved from exc
        except CardMute as exc:
            raise MuteCard from exc
        self._fuse.moment()
        return answer

    def _leave(self) -> None:
        """Take the card away when its moment has come."""
        if self._stays == 0:
            self.lift()
        elif self._stays is not None:
            self._stays -= 1


class _SlotConnection:
    def __init__(self, chip: ChipCard, socket: PsamSocket) -> None:
        self._socket = socket
        self._chip = chip
        self._inner = T0Connection(ByteConnection(self._send), strip_le=True)
        self.atr = chip.power_on()

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Send a command to the chip that was there when the connection was made."""
        return self._inner.transmit(apdu)

    def _send(self, apdu: bytes) -> bytes:
        self._socket.fuse.moment()
        if self._socket.chip is not self._chip:
            raise CardRemoved
        self._socket.spend(PSAM_MS)
        try:
            return self._chip.transmit(apdu)
        except CardGone as exc:
            raise CardRemoved from exc

    def close(self) -> None:
        """Reset the chip."""
        self._chip.power_off()


class PsamSocket:
    """The reader of the PSAM: a slot that may be empty."""

    name = "world:psam"

    def __init__(self, fuse: Fuse, spend: Callable[[int], None], chip: ChipCard | None) -> None:
        self.fuse = fuse
        self.spend = spend
        self.chip = chip

    def slot(self, known: bytes) -> PsamSlot:
        """Return the terminal's driver of the slot, with the PSAM that is there now."""
        slot = PsamSlot(self, known)
        if self.chip is not None:
            slot.adopt()
        return slot

    def wait_card(self, timeout_s: float) -> bool:  # noqa: ARG002 - the reader's interface
        """Say whether there is a PSAM."""
        return self.chip is not None

    def wait_removed(self, timeout_s: float) -> bool:  # noqa: ARG002 - the reader's interface
        """Say whether the slot is empty."""
        return self.chip is None

    def connect(self) -> _SlotConnection:
        """Power the PSAM."""
        if self.chip is None:
            raise NoCard
        return _SlotConnection(self.chip, self)

    def close(self) -> None:
        """Nothing to give back."""
