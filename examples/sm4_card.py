#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Issue a card with SM4 keys and check its presence proof: the same calls, another algorithm.

    python -m examples.sm4_card

A key says itself what it is; nothing in the program branches on the algorithm.
"""

from __future__ import annotations

from card.card_keys import CardKeys
from card.operation import run
from card.personalise import personalise
from card.tap import presence
from card.volunteer import VolunteerCard
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cards import named
from hardware_mocks.cards.connection import connect
from hardware_mocks.cards.keyring import keyring
from keys.usage import KeyUsage

H8 = bytes.fromhex("0102030405060708")


def main() -> None:
    """Issue, read, and prove."""
    data = named.data_of("sm4")  # key_version 2 of the store, whose keys are SM4
    keys = CardKeys.from_store(keyring(), data.asn, data.key_version)
    card = connect(VirtualCard())

    done = run(personalise(data, keys), card)
    face = VolunteerCard(card).identity()
    proof = run(presence(H8), card)

    assert proof == keys[KeyUsage.PRESENCE].cg2(H8)
    algorithm = keys[KeyUsage.PRESENCE].algorithm.value
    print(f"{face.masked_name} 已发卡 issued in {done.writes} writes, {algorithm}, CG2 right")


if __name__ == "__main__":
    main()
