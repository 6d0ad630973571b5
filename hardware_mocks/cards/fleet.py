# SPDX-License-Identifier: Apache-2.0
"""Many personalised cards, made fast: one is issued, the others are its clones with own keys.

A clone differs from the first in what a card differs in: serial, file contents and every key,
derived by its own serial as issuing would. Personalising a clone again finds nothing to write.

>>> cards = fleet(3)
>>> [card.data.asn.hex()[-4:] for card in cards]
['0000', '0001', '0002']
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from card.card_keys import CardKeys
from card.operation import run
from card.personalise import personalise
from card.profile import STANDARD, CardData, Profile
from hardware_mocks.cardos import state
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cards.connection import connect
from hardware_mocks.cards.keyring import SM4_VERSION, TDES_VERSION, keyring
from keys.algorithm import Algorithm
from keys.store import FileKeyStore
from keys.usage import CARD_KEYS

_SURNAMES = "王李张刘陈杨黄赵吴周"
_GIVEN = ("小明", "晓燕", "志强", "丽", "建国", "海", "婷", "伟", "敏", "芳")
_UID_BYTES = 4


def member(number: int, version: int = TDES_VERSION) -> CardData:
    """Return the data of the n-th holder of a fleet, always the same ones."""
    surname, given = _SURNAMES[number % 10], _GIVEN[number // 10 % 10]
    return CardData(
        asn=bytes.fromhex(f"00005949{number:012d}"),
        valid_from=dt.date(2026, 1, 1),
        valid_to=dt.date(2031, 12, 31),
        masked_name=surname + "*" * len(given),
        name=surname + given,
        volunteer_number=f"{1_000_000_000 + number}",
        key_version=version,
        algorithm=Algorithm.SM4 if version == SM4_VERSION else Algorithm.TDES,
    )


@dataclass(frozen=True, slots=True)
class FleetCard:
    """One card of a fleet: what its holder's data are, and its image."""

    data: CardData
    written: bytes = field(repr=False)

    def chip(self, *, contactless: bool = False) -> VirtualCard:
        """Return the card in RAM, a new one at each call."""
        return VirtualCard.of(self.written, contactless=contactless)

    def save(self, path: Path) -> None:
        """Write the card where a card host or `VirtualCard(path)` finds it."""
        path.write_bytes(self.written)


def fleet(
    count: int,
    store: FileKeyStore | None = None,
    version: int = TDES_VERSION,
    profile: Profile = STANDARD,
) -> list[FleetCard]:
    """Make so many personalised cards, numbered from 0.

    Args:
        count: How many.
        store: Whose keys they carry; the test keyring by default.
        version: Key version; 2 is SM4 in the test keyring.
        profile: What each holds.
    """
    if count < 1:
        return []
    store = store or keyring()
    people = [member(number, version) for number in range(count)]
    content = state.unseal(issue(people[0], store, profile))
    keys = _derive(people, store, version)
    return [
        FleetCard(data, _clone(content, data, {usage: keys[usage][i] for usage in keys}, profile))
        for i, data in enumerate(people)
    ]


def issue(data: CardData, store: FileKeyStore, profile: Profile = STANDARD) -> bytes:
    """Personalise one blank card with the SDK and return its image."""
    card = VirtualCard(uid=data.asn[-_UID_BYTES:], eeprom=profile.chip_bytes)
    keys = CardKeys.from_store(store, data.asn, data.key_version)
    run(personalise(data, keys, profile), connect(card))
    return state.dump(card.memory.image)


def _derive(people: list[CardData], store: FileKeyStore, version: int) -> dict[Any, list[str]]:
    """Return every card's key of each usage as hex text."""
    joined = b"".join(data.diversifier for data in people)
    factors = np.frombuffer(joined, dtype=np.uint8).reshape(-1, 8)
    return {
        usage: [row.tobytes().hex() for row in store.bulk(usage, version).derive(factors)]
        for usage in CARD_KEYS
    }


def _clone(
    content: dict[str, Any], data: CardData, keys: dict[Any, str], profile: Profile
) -> bytes:
    """Write the first card's content over with what is another card's own."""
    content["uid"] = data.asn[-_UID_BYTES:].hex()
    mf = content["mf"]
    application = mf["children"][str(profile.application.fid)]
    for fid, body in data.contents(profile).items():
        file = application["files"][str(fid)]
        if file["records"]:
            file["records"] = [body.hex()]
        else:
            rest = (file["body"] or "")[2 * len(body) :]
            file["body"] = body.hex() + rest
    for directory, raw in ((profile.master_file, mf), (profile.application, application)):
        held = {
            (key["kind"], key["number"]): key
            for file in raw["files"].values()
            for key in file["keys"]
        }
        for spec in directory.keys:
            held[spec.key_type, spec.key_id]["value"] = keys[spec.usage]
    return state.seal(content)
