# SPDX-License-Identifier: Apache-2.0
"""Electronic cards on phones in a history: codes that are shown once, twice, late and elsewhere."""

from __future__ import annotations

import random
from typing import Any

from hardware_mocks.world.stock import PEOPLE

Step = dict[str, Any]
SCENES = (2, 5)
MOMENTS = 16  # a code has about so many moments at which the power can fail


def shown(dice: random.Random) -> list[Step]:
    """Make the steps of some codes; most are shown more often than once, or disturbed."""
    steps: list[Step] = []
    for _ in range(dice.randint(*SCENES)):
        steps += dice.choice((_visit, _twice, _twice, _cut, _cut, _late))(dice)
    return steps


def _code(who: int) -> Step:
    return {"do": "phone", "what": "code", "who": who}


def _show(dice: random.Random, who: int, **fields: Any) -> Step:
    box = 0 if dice.random() < 0.6 else 1
    return {"do": "phone", "what": "show", "who": who, "box": box} | fields


def _visit(dice: random.Random) -> list[Step]:
    who = dice.randrange(PEOPLE)
    stay: Step = {"do": "wait", "ms": dice.randint(90_000, 5 * 3_600_000)}
    return [_code(who), _show(dice, who), stay, _code(who), _show(dice, who)]


def _twice(dice: random.Random) -> list[Step]:
    """A picture of the code is sent round: it is shown again, here or elsewhere."""
    who = dice.randrange(PEOPLE)
    gap: Step = {"do": "wait", "ms": dice.randint(500, 110_000)}
    return [_code(who), _show(dice, who), gap, _show(dice, who)]


def _cut(dice: random.Random) -> list[Step]:
    """The power fails while the code is taken; its holder shows it once more."""
    who = dice.randrange(PEOPLE)
    first = _show(dice, who, cut=dice.randrange(MOMENTS))
    start: Step = {"do": "start", "box": first["box"]}
    return [_code(who), first, start, _show(dice, who) | {"box": first["box"]}]


def _late(dice: random.Random) -> list[Step]:
    who = dice.randrange(PEOPLE)
    gap: Step = {"do": "wait", "ms": dice.randint(100_000, 900_000)}
    return [_code(who), gap, _show(dice, who)]
