# SPDX-License-Identifier: Apache-2.0
"""A virtual chip as a reader's contacts see it: T=0 TPDUs, or T=1 blocks."""

from __future__ import annotations

from functools import reduce
from operator import xor
from typing import Protocol

from hardware_mocks.cardos.errors import CardGone
from hardware_mocks.serial_reader.faults import Fault, Faults
from hardware_mocks.vpcd import Chip

IFSC = 254
_FIRST_IFSD = 32
_HISTORICAL = b"YIKA\x20\x09"


class Inserted(Protocol):
    """A card in a slot."""

    faults: Faults

    def power_on(self) -> bytes:
        """Supply power and return the answer to reset."""

    def power_off(self) -> None:
        """Take power away."""

    def pass_on(self, data: bytes) -> bytes:
        """Hand the card a TPDU or block and return its answer; empty if it stays mute."""


class T0Card:
    """A chip with T=0; commands go to it as they are."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.faults = Faults()

    def power_on(self) -> bytes:
        """Supply power and return the answer to reset."""
        self.chip.power_on()
        return self.chip.atr

    def power_off(self) -> None:
        """Take power away."""
        self.chip.power_off()

    def pass_on(self, data: bytes) -> bytes:
        """Run one TPDU; a request for protocol parameters (PPS) is granted."""
        if self.faults.strikes(Fault.MUTE):
            return b""
        if data[:1] == b"\xff":
            return data
        return self.chip.transmit(data)


def t1_atr(*, use_crc: bool = False, ifsc: int = IFSC) -> bytes:
    """Build the answer to reset of a card with contacts that speaks T=1.

    TD1 = 81, TD2 = 31 or 71; TA3 is IFSC, TB3 = 45 (BWI 4, CWI 5), TC3 = 01 for a CRC; then TCK.

    >>> t1_atr().hex()
    '3be600008131fe4559494b412009de'
    """
    values = bytes((0x71, ifsc, 0x45, 0x01)) if use_crc else bytes((0x31, ifsc, 0x45))
    tail = bytes((0xE0 | len(_HISTORICAL), 0, 0, 0x81)) + values + _HISTORICAL
    return bytes((0x3B, *tail, reduce(xor, tail)))


class T1Card:
    """A chip behind T=1 blocks (ISO/IEC 7816-3 §11), the card's side of them."""

    def __init__(self, chip: Chip, *, use_crc: bool = False, ifsc: int = IFSC) -> None:
        self.chip = chip
        self.faults = Faults()
        self.blocks: list[bytes] = []
        self._crc = use_crc
        self._ifsc = ifsc
        self._forget()

    def power_on(self) -> bytes:
        """Supply power and return the answer to reset."""
        self.chip.power_on()
        self._forget()
        atr = t1_atr(use_crc=self._crc, ifsc=self._ifsc)
        return atr[:-1] + bytes([atr[-1] ^ self.faults.strikes(Fault.BAD_ATR)])

    def power_off(self) -> None:
        """Take power away."""
        self.chip.power_off()

    def _forget(self) -> None:
        self._ifsd = _FIRST_IFSD
        self._renumber()

    def _renumber(self) -> None:
        self._send, self._expect = 0, 0
        self._command, self._answer = b"", b""
        self._part_sent, self._time_asked = b"", False

    def pass_on(self, data: bytes) -> bytes:
        """Take one block and return the next one of the card."""
        self.blocks.append(data)
        if self.faults.strikes(Fault.MUTE) or self.faults.strikes(Fault.LOST_BLOCK):
            return b""
        tail = 2 if self._crc else 1
        body, check = data[:-tail], data[-tail:]
        whole = len(body) >= 3 and body[2] == len(body) - 3 and self._check(body) == check
        answer = self._react(body[1], body[3:]) if whole else self._ready(1)
        framed = answer + self._check(answer)
        if self.faults.strikes(Fault.BAD_BLOCK):
            return framed[:-1] + bytes([framed[-1] ^ 0x55])
        return framed

    def _react(self, pcb: int, inf: bytes) -> bytes:
        if pcb & 0xC0 == 0xC0:
            return self._supervise(pcb, inf)
        if pcb & 0x80:
            return self._continue(pcb >> 4 & 1)
        if pcb >> 6 & 1 != self._expect or self.faults.left(Fault.RENUMBERED):
            self.faults.strikes(Fault.RENUMBERED)
            return self._ready(2)
        self._expect ^= 1
        self._command += inf
        if pcb & 0x20:
            return self._ready(0)
        if self.faults.strikes(Fault.WAITING_TIME):
            self._time_asked = True
            return _block(0xC3, b"\x03")
        return self._run()

    def _run(self) -> bytes:
        self._time_asked = False
        command, self._command = self._command, b""
        self._answer = self.chip.transmit(command)
        return self._part()

    def _part(self) -> bytes:
        part, self._answer = self._answer[: self._ifsd], self._answer[self._ifsd :]
        self._part_sent = _block(self._send << 6 | (0x20 if self._answer else 0), part)
        self._send ^= 1
        return self._part_sent

    def _continue(self, number: int) -> bytes:
        """R-block: the last part again, the next one, or a block of the host that got lost."""
        if number != self._send:
            return self._part_sent
        if self._time_asked:
            return _block(0xC3, b"\x03")
        return self._part() if self._answer else self._ready(0)

    def _supervise(self, pcb: int, inf: bytes) -> bytes:
        if pcb == 0xC0:
            self._renumber()
            return _block(0xE0)
        if pcb == 0xC1:
            self._ifsd = inf[0]
            return _block(0xE1, inf)
        if pcb == 0xE3:
            return self._run()
        return self._ready(2)

    def _ready(self, error: int) -> bytes:
        return _block(0x80 | self._expect << 4 | error)

    def _check(self, body: bytes) -> bytes:
        if not self._crc:
            return bytes([reduce(xor, body, 0)])
        value = 0xFFFF
        for octet in body:
            for bit in range(8):
                odd = (value ^ octet >> bit) & 1
                value = value >> 1 ^ odd * 0x8408
        return value.to_bytes(2, "big")


def _block(pcb: int, inf: bytes = b"") -> bytes:
    return bytes((0, pcb, len(inf))) + inf


def runs(card: Inserted, data: bytes) -> bytes | None:
    """Pass data to a card; None when it left in the middle."""
    try:
        return card.pass_on(data)
    except CardGone:
        return None
