# SPDX-License-Identifier: Apache-2.0
"""A room for key ceremonies: answers given in order, and everything that was on the screen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from keys.algorithm import Algorithm
from keys.ceremony import Ceremony
from keys.ceremony_plan import KeyOrder, Outcome, Plan
from keys.ceremony_steps import Ask, Clear, Say, ShowOnce
from keys.usage import KeyUsage

# The answer of somebody who types what they have just copied from the screen.
COPY = "<what was shown>"
PEOPLE = ("Officer", "Ann", "Bob", "Cyd")
PARTS = (
    "0123456789ABCDEFFEDCBA9876543210",
    "1F2E3D4C5B6A79880011223344556677",
    "A1B2C3D4E5F60718293A4B5C6D7E8F90",
)
ORDER = KeyOrder(KeyUsage.TAC, 1, Algorithm.TDES)
NOON = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


@dataclass(slots=True)
class Room:
    """Drive one ceremony with answers prepared."""

    answers: Iterable[str]
    screen: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    clears: int = 0

    def hold(self, plan: Plan) -> Outcome:
        """Hold the ceremony to its end; raise what it raises."""
        script = Ceremony(plan, lambda: NOON).script()
        answers = iter(self.answers)
        reply: str | None = None
        while True:
            try:
                step = script.send(reply) if reply is not None else next(script)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            reply = ""
            match step:
                case Say(_, en):
                    self.screen.append(en)
                case Clear():
                    self.clears += 1
                case ShowOnce(_, _, secret):
                    self.shown.append(secret)
                case Ask(_, en, secret_entry):
                    self.screen.append(en)
                    reply = next(answers)
                    if reply == COPY:
                        reply = self.shown[-1].split("   ")[0]
                    if secret_entry:
                        self.hidden.append(reply)


def typed(*parts: str, shares: bool = True) -> list[str]:
    """Give the answers of three custodians who make no mistake."""
    turns = [[part, part, "y"] + [COPY] * shares for part in parts or PARTS]
    return [*PEOPLE, *(answer for turn in turns for answer in turn), "yes"]
