# SPDX-License-Identifier: Apache-2.0
"""What staff does at a terminal in a history: training, sign-on, wrong PINs, paper sheets."""

from __future__ import annotations

import random
from typing import Any

Step = dict[str, Any]
SCENES = (2, 5)
MOMENTS = 60
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


def worked(dice: random.Random) -> list[Step]:
    """Make the steps of some hands at the keys, some of them cut short."""
    steps: list[Step] = []
    for _ in range(dice.randint(*SCENES)):
        box = 0 if dice.random() < 0.75 else 1
        steps += dice.choice((_training, _training, _torn_training, _pins, _sheet, _chosen))(
            dice, box
        )
    return steps


def _step(dice: random.Random, what: str, box: int, **fields: Any) -> Step:
    step: Step = {"do": "staff", "what": what, "box": box} | fields
    return step | ({"cut": dice.randrange(12)} if dice.random() < 0.2 else {})


def _start(box: int) -> Step:
    return {"do": "start", "box": box}


def _wait(dice: random.Random) -> Step:
    return {"do": "wait", "ms": dice.randint(2 * MINUTE_MS, 3 * HOUR_MS)}


def _training(dice: random.Random, box: int) -> list[Step]:
    """Somebody learns to tap; perhaps nobody ends it but the settlement."""
    card = dice.randrange(4)
    tap: Step = {"do": "tap", "box": box, "card": card}
    end = (
        _step(dice, "serve", box)
        if dice.random() < 0.6
        else {"do": "key", "box": box, "key": "SETTLE"}
    )
    steps = [_step(dice, "train", box), _start(box), tap, _wait(dice), tap | _maybe_cut(dice)]
    return [*steps, _start(box), end, _start(box), tap, _wait(dice), tap]


def _maybe_cut(dice: random.Random) -> Step:
    return {"cut": dice.randrange(MOMENTS)} if dice.random() < 0.4 else {}


def _torn_training(dice: random.Random, box: int) -> list[Step]:
    """A tap of a training is torn, and comes back at the other terminal or after the training."""
    card, where = dice.randrange(4), dice.choice(("BEFORE_ANSWER", "DEBIT", "DEBIT", "WRITTEN"))
    torn: Step = {"do": "tap", "box": box, "card": card, "tear": [dice.randrange(14), where]}
    again = box if dice.random() < 0.5 else 1 - box
    back: Step = {"do": "tap", "box": again, "card": card}
    first = [_step(dice, "train", box), _start(box), torn]
    after = [_step(dice, "serve", box), _start(box)] if dice.random() < 0.5 else []
    return [*first, *after, _wait(dice), back, _wait(dice), back]


def _pins(dice: random.Random, box: int) -> list[Step]:
    """Wrong PINs in a row, through cuts and starts; in the end perhaps the right one."""
    steps: list[Step] = []
    for _ in range(dice.randint(1, 4)):
        steps.append(_step(dice, "wrong-pin", box, card=0))
        steps.append(_start(box))
    if dice.random() < 0.5:
        steps.append(_step(dice, "sign-on", box, card=0))
        steps.append(_start(box))
    return steps


def _sheet(dice: random.Random, box: int) -> list[Step]:
    ago_ms = dice.randint(HOUR_MS, 30 * HOUR_MS)
    sheet = _step(dice, "sheet", box, card=dice.randrange(5), ago_ms=ago_ms,
                  minutes=dice.randint(1, 300), number=dice.randrange(1_000))  # fmt: skip
    return [_step(dice, "sign-on", box, card=0), _start(box), sheet, _start(box)]


def _chosen(dice: random.Random, box: int) -> list[Step]:
    return [_step(dice, "choose", box), _start(box), {"do": "tap", "box": box, "card": 1}]
