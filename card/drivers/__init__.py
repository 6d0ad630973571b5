# SPDX-License-Identifier: Apache-2.0
"""Card operating systems as drivers behind one interface, and which one a card has.

A card is recognised by the historical bytes of its ATR or ATS, or by two commands that change
nothing and cost no attempt. To add a system, write a class with the methods of
`card.drivers.interface.CardDriver` and add it to `DRIVERS`.
"""

from __future__ import annotations

from card.apdu import CommandApdu
from card.commands import get_balance
from card.drivers.capabilities import VOLUNTEER_NEEDS, Capability, require
from card.drivers.fmcos import Fmcos
from card.drivers.interface import CardDriver
from card.drivers.iso7816 import Iso7816
from card.errors import DriverUnknown
from card.operation import Operation
from card.status_words import OK

__all__ = [
    "DRIVERS",
    "FMCOS",
    "ISO7816",
    "VOLUNTEER_NEEDS",
    "Capability",
    "CardDriver",
    "driver_named",
    "driver_of_historical",
    "historical_bytes",
    "probe_driver",
    "require",
]

FMCOS: CardDriver = Fmcos()
ISO7816: CardDriver = Iso7816()
DRIVERS: tuple[CardDriver, ...] = (FMCOS, ISO7816)

# Version 2.0 of the operating system, vendor 09 (Fudan), as an FM1208 says it.
_FMCOS_MARK = b"\x20\x09"
_UNKNOWN_CLASS = (0x6E00, 0x6D00, 0x6881, 0x6882)
_TS_BYTES = (0x3B, 0x3F)


def driver_named(name: str) -> CardDriver:
    """Return a driver by name.

    Raises:
        DriverUnknown: There is none of this name.
    """
    for driver in DRIVERS:
        if driver.name == name:
            return driver
    raise DriverUnknown(name)


def driver_of_historical(historical: bytes) -> CardDriver | None:
    """Return the driver that historical bytes point to; None where they say nothing.

    >>> driver_of_historical(bytes.fromhex("2009000000000066799D24"))
    Fmcos()
    """
    return FMCOS if _FMCOS_MARK in historical else None


def historical_bytes(answer: bytes) -> bytes:
    """Return the historical bytes of an ATR or ATS; empty where the bytes are neither.

    ATR: TS, T0, then interface bytes as T0 and each TD announce (ISO/IEC 7816-3 §8.2). ATS: TL, T0,
    then TA, TB, TC as T0 announces (ISO/IEC 14443-4 §5.2).

    >>> historical_bytes(bytes.fromhex("3b66000059494b412009")).hex()
    '59494b412009'
    >>> historical_bytes(bytes.fromhex("10788090022009000000000066799D24")).hex()
    '2009000000000066799d24'
    """
    if len(answer) < 2:
        return b""
    if answer[0] not in _TS_BYTES:
        announced = (answer[1] >> 4 & 0x07).bit_count()
        return answer[2 + announced :] if answer[0] == len(answer) else b""
    count, at, marks = answer[1] & 0x0F, 2, answer[1] >> 4
    while marks and at < len(answer):
        at += marks.bit_count()
        if not marks & 0x08 or at > len(answer):
            break
        marks = answer[at - 1] >> 4
    return answer[at : at + count]


def probe_driver() -> Operation[CardDriver | None]:
    """Find out which driver a card needs, without changing it and without using an attempt.

    GET BALANCE is of class 80, which a plain card does not know; SELECT of the master file without
    an answer is of the standard alone.

    Returns:
        The driver, or None for a card of neither kind.
    """
    response = yield get_balance()
    if response.sw not in _UNKNOWN_CLASS:
        return FMCOS
    response = yield CommandApdu(0x00, 0xA4, 0x00, 0x0C, bytes.fromhex("3F00"))
    return ISO7816 if response.sw == OK else None
