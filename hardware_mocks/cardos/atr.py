# SPDX-License-Identifier: Apache-2.0
"""The answer to reset: built, not typed, so that the check byte follows its rule."""

from __future__ import annotations

from functools import reduce
from operator import xor

# "YIKA", card operating system 2.0, vendor 09: as the historical bytes of an FM1208 end.
CARD_HISTORICAL = b"YIKA\x20\x09"
PSAM_HISTORICAL = b"YIKAPSAM\x20\x09"

_TS_DIRECT = 0x3B


def contact_atr(historical: bytes) -> bytes:
    """Build the ATR of a T=0 card (ISO/IEC 7816-3 8.2).

    TB1 = 00 (no programming voltage), TC1 = 00 (no extra guard time). TCK is absent because
    T=0 is the only protocol.

    >>> contact_atr(CARD_HISTORICAL).hex()
    '3b66000059494b412009'
    """
    return bytes((_TS_DIRECT, 0x60 | len(historical), 0x00, 0x00)) + historical


def contactless_atr(historical: bytes) -> bytes:
    """Build the ATR that PC/SC part 3 gives a contactless card: TD1 80, TD2 01, hist., TCK.

    TCK is the exclusive or of everything after TS; it must be there because T=1 is offered.

    >>> contactless_atr(CARD_HISTORICAL).hex()
    '3b86800159494b41200934'
    """
    tail = bytes((0x80 | len(historical), 0x80, 0x01)) + historical
    return bytes((_TS_DIRECT, *tail, reduce(xor, tail)))
