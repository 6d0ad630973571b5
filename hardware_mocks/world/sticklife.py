# SPDX-License-Identifier: Apache-2.0
"""A memory stick in a history: it carries batches, brings receipts, gets lost and comes late."""

from __future__ import annotations

import random
from typing import Any

from hardware_mocks.world.link import FAULTS

Step = dict[str, Any]
SCENES = (2, 5)
MOMENTS = 24  # writing or reading a stick has about so many moments at which the power can fail
TICKS_MS = (60_000, 30 * 3_600_000)


def carried(dice: random.Random) -> list[Step]:
    """Make the steps of some journeys of a stick; few go straight there and back."""
    steps: list[Step] = []
    for _ in range(dice.randint(*SCENES)):
        steps += dice.choice((_round, _round, _cut, _old, _both, _lost, _mixed))(dice)
    return steps


def _step(what: str, box: int | None = None, **fields: Any) -> Step:
    return {"do": "stick", "what": what} | ({} if box is None else {"box": box}) | fields


def _box(dice: random.Random) -> int:
    return 0 if dice.random() < 0.75 else 1


def _out(dice: random.Random, box: int, **fields: Any) -> Step:
    return _step("out", box, menu=dice.random() < 0.5, **fields)


def _wait(dice: random.Random) -> Step:
    return {"do": "wait", "ms": dice.randint(*TICKS_MS)}


def _round(dice: random.Random) -> list[Step]:
    box = _box(dice)
    return [_out(dice, box), _wait(dice), _step("carry"), _wait(dice), _step("back", box)]


def _cut(dice: random.Random) -> list[Step]:
    """The power fails, or the stick is pulled out, while it is written or read."""
    box = _box(dice)
    start: Step = {"do": "start", "box": box}
    writing = _out(dice, box, cut=dice.randrange(MOMENTS))
    reading = _step("back", box, cut=dice.randrange(MOMENTS))
    if dice.random() < 0.5:
        return [writing, start, _step("carry"), reading, start, _step("back", box)]
    return [_out(dice, box), _step("carry"), reading, start, _out(dice, box), _step("carry")]


def _old(dice: random.Random) -> list[Step]:
    """A copy of the stick comes back when the stick itself has been there and back."""
    box = _box(dice)
    return [_out(dice, box), _step("copy"), *_round(dice), _step("old"), _step("carry"),
            _step("back", box)]  # fmt: skip


def _both(dice: random.Random) -> list[Step]:
    """The network comes back while the stick is on its way."""
    box = _box(dice)
    sync: Step = {"do": "sync", "box": box}
    if dice.random() < 0.5:
        sync["faults"] = [dice.choice(("", "", *FAULTS)) for _ in range(2)]
    steps = [_out(dice, box), sync, _step("carry"), sync | {"faults": []}, _step("back", box)]
    if dice.random() < 0.4:
        steps.insert(2, steps.pop(3))
    return [*steps, sync | {"faults": []}]


def _lost(dice: random.Random) -> list[Step]:
    box = _box(dice)
    first = [_out(dice, box)]
    if dice.random() < 0.5:
        first.append(_step("carry"))
    return [*first, _step("lost"), _out(dice, box), _step("carry"), _step("back", box)]


def _mixed(dice: random.Random) -> list[Step]:
    """One stick goes from terminal to terminal before it comes to the server."""
    return [_out(dice, 0), _out(dice, 1), _step("carry"), _step("back", 1), _out(dice, 1),
            _step("carry"), _step("back", 0)]  # fmt: skip
