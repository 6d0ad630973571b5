# SPDX-License-Identifier: Apache-2.0
"""Readers on a serial line, T=0 and T=1, with slots for SAMs.

The reader works with TPDUs: over T=0 the procedure bytes are its own, over T=1 the blocks are
ours (`card.readers.t1`). Presence is asked for ten times a second; a card exchanged between two
looks is noticed by the movements that the reader reports.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from card.errors import CardError, CardRemoved, MuteCard, NoCard, NoReader, ReaderError
from card.protocol import ByteConnection, T0Connection
from card.readers import atr as answer_to_reset
from card.readers import serial_shared
from card.readers.atr import DEFAULT_RATE, T1
from card.readers.ccid import Command, Icc, Voltage, parameters
from card.readers.serial_ccid import Patience
from card.readers.serial_name import SerialName
from card.readers.serial_shared import Shared
from card.readers.t1 import T1Link

POLL_S = 0.1  # a slot status takes 3 ms at 115 200 baud
RETRY_S = 0.25  # how often a line that is away is tried
_VOLTAGES = (Voltage.V5, Voltage.V3, Voltage.V1_8)
_PPSS, _PPS1 = 0xFF, 0x10


class SerialConnection:
    """A powered card in one slot of a serial reader.

    Args:
        shared: The reader; the connection holds the slot until it is closed.
        slot: The slot.

    Raises:
        NoCard, MuteCard, ReaderBusy, NoReader: As they say.
        ProtocolFault: The answer to reset breaks its rules.
    """

    def __init__(self, shared: Shared, slot: int) -> None:
        serial_shared.take_slot(shared, slot)
        self._shared = shared
        self._slot = slot
        self._open = True
        try:
            self._atr = answer_to_reset.parse(self._power())
            self._movements = shared.ccid.movements
            self.protocol = T1 if self._atr.contactless else self._atr.protocol
            self._wait_s = self._atr.waiting_s(self.protocol, shared.ccid.model.clock_hz)
            rate = self._agree_on_rate()
            if not shared.ccid.model.negotiates:
                values = parameters(self._atr, self.protocol, rate)
                own = bytes((self.protocol, 0, 0))
                shared.ccid.ask(Command.SET_PARAMETERS, slot, values, own).check("parameters")
            self._connection = T0Connection(
                ByteConnection(self._sender()), strip_le=self.protocol != T1
            )
        except CardError:
            self.close()
            raise

    @property
    def atr(self) -> bytes:
        """The card's answer to reset."""
        return self._atr.raw

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Send a command, return response data and status word.

        Raises:
            CardRemoved, MuteCard: The card left, or does not answer.
            AnswerLost, NoReader: The line failed. ProtocolFault: The card breaks its rules.
        """
        return self._connection.transmit(apdu)

    def close(self) -> None:
        """Take the card's power away, so that nothing proved stays proved."""
        if not self._open:
            return
        self._open = False
        with contextlib.suppress(ReaderError):
            self._shared.ccid.ask(Command.POWER_OFF, self._slot)
        serial_shared.give_slot(self._shared, self._slot)

    def __enter__(self) -> SerialConnection:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _power(self) -> bytes:
        """Supply power, from 5 V downwards, until the card answers."""
        ask = self._shared.ccid.ask
        error: CardError = MuteCard()
        for voltage in _VOLTAGES:
            try:
                own = bytes((voltage, 0, 0))
                return ask(Command.POWER_ON, self._slot, own=own).check("power on").data
            except (NoCard, NoReader):
                raise
            except (MuteCard, ReaderError) as exc:
                error = exc
            ask(Command.POWER_OFF, self._slot)
        raise error

    def _agree_on_rate(self) -> int:
        """Propose the rate that the card offers, if the reader can (ISO/IEC 7816-3 §9)."""
        offered, model = self._atr.rate, self._shared.ccid.model
        fi, di = self._atr.fi_di
        if offered == DEFAULT_RATE or model.clock_hz * di // fi > model.rate_limit(self._slot):
            return DEFAULT_RATE
        if self._atr.specific is not None or model.negotiates:
            return offered
        request = bytes((_PPSS, _PPS1 | self.protocol, offered))
        request += bytes([request[0] ^ request[1] ^ request[2]])
        try:
            if self._pass(request) == request:
                return offered
        except (MuteCard, ReaderError):
            self._shared.ccid.ask(Command.POWER_OFF, self._slot)
        self._power()  # the card did not agree: from the start, at the first rate
        return DEFAULT_RATE

    def _sender(self) -> Callable[[bytes], bytes]:
        if self.protocol != T1:
            return self._pass
        link = T1Link(self._pass, self._atr.ifsc, use_crc=self._atr.crc)
        link.negotiate()
        return link.transmit

    def _pass(self, data: bytes, multiplier: int = 0) -> bytes:
        """Pass a TPDU or block to the card."""
        ccid = self._shared.ccid
        answer = ccid.transfer(self._slot, data, self._wait_s, multiplier)
        moved = not self._slot and self._movements != ccid.movements
        if moved or answer.icc is Icc.ABSENT:
            raise CardRemoved
        data = answer.check("transfer").data  # a mute card may have lost its power: mute it is
        if answer.icc is not Icc.ACTIVE:
            raise CardRemoved
        return data


class SerialReader:
    """One slot of a serial reader.

    Args:
        name: `serial:DEVICE?model=…&slot=…&baud=…`; it need not be there yet.
        patience: How long the line is waited for.

    Raises:
        NoReader: It is no such name.
    """

    def __init__(self, name: str, patience: Patience | None = None) -> None:
        self._name = name
        self._where = SerialName.parse(name)
        self._patience = patience
        self._shared: Shared | None = None
        self._seen = 0

    @property
    def name(self) -> str:
        """The name it was opened with."""
        return self._name

    def wait_card(self, timeout_s: float) -> bool:
        """Wait until a card is there; False if none came in time.

        Raises:
            NoReader: The line is still away at the end of the time.
            NoPermission, ReaderBusy, NoDriver: As they say.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            pause = POLL_S
            try:
                if self._present():
                    return True
            except NoReader:
                self.close()
                if time.monotonic() >= deadline:
                    raise
                pause = RETRY_S
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            time.sleep(min(pause, remaining))

    def wait_removed(self, timeout_s: float) -> bool:
        """Wait until the card last waited for has left; False if it is still there.

        A card that was taken away and put back in the meantime has left.

        Raises:
            ReaderError: The line went away. The card may lie there still, and nothing tells it
                from one laid down when the line is back.
        """
        deadline = time.monotonic() + timeout_s
        seen = self._seen
        try:
            while self._present() and self._seen == seen:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                time.sleep(min(POLL_S, remaining))
        except ReaderError:
            self.close()
            raise
        return True

    def connect(self) -> SerialConnection:
        """Power the card and take it for this program alone.

        Raises:
            NoCard, MuteCard, ReaderBusy, NoReader, NoPermission: As they say.
            ProtocolFault: The answer to reset breaks its rules.
        """
        return SerialConnection(self._line(), self._where.slot)

    def close(self) -> None:
        """Give the line back; the next use opens it again."""
        shared, self._shared = self._shared, None
        if shared is not None:
            serial_shared.release(shared)

    def _line(self) -> Shared:
        if self._shared is not None and self._shared.ccid.broken:
            self.close()
        if self._shared is None:
            self._shared = serial_shared.acquire(self._where, self._patience)
        return self._shared

    def _present(self) -> bool:
        ccid = self._line().ccid
        present = ccid.icc(self._where.slot) is not Icc.ABSENT
        self._seen = 0 if self._where.slot else ccid.movements
        return present
