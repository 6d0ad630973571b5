#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tap in and out with a software PSAM, and check the card's proof as the issuer would.

    python -m examples.soft_psam

The software PSAM is a file and its counter; it holds one purchase master key and nothing else.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from card.bcd import bcd_datetime
from card.tap import TapRequest
from card.volunteer import VolunteerCard
from hardware_mocks.cards import named
from hardware_mocks.cards.connection import connect
from hardware_mocks.cards.keyring import keyring
from keys.psam import SoftwarePsam
from keys.usage import KeyUsage

NINE, CHINA = 1_795_222_800, 32  # 2026-11-21 09:00 in Shanghai; quarter hours
NUMBER = bytes.fromhex("001122334455")


def main(folder: Path) -> None:
    """Tap in at nine and out at half past eleven."""
    store = keyring()
    store.export_software_psam(folder / "pos.psam", NUMBER, "not a secret")
    psam = SoftwarePsam.open(folder / "pos.psam", "not a secret")
    card = VolunteerCard(connect(named.card("issued", store)))

    came = card.clock_in(TapRequest(psam, NINE, CHINA, activity=101, h8=bytes(8)))
    service = card.open_service()
    assert service is not None
    left = card.clock_out(TapRequest(psam, NINE + 9_000, CHINA, activity=101, h8=bytes(8)))

    tac_key = store.card_key(KeyUsage.TAC, 1, card.identity().diversifier)
    for answer, second in ((came, NINE), (left, NINE + 9_000)):
        due = tac_key.tac4(NUMBER, answer.psam_seq, *bcd_datetime(second, CHINA))
        assert answer.proof.tac == due
    minutes = (NINE + 9_000 - service.utc_s) // 60
    print(f"签到 {came.psam_seq}，签退 {left.psam_seq}：{minutes} 分钟 minutes, both TACs right")
    psam.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
