# SPDX-License-Identifier: Apache-2.0
"""How a box dies in a history and another one takes its place, in among the other steps."""

from __future__ import annotations

import random
from typing import Any

from hardware_mocks.world.link import FAULTS

Step = dict[str, Any]
SCENES = (1, 3)
MOMENTS = 24  # showing a key, or taking the history over, has about so many that power can fail at
HOUR_MS = 3_600_000
GHOSTS = 0.25  # so often at each turn of a replacement


def replaced(dice: random.Random) -> list[Step]:
    """Make the steps of some deaths, most of them followed by a disturbed replacement."""
    steps: list[Step] = []
    for _ in range(dice.randint(*SCENES)):
        steps += _death(dice)
    return steps


def _step(what: str, box: int, **fields: Any) -> Step:
    return {"do": "box", "what": what, "box": box} | fields


def _death(dice: random.Random) -> list[Step]:
    box = 0 if dice.random() < 0.75 else 1
    steps: list[Step] = []
    if dice.random() < 0.8:  # one that never uploaded is not replaced
        steps.append({"do": "sync", "box": box, "faults": []})
    steps += _last_words(dice, box)
    steps.append(_step("dies", box, offset=dice.randint(-400, 400) * dice.choice((1, 1, 9_000))))
    if dice.random() < 0.3:
        steps.append({"do": "wait", "ms": dice.randint(60_000, 30 * HOUR_MS)})
    steps += _ghost(dice, box)
    steps += _tried(dice, box, "shown")
    steps += _ghost(dice, box)
    if dice.random() < 0.3:
        steps.append({"do": "late", "box": box})
    steps.append(_step("approved", box))
    steps += _ghost(dice, box)
    if dice.random() < 0.4:
        steps.append({"do": "late", "box": box})
    steps += _tried(dice, box, "taken")
    if dice.random() < 0.5:
        steps.append({"do": "tap", "box": box, "card": dice.randrange(3)})
    if dice.random() < 0.5:
        steps.append({"do": "sync", "box": box, "faults": []})
    steps += _ghost(dice, box)
    if dice.random() < 0.2:
        steps.append(_step("shown", box))  # somebody runs it once more
    return steps


def _last_words(dice: random.Random, box: int) -> list[Step]:
    """Taps that are lost with the box, and perhaps a batch that is still under way."""
    steps: list[Step] = []
    for _ in range(dice.randint(0, 3)):
        steps.append({"do": "tap", "box": box, "card": dice.randrange(3)})
        steps.append({"do": "wait", "ms": dice.randint(30_000, 2 * HOUR_MS)})
    if dice.random() < 0.35:
        steps.append({"do": "sync", "box": box, "faults": [dice.choice(("late", "mute"))]})
    if dice.random() < 0.3:
        tap: Step = {"do": "tap", "box": box, "card": dice.randrange(3)}
        steps.append(tap | {"cut": dice.randrange(60)})
    return steps


def _ghost(dice: random.Random, box: int) -> list[Step]:
    """Perhaps the dead box is switched on once more; what it has is handed in, in three ways."""
    if dice.random() >= GHOSTS:
        return []
    way = dice.choice(({}, {"rekey": True}, {"stick": True}))
    step = _step("speaks", box, which=dice.randrange(SCENES[1]), **way)
    if dice.random() < 0.3:
        step["faults"] = [dice.choice(("", *FAULTS)) for _ in range(2)]
    if dice.random() < 0.3:
        step["cut"] = dice.randrange(MOMENTS)
    return [step]


def _tried(dice: random.Random, box: int, what: str) -> list[Step]:
    """One act, often tried more than once: power fails, messages get lost, the disk is full."""
    kind = dice.random()
    if kind < 0.35:
        return [_step(what, box)]
    if kind < 0.65:
        return [_step(what, box, cut=dice.randrange(MOMENTS)), _step(what, box)]
    if kind < 0.9:
        faults = [dice.choice(("", *FAULTS)) for _ in range(dice.choice((1, 2)))]
        return [_step(what, box, faults=faults), _step(what, box)]
    return [_step(what, box, full=True), _step(what, box)]
