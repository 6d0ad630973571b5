# SPDX-License-Identifier: Apache-2.0
"""The answer to reset, read strictly (ISO/IEC 7816-3 §8.2; contactless: PC/SC part 3 §3.1.3.2).

A card sends it before anybody knows the card; so it is bounded, every length is checked, and
anything that does not fit is a typed error with its position.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import xor

from card.errors import ProtocolFault

ATR_BYTES_MAX = 33  # TS and at most 32 more (§8.2.1)
DIRECT, INVERSE = 0x3B, 0x3F
T0, T1, GLOBAL = 0, 1, 15

# Defaults where the ATR is silent (§8.3, §10.2, §11.4).
DEFAULT_RATE = 0x11  # Fi 372, Di 1
DEFAULT_WAITING_INTEGER = 10
DEFAULT_IFSC = 32
DEFAULT_BWI_CWI = 0x4D

# §8.3 table 7 and 8; 0 is reserved for future use.
_FI = (372, 372, 558, 744, 1116, 1488, 1860, 0, 0, 512, 768, 1024, 1536, 2048, 0, 0)
_DI = (0, 1, 2, 4, 8, 16, 32, 64, 12, 20, 0, 0, 0, 0, 0, 0)

_WWT_FACTOR = 960
_CONTACTLESS_TD = (0x80, 0x01)
_RESERVED_IFSC = (0x00, 0xFF)


@dataclass(frozen=True, slots=True)
class Atr:
    """What a card says of itself at reset.

    Attributes:
        raw: The bytes as they came.
        protocols: Transmission protocols offered, 0 and 1, first offered first.
        historical: Up to 15 bytes that name chip and operating system.
        rate: Fi and Di as one byte (TA1).
        specific: TA2 where present: the card speaks one protocol and does not negotiate.
        extra_guard: TC1.
        waiting_integer: TC2, for T=0.
        ifsc: Longest information field the card takes, for T=1.
        bwi_cwi: Waiting times for T=1 (first TB after TD of T=1).
        crc: T=1 blocks end in a CRC instead of an LRC.
    """

    raw: bytes
    protocols: tuple[int, ...] = (T0,)
    historical: bytes = b""
    rate: int = DEFAULT_RATE
    specific: int | None = None
    extra_guard: int = 0
    waiting_integer: int = DEFAULT_WAITING_INTEGER
    ifsc: int = DEFAULT_IFSC
    bwi_cwi: int = DEFAULT_BWI_CWI
    crc: bool = False

    @property
    def inverse(self) -> bool:
        """Whether the card uses the inverse convention."""
        return self.raw[0] == INVERSE

    @property
    def contactless(self) -> bool:
        """Whether the ATR has the form that readers make up for contactless cards."""
        return self.raw[0] == DIRECT and tuple(self.raw[2:4]) == _CONTACTLESS_TD

    @property
    def protocol(self) -> int:
        """Return the protocol in force after reset: that of TA2, or else the first offered."""
        return self.protocols[0] if self.specific is None else self.specific & 0x0F

    @property
    def fi_di(self) -> tuple[int, int]:
        """Return clock rate conversion and baud rate adjustment; 372 and 1 where reserved."""
        return rate_of(self.rate)

    def waiting_s(self, protocol: int, clock_hz: int) -> float:
        """Return how long the card may let us wait for its next byte or block, in seconds.

        T=0: work waiting time (§10.2); T=1: block waiting time (§11.4.3).
        """
        fi, _ = self.fi_di
        if protocol == T0:
            return self.waiting_integer * _WWT_FACTOR * fi / clock_hz
        return float((1 << (self.bwi_cwi >> 4)) * _WWT_FACTOR * _FI[1] / clock_hz)


def rate_of(code: int) -> tuple[int, int]:
    """Return Fi and Di of a TA1 byte.

    >>> rate_of(0x95)
    (512, 16)
    """
    fi, di = _FI[code >> 4], _DI[code & 0x0F]
    return (fi, di) if fi and di else (_FI[1], _DI[1])


def parse(raw: bytes) -> Atr:
    r"""Parse an answer to reset.

    Raises:
        ProtocolFault: It is cut, too long, fails its check byte, or offers neither T=0 nor T=1.

    >>> parse(bytes.fromhex("3B66000059494B412009")).historical
    b'YIKA \t'
    >>> parse(bytes.fromhex("3B86800159494B41200934")).protocols
    (0, 1)
    """
    if not 2 <= len(raw) <= ATR_BYTES_MAX:
        raise ProtocolFault(f"ATR: {len(raw)} bytes")
    if raw[0] not in (DIRECT, INVERSE):
        raise ProtocolFault(f"ATR: TS {raw[0]:02X}")
    groups, end = _interface(raw)
    offered = [g.protocol for g in groups[1:] if g.protocol != GLOBAL] or [T0]
    size = raw[1] & 0x0F
    historical = raw[end : end + size]
    if len(historical) != size:
        raise ProtocolFault("ATR: cut in the historical bytes")
    _check_tail(raw, end + size, checked=any(g.protocol != T0 for g in groups[1:]))
    known = tuple(p for p in dict.fromkeys(offered) if p in (T0, T1))
    if not known:
        raise ProtocolFault(f"ATR: offers T={offered[0]} only")
    second = groups[1] if len(groups) > 1 else _NO_GROUP
    t1 = next((g for g in groups[2:] if g.protocol == T1), _NO_GROUP)
    return Atr(
        raw,
        known,
        historical,
        rate=_given(groups[0].ta, DEFAULT_RATE),
        specific=second.ta,
        extra_guard=groups[0].tc or 0,
        waiting_integer=second.tc or DEFAULT_WAITING_INTEGER,
        ifsc=_given(t1.ta, DEFAULT_IFSC) if t1.ta not in _RESERVED_IFSC else DEFAULT_IFSC,
        bwi_cwi=_given(t1.tb, DEFAULT_BWI_CWI),
        crc=bool((t1.tc or 0) & 1),
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """Interface bytes TAi TBi TCi, of the protocol named by the TD before them."""

    protocol: int
    ta: int | None
    tb: int | None
    tc: int | None


_NO_GROUP = _Group(T1, None, None, None)


def _interface(raw: bytes) -> tuple[list[_Group], int]:
    groups: list[_Group] = []
    present, protocol, at = raw[1] >> 4, T0, 2
    while True:
        found: list[int | None] = []
        for bit in (1, 2, 4, 8):
            if not present & bit:
                found.append(None)
                continue
            if at >= len(raw):
                raise ProtocolFault(f"ATR: cut at byte {at}")
            found.append(raw[at])
            at += 1
        ta, tb, tc, td = found
        groups.append(_Group(protocol, ta, tb, tc))
        if td is None:
            return groups, at
        present, protocol = td >> 4, td & 0x0F


def _check_tail(raw: bytes, end: int, *, checked: bool) -> None:
    if len(raw) != end + checked:
        raise ProtocolFault(f"ATR: {len(raw)} bytes where {end + checked} are due")
    if checked and reduce(xor, raw[1:]):
        raise ProtocolFault("ATR: check byte")


def _given(value: int | None, default: int) -> int:
    return default if value is None else value
