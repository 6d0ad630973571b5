# SPDX-License-Identifier: Apache-2.0
"""How a terminal's key changes in a history: scenes of `change-key`, in among the others."""

from __future__ import annotations

import random
from typing import Any

from hardware_mocks.world.link import FAULTS

Step = dict[str, Any]
SCENES = (1, 4)
MOMENTS = 60  # a change has about so many moments at which the power can fail


def changes(dice: random.Random) -> list[Step]:
    """Make the steps of some changes of key, most of them disturbed."""
    steps: list[Step] = []
    for _ in range(dice.randint(*SCENES)):
        steps += dice.choice((_plain, _cut, _cut, _cut, _disturbed, _disturbed, _full))(dice)
    return steps


def _step(dice: random.Random, **fields: Any) -> Step:
    return {"do": "rekey", "box": 0 if dice.random() < 0.75 else 1} | fields


def _plain(dice: random.Random) -> list[Step]:
    return [_step(dice)]


def _cut(dice: random.Random) -> list[Step]:
    """The power fails during a change, and perhaps once more in the start after it."""
    first = _step(dice, cut=dice.randrange(MOMENTS))
    start: Step = {"do": "start", "box": first["box"]}
    if dice.random() < 0.3:
        return [first, start | {"cut": dice.randrange(16)}, start]
    return [first, start] if dice.random() < 0.6 else [first, start, first | {"cut": None}]


def _disturbed(dice: random.Random) -> list[Step]:
    faults = [dice.choice(("", *FAULTS)) for _ in range(dice.choice((1, 1, 2, 3)))]
    first = _step(dice, faults=faults)
    return [first, _step(dice) | {"box": first["box"]}] if dice.random() < 0.5 else [first]


def _full(dice: random.Random) -> list[Step]:
    """The disk takes no data, or not for long."""
    change = _step(dice)
    fault: Step = {"do": "disk", "box": change["box"]}
    kind = {"room": dice.randrange(900)} if dice.random() < 0.5 else {"syncs": dice.randint(1, 3)}
    start: Step = {"do": "start", "box": change["box"]}
    return [fault | kind, change, fault, start]
