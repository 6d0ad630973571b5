# SPDX-License-Identifier: Apache-2.0
"""Blocks of the transmission protocol T=1, our side of them (ISO/IEC 7816-3 §11).

A reader that works with TPDUs passes blocks through; chaining, acknowledgement, waiting time,
repetition and resynchronisation are ours. A command is never sent a second time once its last
block may have reached the card: a card that loses its place in mid-command gives `AnswerLost`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import xor

from card.errors import AnswerLost, MuteCard, ProtocolFault
from card.readers.atr import DEFAULT_IFSC

IFSD = 254  # the longest information field there is; we take all of it
RETRIES_MAX = 3  # §11.6.3.2: two repetitions and the block itself
RESYNCHS_MAX = 3
# Neither a chain nor a card that asks for time goes on for ever: 64 KiB and some minutes.
BLOCKS_MAX = 300
ANSWER_BYTES_MAX = 65_538

_HEADER = 3
_MORE = 0x20  # M bit of an I-block
_R_EDC, _R_OTHER = 0x01, 0x02
_RESYNCH, _IFS, _ABORT, _WTX = 0xC0, 0xC1, 0xC2, 0xC3
_RESPONSE = 0x20  # bit that makes an S-response of an S-request

Exchange = Callable[[bytes, int], bytes]


def lrc(data: bytes) -> bytes:
    """Return the exclusive or of all bytes.

    >>> lrc(bytes.fromhex("00C10001FE")).hex()
    '3e'
    """
    return bytes([reduce(xor, data, 0)])


def crc(data: bytes) -> bytes:
    """Return CRC-16 with x^16 + x^12 + x^5 + 1, start FFFF, reflected, high byte first.

    >>> crc(b"123456789").hex()
    '6f91'
    """
    value = 0xFFFF
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
    return value.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Block:
    """One block without its check bytes; `pcb` tells what kind it is."""

    pcb: int
    inf: bytes = b""

    @property
    def is_information(self) -> bool:
        """An I-block: a part of a command or answer."""
        return not self.pcb & 0x80

    @property
    def is_ready(self) -> bool:
        """An R-block: an acknowledgement, or a request to repeat."""
        return self.pcb & 0xC0 == 0x80

    @property
    def number(self) -> int:
        """N(S) of an I-block, N(R) of an R-block."""
        return self.pcb >> (6 if self.is_information else 4) & 1

    @property
    def more(self) -> bool:
        """Whether the chain goes on."""
        return bool(self.pcb & _MORE)


class _Distorted(Exception):
    """A block that breaks its rules; `code` is what an R-block says of it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class T1Link:
    """One card that speaks T=1.

    Args:
        exchange: Sends one block and returns the next one from the card. Its second argument
            multiplies the waiting time (0: as usual). Raises MuteCard when nothing comes.
        ifsc: Longest information field the card takes.
        use_crc: Blocks end in a CRC instead of an LRC.
    """

    def __init__(
        self, exchange: Exchange, ifsc: int = DEFAULT_IFSC, *, use_crc: bool = False
    ) -> None:
        self._exchange = exchange
        self._ifsc = ifsc
        self._check = crc if use_crc else lrc
        self._send_no = 0
        self._receive_no = 0

    def negotiate(self) -> None:
        """Tell the card that we take blocks of 254 bytes.

        Raises:
            ProtocolFault: The card does not agree. MuteCard: It does not answer.
        """
        answer = self._supervise(Block(_IFS, bytes([IFSD])))
        if answer.inf != bytes([IFSD]):
            raise ProtocolFault("T=1: IFSD not accepted")

    def transmit(self, apdu: bytes) -> bytes:
        """Send one command APDU and return the whole response APDU.

        Raises:
            AnswerLost: The card lost its place; whether it ran the command is not known.
            ProtocolFault: The card breaks the rules of T=1. MuteCard: It does not answer.
        """
        chunks = [apdu[i : i + self._ifsc] for i in range(0, len(apdu), self._ifsc)] or [b""]
        for chunk in chunks[:-1]:
            block = self._talk(self._information(chunk, more=True))
            if block.is_information:
                raise ProtocolFault("T=1: an answer before the end of the command")
            self._send_no ^= 1
        block = self._talk(self._information(chunks[-1], more=False))
        self._send_no ^= 1
        return self._collect(block)

    def _collect(self, block: Block) -> bytes:
        parts = bytearray()
        for _ in range(BLOCKS_MAX):
            if not block.is_information:
                raise ProtocolFault("T=1: acknowledged without an answer")
            parts += block.inf
            self._receive_no ^= 1
            if len(parts) > ANSWER_BYTES_MAX:
                break
            if not block.more:
                return bytes(parts)
            block = self._talk(self._ready(0))
        raise ProtocolFault("T=1: a chain without end")

    def _information(self, inf: bytes, *, more: bool) -> Block:
        return Block(self._send_no << 6 | (_MORE if more else 0), inf)

    def _ready(self, code: int) -> Block:
        return Block(0x80 | self._receive_no << 4 | code)

    def _talk(self, ours: Block) -> Block:
        """Send a block until the card answers it with the next I-block or its acknowledgement."""
        failures, repeats, wtx, out = 0, 0, 0, ours
        for _ in range(BLOCKS_MAX):
            try:
                theirs = self._once(out, wtx)
                if theirs.is_information or theirs.is_ready:
                    if self._answers(ours, theirs):
                        return theirs
                    repeats, out = repeats + 1, ours
                else:
                    out = self._obey(theirs)
                wtx = theirs.inf[0] if theirs.pcb == _WTX else 0
            except MuteCard:
                failures += 1
                if failures > RETRIES_MAX:
                    raise
                out, wtx = self._ready(_R_OTHER), 0
            except _Distorted as fault:
                failures += 1
                out, wtx = self._ready(fault.code), 0
            if max(failures, repeats) > RETRIES_MAX:
                self._resynchronise()
                raise AnswerLost("T=1 resynchronised")
        raise ProtocolFault("T=1: supervisory blocks without end")

    def _answers(self, ours: Block, theirs: Block) -> bool:
        """Tell the answer to our block from a request to send it again."""
        if theirs.is_information:
            if theirs.number != self._receive_no:
                raise _Distorted(_R_OTHER)
            return True
        if not ours.is_information:
            return False
        acknowledged = theirs.number != ours.number
        if acknowledged and not ours.more:
            raise _Distorted(_R_OTHER)
        return acknowledged

    def _obey(self, request: Block) -> Block:
        """Return the response to a request of the card (§11.6.3.3)."""
        if request.pcb == _WTX and len(request.inf) == 1:
            return Block(_WTX | _RESPONSE, request.inf)
        if request.pcb == _IFS and len(request.inf) == 1 and 0 < request.inf[0] <= IFSD:
            self._ifsc = request.inf[0]
            return Block(_IFS | _RESPONSE, request.inf)
        if request.pcb == _ABORT and not request.inf:
            self._exchange_quietly(Block(_ABORT | _RESPONSE))
            raise ProtocolFault("T=1: the card broke the chain off")
        raise _Distorted(_R_OTHER)

    def _exchange_quietly(self, block: Block) -> None:
        try:
            self._once(block, 0)
        except (_Distorted, MuteCard):
            return  # the next command finds out where the card is

    def _resynchronise(self) -> None:
        """Bring both sides back to their first numbers.

        Raises:
            MuteCard: The card does not agree in three attempts.
        """
        self._supervise(Block(_RESYNCH), RESYNCHS_MAX)
        self._send_no = self._receive_no = 0

    def _supervise(self, request: Block, attempts: int = RETRIES_MAX) -> Block:
        """Send an S-request until its S-response comes."""
        for _ in range(attempts):
            try:
                answer = self._once(request, 0)
            except (_Distorted, MuteCard):
                continue
            if answer.pcb == request.pcb | _RESPONSE:
                return answer
        raise MuteCard

    def _once(self, block: Block, wtx: int) -> Block:
        body = bytes((0, block.pcb, len(block.inf))) + block.inf
        return self._parse(self._exchange(body + self._check(body), wtx))

    def _parse(self, raw: bytes) -> Block:
        tail = len(self._check(b""))
        if len(raw) < _HEADER + tail:
            raise _Distorted(_R_OTHER)
        body, check = raw[:-tail], raw[-tail:]
        if self._check(body) != check:
            raise _Distorted(_R_EDC)
        if body[0] or body[2] != len(body) - _HEADER or body[2] > IFSD:
            raise _Distorted(_R_OTHER)
        return Block(body[1], body[_HEADER:])
