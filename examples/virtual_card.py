#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everything without a reader: a virtual card and a virtual PSAM in this process.

    python -m examples.virtual_card

The lines that make them are a fixture for the tests of a program that uses the SDK.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

from card.card_keys import CardKeys
from card.operation import run
from card.personalise import CardData, personalise
from card.protocol import ByteConnection, T0Connection
from card.psam import PsamCard
from card.psam_issuing import PsamData, PsamKeys, personalise_psam
from card.tap import TapRequest
from card.volunteer import VolunteerCard
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.psam import VirtualPsam
from keys.store import FileKeyStore
from keys.usage import KeyUsage

ASN = bytes.fromhex("00000000000000000017")
SERIAL, NUMBER = bytes.fromhex("00000000000000000901"), bytes.fromhex("001122334455")
DATA = CardData(ASN, dt.date(2026, 11, 1), dt.date(2031, 10, 31), "王**", "王小明", "1000000004")
NINE = 1_795_222_800  # 2026-11-21 09:00 in Shanghai


def main(folder: Path) -> None:
    """Make keys, issue card and PSAM, clock in, and check the proof as the issuer would."""
    store = FileKeyStore.create(folder / "keys.yika", "not a secret")
    for usage in KeyUsage:
        store.generate(usage)

    card = T0Connection(ByteConnection(VirtualCard().transmit))
    sam = T0Connection(ByteConnection(VirtualPsam().transmit))
    run(personalise(DATA, CardKeys.from_store(store, ASN, 1)), card)
    run(personalise_psam(PsamData(SERIAL, NUMBER), PsamKeys.from_store(store, SERIAL, 1)), sam)

    volunteer = VolunteerCard(card)
    answer = volunteer.clock_in(TapRequest(PsamCard(sam), NINE, 32, activity=101, h8=bytes(8)))

    tac_key = store.card_key(KeyUsage.TAC, 1, ASN[2:])
    date, time = bytes.fromhex("20261121"), bytes.fromhex("090000")
    assert answer.proof.tac == tac_key.tac4(NUMBER, answer.psam_seq, date, time)
    print(f"{volunteer.identity().masked_name} 已签到 clocked in, TAC {answer.proof.tac.hex()}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
