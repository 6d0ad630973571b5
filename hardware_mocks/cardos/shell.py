# SPDX-License-Identifier: Apache-2.0
"""The outside of a chip: power, reset, T=0 or contactless transport, and being pulled off.

T=0 (ISO/IEC 7816-3): data that follow a command with data wait for GET RESPONSE (61xx), and
a wrong Le is answered with the right one (6Cxx). Contactless, the data come at once.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from hardware_mocks.cardos import sw
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.errors import CardGone, Refused
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
        self._tear: Tear | None = None
        self._waiting = b""
        self._powered = False
        self._struck = False
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
        """Plan one cut, or drop the plan with None."""
        self._tear = plan

    def transmit(self, apdu: bytes) -> bytes:
        """Run one command APDU and return data and status word.

        Raises:
            CardGone: the card has no power, or the planned cut came.
        """
        if not self._powered:
            raise CardGone
        plan = self._due(apdu[1] if len(apdu) > 1 else 0)
        try:
            if plan and plan.moment is Moment.BEFORE_COMMAND:
                raise CardGone
            self._struck = plan is not None
            answer = self._answer(apdu)
            if plan:
                raise CardGone
        except CardGone:
            self.power_off()
            raise
        finally:
            if plan:
                self._tear = None
            self._struck = False
        return answer.data + answer.sw.to_bytes(2, "big")

    def _due(self, ins: int) -> Tear | None:
        """Count the command; return the plan when this command is the one it strikes."""
        plan = self._tear
        if plan is None or not plan.meets(ins):
            return None
        if plan.commands == 0:
            return plan
        self._tear = plan.counted()
        return None

    def _on_write(self, step: WriteStep) -> None:
        if self._struck and self._tear and self._tear.strikes_at(step):
            raise CardGone

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
