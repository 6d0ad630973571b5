# SPDX-License-Identifier: Apache-2.0
"""The outside of a chip: power, reset, T=0 or contactless transport, time and faults.

T=0 (ISO/IEC 7816-3): data that follow a command with data wait for GET RESPONSE (61xx), and
a wrong Le is answered with the right one (6Cxx). Contactless, the data come at once.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from hardware_mocks.cardos import sw
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.errors import CardGone, CardMute, Refused
from hardware_mocks.cardos.faults import BitError, FaultPlan, Mute, Planned, Slow, WrongStatus
from hardware_mocks.cardos.latency import Latency, Spend, really_wait
from hardware_mocks.cardos.store import Hook, WriteStep
from hardware_mocks.cardos.tear import Moment, Tear

GET_RESPONSE = 0xC0
RESPONSE_MAX = 256
# A card that ends a read with this warning has said that there is no more.
END_OF_FILE = 0x6282


class Answer(NamedTuple):
    """What a command returns: data and status word."""

    data: bytes = b""
    sw: int = sw.OK


class Engine(Protocol):
    """The inside of a chip."""

    def reset(self) -> None:
        """Forget everything volatile and load the state that was committed last."""

    def execute(self, command: Command) -> Answer:
        """Run one command; `Refused` carries any other status word."""

    def watch_writes(self, hook: Hook) -> None:
        """Call the hook at every step of every commit."""


class ChipCard:
    """A chip with contacts or antenna: bytes in, bytes out."""

    def __init__(self, engine: Engine, atr: bytes, *, contactless: bool) -> None:
        self.atr = atr
        self._engine = engine
        self._contactless = contactless
        self.writes = 0  # non-volatile writes since the chip was made
        self._plan = FaultPlan()
        self._latency: Latency | None = None
        self._spend: Spend = really_wait
        self._waiting = b""
        self._powered = False
        engine.watch_writes(self._on_write)
        self.power_on()

    @property
    def powered(self) -> bool:
        """Whether the card answers."""
        return self._powered

    def power_on(self) -> bytes:
        """Supply power and return the ATR; the card knows what it committed last."""
        self._waiting = b""
        self._engine.reset()
        self._powered = True
        return self.atr

    def power_off(self) -> None:
        """Take the power away; everything not committed is forgotten."""
        self._powered = False
        self._waiting = b""

    def reset(self) -> bytes:
        """Reset and return the ATR, like a short loss of power."""
        return self.power_on()

    def tear(self, plan: Tear | None) -> None:
        """Plan one cut, or drop every plan with None."""
        self.plan(*([plan] if plan else []))

    def plan(self, *faults: Planned) -> None:
        """Plan what will go wrong, in place of what was planned before."""
        self._plan = FaultPlan(faults)

    def pace(self, latency: Latency | None, spend: Spend) -> None:
        """Take the time of a real card from now on, or none with None.

        `spend` is given the microseconds of each exchange: a `Stopwatch`, or `really_wait`.
        """
        self._latency, self._spend = latency, spend

    def transmit(self, apdu: bytes) -> bytes:
        """Run one command APDU and return data and status word.

        Raises:
            CardGone: the card has no power, or the planned cut came.
            CardMute: no answer comes, as planned.
        """
        if not self._powered:
            raise CardGone
        fault = self._plan.due(apdu[1] if len(apdu) > 1 else 0)
        before = self.writes
        try:
            if isinstance(fault, Tear) and fault.moment is Moment.BEFORE_COMMAND:
                raise CardGone
            answer = self._respond(apdu, fault)
            self._plan.before_answer()
        except CardGone:
            self.power_off()
            raise
        self._take_time(apdu, answer, fault, self.writes - before)
        return answer

    def _respond(self, apdu: bytes, fault: Planned | None) -> bytes:
        """Return the answer as it arrives, with what the fault makes of it."""
        if isinstance(fault, WrongStatus | Mute) and not fault.executed:
            answer = b""
        else:
            plain = self._answer(apdu)
            answer = plain.data + plain.sw.to_bytes(2, "big")
        if isinstance(fault, Mute):
            raise CardMute(fault.seconds)
        if isinstance(fault, WrongStatus):
            self._waiting = b""
            return fault.sw.to_bytes(2, "big")
        return fault.spoil(answer) if isinstance(fault, BitError) else answer

    def _take_time(self, apdu: bytes, answer: bytes, fault: Planned | None, writes: int) -> None:
        extra = round(fault.seconds * 1_000_000) if isinstance(fault, Slow) else 0
        if self._latency:
            extra += self._latency.duration_us(apdu, answer, writes=writes)
        if extra:
            self._spend(extra)

    def _on_write(self, step: WriteStep) -> None:
        self.writes += step is WriteStep.RENAMED
        self._plan.at_write(step)

    def _answer(self, apdu: bytes) -> Answer:
        try:
            command = Command.parse(apdu)
            if command.ins == GET_RESPONSE and not self._contactless:
                return self._get_response(command)
            self._waiting = b""
            return self._transport(command, self._engine.execute(command))
        except Refused as refused:
            return Answer(sw=refused.sw)

    def _transport(self, command: Command, answer: Answer) -> Answer:
        data, le = answer.data, command.le
        if not data:
            return answer
        if self._contactless:
            wrong = le and len(data) != le and (command.data is None or len(data) > le)
            if wrong and answer.sw != END_OF_FILE:
                return Answer(sw=sw.WRONG_LE | len(data) & 0xFF)
            return answer
        if command.data is not None:
            self._waiting = data
            return Answer(sw=sw.MORE_DATA | len(data) & 0xFF)
        if len(data) != (le or RESPONSE_MAX):
            return Answer(sw=sw.WRONG_LE | len(data) & 0xFF)
        return answer

    def _get_response(self, command: Command) -> Answer:
        if command.p1 or command.p2:
            raise Refused(sw.WRONG_P1P2)
        if not self._waiting:
            raise Refused(sw.CONDITIONS)
        wanted = command.le or len(self._waiting)
        if wanted > len(self._waiting):
            raise Refused(sw.WRONG_LE | len(self._waiting))
        data, self._waiting = self._waiting[:wanted], self._waiting[wanted:]
        rest = len(self._waiting)
        return Answer(data, sw.MORE_DATA | rest if rest else sw.OK)
