# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a terminal and a card, as one plan a chip follows.

Besides `Tear`: a wrong status word, a flipped bit, silence, slowness. Every fault skips
`commands` commands (of its INS, if it names one), strikes once and is spent.

>>> plan = FaultPlan([WrongStatus(commands=1, sw=0x6581)])
>>> plan.due(0xB0) is None, plan.due(0xB0)
(True, WrongStatus(commands=0, ins=None, sw=25985, executed=False))
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from hardware_mocks.cardos.errors import CardGone
from hardware_mocks.cardos.store import WriteStep
from hardware_mocks.cardos.tear import Fault, Moment, Tear

# A card that is silent for longer than this has been pulled by every driver.
SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongStatus(Fault):
    """The card answers this status word; it does the command first only where `executed`."""

    sw: int = 0x6F00
    executed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BitError(Fault):
    """One bit of the answer arrives wrong: `bit` counts from the first, round the answer."""

    bit: int = 0

    def spoil(self, answer: bytes) -> bytes:
        """Return the answer with the bit flipped.

        >>> BitError(bit=1).spoil(bytes.fromhex("9000")).hex()
        'd000'
        """
        place = self.bit % (8 * len(answer))
        flipped = bytearray(answer)
        flipped[place // 8] ^= 0x80 >> place % 8
        return bytes(flipped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute(Fault):
    """No answer comes, as long as `seconds`; the command is done only where `executed`."""

    seconds: float = 1.0
    executed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow(Fault):
    """The answer takes so much longer."""

    seconds: float = 0.5


Planned = Tear | WrongStatus | BitError | Mute | Slow

KINDS: dict[str, type[Planned]] = {
    "tear": Tear,
    "status": WrongStatus,
    "bit": BitError,
    "mute": Mute,
    "slow": Slow,
}
_MOMENTS = {moment.name.lower().replace("_", "-"): moment for moment in Moment}


def parse(request: dict[str, Any]) -> Planned:
    """Build a fault from a JSON object: `kind`, and the fields of that kind by name.

    INS and status word are numbers or hex text; a moment is its name in small letters.

    Raises:
        ValueError: the kind or a field is unknown or does not fit; the text says which.

    >>> parse({"kind": "tear", "moment": "half-written", "ins": "54"}).moment.name
    'HALF_WRITTEN'
    """
    rest = dict(request)
    kind = KINDS.get(str(rest.pop("kind", None)))
    if kind is None:
        message = f"unknown fault {request.get('kind')!r}; known: {', '.join(KINDS)}"
        raise ValueError(message)
    known = {item.name for item in fields(kind)}
    values: dict[str, Any] = {}
    for name, value in rest.items():
        if name not in known:
            message = f"{name!r} is no field of this fault; known: {', '.join(sorted(known))}"
            raise ValueError(message)
        values[name] = _value(name, value)
    return kind(**values)


def _value(name: str, value: object) -> object:
    if name == "moment":
        if value not in _MOMENTS:
            message = f"unknown moment {value!r}; known: {', '.join(_MOMENTS)}"
            raise ValueError(message)
        return _MOMENTS[str(value)]
    if name == "executed" and isinstance(value, bool):
        return value
    if name in ("ins", "sw") and isinstance(value, str):
        return int(value, 16)
    if name == "seconds" and isinstance(value, int | float) and 0 <= value <= SECONDS_MAX:
        return float(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    message = f"{name} cannot be {value!r}"
    raise ValueError(message)


class FaultPlan:
    """The faults a chip still has before it, and what they have to do with each command."""

    def __init__(self, faults: Iterable[Planned] = ()) -> None:
        self._waiting = list(faults)
        self._writes = 0
        self._now: Planned | None = None
        self._cut = False

    def due(self, ins: int) -> Planned | None:
        """Count a command; return the fault that strikes in it, if any."""
        self._now, self._cut = None, False
        kept: list[Planned] = []
        for fault in self._waiting:
            counts = not _by_write(fault) and fault.meets(ins)
            if counts and not fault.commands and self._now is None:
                self._now = fault
            elif counts and fault.commands:
                kept.append(replace(fault, commands=fault.commands - 1))
            else:
                kept.append(fault)
        self._waiting = kept
        return self._now

    def at_write(self, step: WriteStep) -> None:
        """Follow a commit; raises CardGone where the cut comes at this step of it."""
        if isinstance(self._now, Tear) and self._now.strikes_at(step):
            raise CardGone
        for fault in list(self._waiting):
            if not (isinstance(fault, Tear) and fault.write == self._writes):
                continue
            if fault.moment is Moment.BEFORE_ANSWER:
                self._cut = True
            elif not fault.strikes_at(step):
                continue
            self._waiting.remove(fault)
            if not self._cut:
                raise CardGone
        self._writes += step is WriteStep.RENAMED

    def before_answer(self) -> None:
        """End a command; raises CardGone where its answer is lost by a cut."""
        if self._cut or isinstance(self._now, Tear):
            raise CardGone


def _by_write(fault: Planned) -> bool:
    return isinstance(fault, Tear) and fault.write is not None
