# SPDX-License-Identifier: Apache-2.0
"""The virtual card: one FMCOS 2.0 chip with a durable image, from the blank to the tap.

>>> card = VirtualCard()
>>> card.transmit(bytes.fromhex("0084000004")).hex()  # blank: no MF, nothing is supported
'6a81'
>>> card.transmit(bytes.fromhex("80E03F000D38FFFFF0F001FFFFFFFFFFFFFF")).hex()
'9000'
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from hardware_mocks.cardos import (
    directory,
    files,
    load,
    overdraft,
    pin,
    purchase,
    purse,
    security,
    state,
    sw,
    transactions,
)
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.atr import CARD_HISTORICAL, contact_atr, contactless_atr
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.kernel import Kernel
from hardware_mocks.cardos.shell import Answer, ChipCard
from hardware_mocks.cardos.state import CardImage
from hardware_mocks.cardos.store import Hook, Memory

Handler = Callable[[Kernel, Command], Answer]

PLAIN, SECURE, OWN, OWN_SECURE = 0x00, 0x04, 0x80, 0x84

COMMANDS: dict[tuple[int, int], Handler] = {
    (PLAIN, 0xA4): directory.select,
    (OWN, 0xE0): directory.create_file,
    (OWN, 0x0E): directory.erase_df,
    (PLAIN, 0xB0): files.read_binary,
    (SECURE, 0xB0): files.read_binary,
    (PLAIN, 0xD6): files.update_binary,
    (SECURE, 0xD6): files.update_binary,
    (PLAIN, 0xD0): files.update_binary,
    (SECURE, 0xD0): files.update_binary,
    (PLAIN, 0xB2): files.read_record,
    (SECURE, 0xB2): files.read_record,
    (PLAIN, 0xDC): files.update_record,
    (SECURE, 0xDC): files.update_record,
    (PLAIN, 0xD2): files.update_record,
    (SECURE, 0xD2): files.update_record,
    (PLAIN, 0xE2): files.append_record,
    (SECURE, 0xE2): files.append_record,
    (PLAIN, 0x84): security.get_challenge,
    (PLAIN, 0x82): security.external_authenticate,
    (PLAIN, 0x20): pin.verify,
    (OWN, 0x5E): pin.change_or_reload,
    (OWN_SECURE, 0x24): pin.unblock,
    (PLAIN, 0x88): security.internal_authenticate,
    (OWN, 0xD4): security.write_key,
    (OWN_SECURE, 0xD4): security.write_key,
    (OWN_SECURE, 0x16): security.card_block,
    (OWN_SECURE, 0x1E): security.application_block,
    (OWN_SECURE, 0x18): security.application_unblock,
    (OWN, 0x5C): purse.get_balance,
    (OWN, 0x50): transactions.initialize,
    (OWN, 0xDC): purchase.update_capp_data_cache,
    (OWN_SECURE, 0xDC): purchase.update_capp_data_cache,
    (OWN, 0x54): transactions.debit,
    (OWN, 0x52): load.credit,
    (OWN, 0x58): overdraft.update,
    (OWN, 0x5A): purse.get_transaction_prove,
}
KNOWN_INS = frozenset(ins for _, ins in COMMANDS)
KNOWN_CLA = frozenset(cla for cla, _ in COMMANDS)

# What still answers in a blocked application (user manual 8.2, 8.3).
ALIVE_WHEN_BLOCKED = frozenset((0xA4, 0x84, 0x18))

UID_LENGTH = 4


class CardOs:
    """The engine of the card: finds the handler of a command and guards the card's states."""

    def __init__(self, memory: Memory[CardImage], random: Callable[[int], bytes]) -> None:
        self._memory = memory
        self._random = random
        self._kernel = Kernel(memory, random)

    def reset(self) -> None:
        """Come up with the state that was committed last."""
        self._memory.reload()
        self._kernel = Kernel(self._memory, self._random)

    def watch_writes(self, hook: Hook) -> None:
        """Call the hook at every step of every commit."""
        self._memory.hook = hook

    def execute(self, command: Command) -> Answer:
        """Run one command; a challenge lives until the end of the command after it."""
        session = self._kernel.session
        try:
            return self._handler(command)(self._kernel, command)
        finally:
            session.challenge, session.next_challenge = session.next_challenge, None

    def _handler(self, command: Command) -> Handler:
        if command.cla not in KNOWN_CLA:
            raise Refused(sw.UNKNOWN_CLA)
        if command.ins not in KNOWN_INS:
            raise Refused(sw.UNKNOWN_INS)
        handler = COMMANDS.get((command.cla, command.ins))
        if handler is None:
            raise Refused(sw.UNKNOWN_CLA)
        image = self._memory.image
        if image.blocked or (image.mf is None and handler is not directory.create_file):
            raise Refused(sw.UNSUPPORTED)
        if image.mf and command.ins not in ALIVE_WHEN_BLOCKED:
            self._kernel.require_unblocked()
        return handler


class VirtualCard(ChipCard):
    """A volunteer card in software, blank where `path` does not hold a card yet.

    Args:
        path: file of the card image; None keeps the state in RAM for the life of the object.
        uid: 4 bytes of a new card; an existing image keeps its own.
        contactless: answer data at once (no 61xx, no 6Cxx for Le 00) under a contactless ATR.
        random: source of challenges; tests that replay a trace give their own.
        eeprom: bytes of memory of a new card; an existing image keeps its own.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        uid: bytes | None = None,
        contactless: bool = False,
        random: Callable[[int], bytes] = os.urandom,
        eeprom: int = state.EEPROM_BYTES,
    ) -> None:
        self.memory = Memory(
            path,
            blank=lambda: CardImage(uid or os.urandom(UID_LENGTH), eeprom=eeprom),
            dump=state.dump,
            load=state.load,
        )
        make_atr = contactless_atr if contactless else contact_atr
        super().__init__(
            CardOs(self.memory, random), make_atr(CARD_HISTORICAL), contactless=contactless
        )

    @classmethod
    def of(cls, written: bytes, *, contactless: bool = False) -> VirtualCard:
        """Make a card in RAM of the written form of another one.

        Raises:
            NotAnImage: the bytes are no card image.
        """
        card = cls(uid=bytes(UID_LENGTH), contactless=contactless)
        card.memory.image = state.load(written)
        card.memory.commit()
        card.power_on()
        return card

    @classmethod
    def blank(cls, uid: bytes | None = None, path: Path | None = None) -> VirtualCard:
        """Make a blank card, in RAM or at a path that must not exist yet."""
        if path and path.exists():
            raise FileExistsError(path)
        return cls(path, uid=uid)

    @property
    def uid(self) -> bytes:
        """The 4 bytes that tell one chip from another before it is personalised."""
        return self.memory.image.uid
