# SPDX-License-Identifier: Apache-2.0
"""When a card leaves the reader: a plan for one cut, exact to the command and to the write."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hardware_mocks.cardos.store import WriteStep


class Moment(enum.Enum):
    """Where inside a command the card is pulled."""

    BEFORE_COMMAND = "the command never reaches the card"
    BEFORE_WRITE = "the new state is known but not one byte of it is written"
    HALF_WRITTEN = "while the new state is being written"
    WRITTEN = "the new state is written but does not count yet"
    RENAMED = "the new state counts, nothing was answered"
    BEFORE_ANSWER = "the command is done, its answer is lost"


_STEPS = {
    WriteStep.BEGUN: Moment.BEFORE_WRITE,
    WriteStep.HALF_WRITTEN: Moment.HALF_WRITTEN,
    WriteStep.WRITTEN: Moment.WRITTEN,
    WriteStep.RENAMED: Moment.RENAMED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong once: after `commands` commands (of its INS, if it names one)."""

    commands: int = 0
    ins: int | None = None

    def meets(self, ins: int) -> bool:
        """Whether a command with this INS counts for the fault."""
        return self.ins is None or self.ins == ins


@dataclass(frozen=True, slots=True)
class Tear(Fault):
    """One planned cut: skip `commands` commands (of this INS, if given), then pull the card.

    A moment inside a write never comes in a command that writes nothing; the card is then
    pulled before the answer. With `write` commands are not counted: the cut comes at that
    non-volatile write, 0 the next one, in whatever command it happens.
    """

    commands: int = 0
    ins: int | None = None
    moment: Moment = Moment.BEFORE_COMMAND
    write: int | None = None

    def strikes_at(self, step: WriteStep) -> bool:
        """Whether the cut comes at this step of a commit."""
        return _STEPS[step] is self.moment
