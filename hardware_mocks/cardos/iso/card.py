# SPDX-License-Identifier: Apache-2.0
"""The plain card: its commands, and the chip that is put into a reader.

>>> card = IsoCard(pins={1: Secret(b"1234")})
>>> card.transmit(bytes.fromhex("00A4000C023F00")).hex()
'9000'
>>> card.transmit(bytes.fromhex("805C000204")).hex()  # no purse, no class 80
'6e00'
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from hardware_mocks.cardos import sw
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.atr import contact_atr, contactless_atr
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.iso import data, security, state, tree
from hardware_mocks.cardos.iso.session import Session
from hardware_mocks.cardos.iso.state import IsoImage, Node, Secret
from hardware_mocks.cardos.shell import Answer, ChipCard
from hardware_mocks.cardos.store import Hook, Memory

Handler = Callable[[Session, Command], Answer]

COMMANDS: dict[int, Handler] = {
    0xA4: tree.select,
    0xE0: tree.create_file,
    0xE4: tree.delete_file,
    0xB0: data.read_binary,
    0xD6: data.update_binary,
    0xB2: data.read_record,
    0xDC: data.update_record,
    0xE2: data.append_record,
    0x20: security.verify,
    0x24: security.change_reference_data,
    0x2C: security.reset_retry_counter,
    0x84: security.get_challenge,
    0x82: security.external_authenticate,
    0x88: security.internal_authenticate,
}
NO_CHANNELS, NO_SECURE_MESSAGING = 0x6881, 0x6882
HISTORICAL = b"\x80YIKA-ISO"


class IsoOs:
    """The engine of a plain card."""

    def __init__(self, memory: Memory[IsoImage], random: Callable[[int], bytes]) -> None:
        self._memory = memory
        self._random = random
        self._session = Session(memory, random)

    def reset(self) -> None:
        """Come up in the MF with the state that was committed last."""
        self._memory.reload()
        self._session = Session(self._memory, self._random)

    def watch_writes(self, hook: Hook) -> None:
        """Call the hook at every step of every commit."""
        self._memory.hook = hook

    def execute(self, command: Command) -> Answer:
        """Run one command of class 00; channels and secure messaging are refused by name."""
        if command.cla & 0xF0:
            raise Refused(sw.UNKNOWN_CLA)
        if command.cla & 0x0C:
            raise Refused(NO_SECURE_MESSAGING)
        if command.cla:
            raise Refused(NO_CHANNELS)
        handler = COMMANDS.get(command.ins)
        if handler is None:
            raise Refused(sw.UNKNOWN_INS)
        return handler(self._session, command)


class IsoCard(ChipCard):
    """A plain ISO/IEC 7816-4 card in software.

    Args:
        path: file of the card image; None keeps the state in RAM for the life of the object.
        pins: PINs by number (1 to 15) of a new card.
        keys: 16-byte 3DES authentication keys by number of a new card.
        contactless: answer data at once under a contactless ATR.
        random: source of challenges.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        pins: dict[int, Secret] | None = None,
        keys: dict[int, Secret] | None = None,
        contactless: bool = False,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        def blank() -> IsoImage:
            mf = Node(state.MF_FID, state.DIRECTORY)
            return IsoImage(os.urandom(4), mf, pins or {}, keys or {})

        self.memory = Memory(path, blank=blank, dump=state.dump, load=state.load)
        make_atr = contactless_atr if contactless else contact_atr
        super().__init__(
            IsoOs(self.memory, random), make_atr(HISTORICAL), contactless=contactless
        )
