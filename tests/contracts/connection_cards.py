# SPDX-License-Identifier: Apache-2.0
"""Cards, keys and in-process connections that the card tests share."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from card.card_keys import CardKeys
from card.errors import CardRemoved
from card.operation import Connection, run
from card.personalise import personalise
from card.profile import CardData
from card.protocol import ByteConnection, T0Connection
from card.psam_issuing import PsamData, PsamKeys, personalise_psam
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.errors import CardGone
from hardware_mocks.cardos.psam import VirtualPsam
from hardware_mocks.cardos.shell import ChipCard
from keys.envelope import KdfCost
from keys.store import FileKeyStore
from keys.usage import KeyUsage

# The weakest the derivation takes: these stores guard nothing.
CHEAP = KdfCost(passes=1, memory_kib=8, lanes=1)
PASSPHRASE = "correct horse"
ASN = bytes.fromhex("00000000000000000017")
PSAM_SERIAL = bytes.fromhex("00000000000000000901")
PSAM_NO = bytes.fromhex("001122334455")
UID = bytes.fromhex("66799D24")


def make_store(folder: Path) -> FileKeyStore:
    """Make a key store with one key of each usage."""
    store = FileKeyStore.create(folder / "keys.yika", PASSPHRASE, CHEAP)
    for usage in KeyUsage:
        store.generate(usage)
    return store


def card_data(asn: bytes = ASN, **changes: Any) -> CardData:
    """Return the data of one volunteer."""
    values: dict[str, Any] = {
        "valid_from": dt.date(2026, 11, 1),
        "valid_to": dt.date(2031, 10, 31),
        "masked_name": "王**",
        "name": "王小明",
        "volunteer_number": "1000000004",
    }
    return CardData(asn, **{**values, **changes})


def in_process(chip: ChipCard, *, contactless: bool = False) -> Connection:
    """Connect to a virtual chip without any reader."""

    def send(apdu: bytes) -> bytes:
        try:
            return chip.transmit(apdu)
        except CardGone as exc:
            raise CardRemoved from exc

    return T0Connection(ByteConnection(send), strip_le=not contactless)


def issue(store: FileKeyStore, chip: ChipCard, data: CardData | None = None) -> None:
    """Personalise a virtual card in process and take its power away for a moment."""
    data = data or card_data()
    keys = CardKeys.from_store(store, data.asn, data.key_version)
    run(personalise(data, keys), in_process(chip))
    chip.reset()


def issued_card(store: FileKeyStore, *, contactless: bool = False) -> VirtualCard:
    """Return a freshly issued card in RAM."""
    card = VirtualCard(uid=UID, contactless=contactless)
    data = card_data()
    keys = CardKeys.from_store(store, data.asn, data.key_version)
    run(personalise(data, keys), in_process(card, contactless=contactless))
    card.reset()
    return card


def issued_psam(store: FileKeyStore) -> VirtualPsam:
    """Return a freshly issued PSAM in RAM."""
    psam = VirtualPsam()
    data = PsamData(PSAM_SERIAL, PSAM_NO)
    run(personalise_psam(data, PsamKeys.from_store(store, PSAM_SERIAL, 1)), in_process(psam))
    psam.reset()
    return psam


class Script:
    """A connection that answers from a list and keeps what it was sent."""

    def __init__(self, *answers: str) -> None:
        self.answers = [bytes.fromhex(answer) for answer in answers]
        self.sent: list[str] = []

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Answer with the next line of the script."""
        self.sent.append(apdu.hex().upper())
        answer = self.answers.pop(0)
        return answer[:-2], int.from_bytes(answer[-2:], "big")
