# SPDX-License-Identifier: Apache-2.0
"""What happens to bank cards in a history: scenes of orders, files, losses, in among the others."""

from __future__ import annotations

import random
from typing import Any

from hardware_mocks.world.bank import FATES, WAY
from hardware_mocks.world.stock import APPLICANTS

Step = dict[str, Any]
SCENES = (2, 5)  # after the first order
ENDS = (("lost", "hotline"), ("lost", "staff"), ("damaged", "staff"), ("suspended", "staff"))


def woven(steps: list[Step], life: list[Step], dice: random.Random) -> list[Step]:
    """Put another story in among the steps of a history; both keep their order."""
    places = sorted(dice.randrange(len(steps) + 1) for _ in life)
    found: list[Step] = []
    for at in range(len(steps) + 1):
        found += [step for place, step in zip(places, life, strict=True) if place == at]
        found += steps[at : at + 1]
    return found


def life(dice: random.Random) -> list[Step]:
    """Make the lives of some bank cards."""
    carrier = dice.choice(("debit", "credit"))
    first = [_step("order", who=who, reason="FIRST", carrier=carrier, seen=True)
             for who in range(dice.randint(1, APPLICANTS))]  # fmt: skip
    steps = [*first, _step("export"), _file(dice)]
    scenes = (_on, _ended, _ended, _ended, _wish, _late, _cut, _cut, _back, _leave, _tap, _again)
    for _ in range(dice.randint(*SCENES)):
        steps += dice.choice(scenes)(dice)
    return steps


def _step(what: str, **fields: Any) -> Step:
    return {"do": "issue", "what": what} | fields


def _who(dice: random.Random) -> int:
    return dice.randrange(APPLICANTS)


def _file(dice: random.Random) -> Step:
    steps = len(WAY) if dice.random() < 0.6 else dice.randint(1, len(WAY))
    return _step("file", steps=steps, fate=dice.choice(FATES))


def _on(dice: random.Random) -> list[Step]:
    return [_file(dice)]


def _late(dice: random.Random) -> list[Step]:
    return [_step("late"), _file(dice)]


def _tap(dice: random.Random) -> list[Step]:
    return [_step("tap", box=0, card=dice.randrange(4))]


def _ended(dice: random.Random) -> list[Step]:
    """A card gets lost or broken, and a new one is asked for, made and given out."""
    who, (event, source) = _who(dice), dice.choice(ENDS)
    reason = event.upper() if event != "suspended" else "LOST"
    steps = [_step("report", who=who, event=event, source=source)]
    wish = dice.choice(("hotline", "bank", "staff"))
    seen = dice.random() < 0.8
    if dice.random() < 0.3:
        return [*steps, *_back(dice, who)]
    if wish == "staff":
        steps.append(_step("order", who=who, reason=reason, carrier="debit", seen=seen))
    else:
        twice = dice.random() < 0.4
        steps.append(_step("wish", who=who, reason=reason, source=wish, seen=seen, twice=twice))
    return [*steps, _step("export"), _file(dice), *_tap(dice)]


def _wish(dice: random.Random) -> list[Step]:
    """A wish for a new card out of the blue: mostly one that the rules refuse."""
    reason = dice.choice(("FIRST", "EXPIRY", "DAMAGED", "LOST"))
    source = dice.choice(("hotline", "bank"))
    return [_step("wish", who=_who(dice), reason=reason, source=source, seen=dice.random() < 0.5)]


def _cut(dice: random.Random) -> list[Step]:
    """A card waits at the branch until the bank cuts it; then its holder wants it after all."""
    who = _who(dice)
    return [
        _step(
            "order", who=who, reason="FIRST", carrier=dice.choice(("debit", "credit")), seen=True
        ),
        _step("export"),
        _step("file", steps=3, fate="once"),
        _step("file", steps=1, fate=dice.choice(FATES), cut=True),
        _step("late"),
        _step("wish", who=who, reason="LOST", source=dice.choice(("hotline", "bank")), seen=True),
        _step("export"),
        _file(dice),
    ]


def _back(dice: random.Random, who: int | None = None) -> list[Step]:
    """A card that was lost or set apart is used again."""
    event = dice.choice(("found", "resumed"))
    whose = _who(dice) if who is None else who
    return [_step("report", who=whose, event=event, source="staff"), *_tap(dice)]


def _again(dice: random.Random) -> list[Step]:
    return [_step("order", who=_who(dice), reason="FIRST", carrier="debit", seen=True)]


def _leave(dice: random.Random) -> list[Step]:
    return [_step("leave", who=_who(dice))] if dice.random() < 0.3 else _tap(dice)
