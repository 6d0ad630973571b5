# SPDX-License-Identifier: Apache-2.0
"""The virtual card as a whole: issued with raw APDUs, tapped, in both transport modes."""

from __future__ import annotations

import pytest

from hardware_mocks.cardos import crypto
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.psam import VirtualPsam
from tests.unit.hardware_mocks.cardos import issuing

COMPOSITE = bytes.fromhex("AA1E") + bytes(range(30))


@pytest.mark.parametrize("contactless", [False, True])
def test_tap_of_issued_card(contactless: bool) -> None:
    """A blank card can be issued and tapped, and the tap's proofs are the ones its keys give."""
    card = VirtualCard(contactless=contactless)
    session = issuing.Session(card.transmit)
    psam = issuing.Session(VirtualPsam().transmit)
    issuing.personalise(session)
    issuing.personalise_psam(psam)
    card.reset()

    answer = issuing.tap(session, psam, COMPOSITE)

    signed = bytes(4) + b"\x09" + issuing.PSAM_NO + (1).to_bytes(4, "big")
    when = bytes.fromhex("20261121090000")
    assert crypto.purse_mac(crypto.tac_key(issuing.TAC), signed + when) == answer[:4]
    assert session("00B2AAC800") == (COMPOSITE, 0x9000)
