# SPDX-License-Identifier: Apache-2.0
"""When a card leaves the reader: a plan for one cut, exact to the command and to the write."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from hardware_mocks.cardos.store import WriteStep


class Moment(enum.Enum):
    """Where inside a command the card is pulled."""

    BEFORE_COMMAND = "the command never reaches the card"
    HALF_WRITTEN = "while the new state is being written"
    WRITTEN = "the new state is written but does not count yet"
    RENAMED = "the new state counts, nothing was answered"
    BEFORE_ANSWER = "the command is done, its answer is lost"


_STEPS = {
    WriteStep.HALF_WRITTEN: Moment.HALF_WRITTEN,
    WriteStep.WRITTEN: Moment.WRITTEN,
    WriteStep.RENAMED: Moment.RENAMED,
}


@dataclass(frozen=True, slots=True)
class Tear:
    """One planned cut: skip `commands` commands (of this INS, if given), then pull the card.

    A moment inside a write never comes in a command that writes nothing; the card is then
    pulled before the answer.
    """

    commands: int = 0
    ins: int | None = None
    moment: Moment = Moment.BEFORE_COMMAND

    def meets(self, ins: int) -> bool:
        """Whether a command with this INS counts for the plan."""
        return self.ins is None or self.ins == ins

    def counted(self) -> Tear:
        """Return the plan after one more command went through untouched."""
        return replace(self, commands=self.commands - 1)

    def strikes_at(self, step: WriteStep) -> bool:
        """Whether the cut comes at this step of a commit."""
        return _STEPS[step] is self.moment
