# SPDX-License-Identifier: Apache-2.0
"""The answers to reset follow ISO/IEC 7816-3 to the last bit."""

from __future__ import annotations

from functools import reduce
from operator import xor

import pytest

from hardware_mocks.cardos.atr import (
    CARD_HISTORICAL,
    PSAM_HISTORICAL,
    contact_atr,
    contactless_atr,
)


def _parse(atr: bytes) -> tuple[list[int], bytes, bytes]:
    """Return protocols offered, historical bytes and whatever follows them."""
    assert atr[0] == 0x3B
    at, level, protocols = 1, atr[1], []
    count = atr[1] & 0x0F
    at = 2
    while True:
        at += bin(level >> 4 & 0b0111).count("1")
        if not level & 0x80:
            break
        level = atr[at]
        protocols.append(level & 0x0F)
        at += 1
    return protocols or [0], atr[at : at + count], atr[at + count :]


@pytest.mark.parametrize("historical", [CARD_HISTORICAL, PSAM_HISTORICAL])
def test_contact_atr_has_no_check_byte(historical: bytes) -> None:
    """A card that offers T=0 only has no TCK."""
    assert _parse(contact_atr(historical)) == ([0], historical, b"")


@pytest.mark.parametrize("historical", [CARD_HISTORICAL, PSAM_HISTORICAL])
def test_contactless_atr_has_right_check_byte(historical: bytes) -> None:
    """Everything after TS, TCK included, xors to zero, as T=1 demands."""
    atr = contactless_atr(historical)

    protocols, found, rest = _parse(atr)

    assert (protocols, found, len(rest)) == ([0, 1], historical, 1)
    assert reduce(xor, atr[1:]) == 0


def test_historical_bytes_name_the_card() -> None:
    """The card says YIKA, operating system 2.0, vendor 09."""
    assert bytes.fromhex("59494B412009") == CARD_HISTORICAL
