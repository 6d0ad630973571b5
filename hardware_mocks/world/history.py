# SPDX-License-Identifier: Apache-2.0
"""A history as data: a setup and a list of steps, made from a seed, kept in a file of JSON."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardware_mocks.world import boxlife, keylife, lives, phonelife, stafflife, sticklife
from hardware_mocks.world.attacks import ATTACKS
from hardware_mocks.world.link import FAULTS
from hardware_mocks.world.stock import OWNERS, SPARE_PSAM, STRANGE_PSAM, UNKNOWN_CARD, WRONG_CARD

Step = dict[str, Any]
FILE_SIZE_MAX = 4 * 1024 * 1024  # a history is some kilobytes
SHORT = (1, 5)  # in the suite
LENGTH = (10, 30)  # steps of one history
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
MOMENTS_OF_TAP = 60  # a tap has about so many moments at which the power can fail
BOXES = 2
GPS = 0.15  # so many have a receiver that lies about the time
ALONE = 0.5  # so many play at one terminal only
ISSUING = 10  # one in so many has applicants, staff and a bank in it
ISSUING_SHORT = 50
# Of so many, in one staff trains, signs on and enters sheets, one has a memory stick, one changes
# the keys of its terminals, one has phones, and in one boxes die and are replaced: tenths of the
# way in.
_STORIES = {
    1: stafflife.worked, 3: sticklife.carried, 5: keylife.changes,
    7: phonelife.shown, 9: boxlife.replaced,
}  # fmt: skip
HARSH = 0.25  # so many histories have rolled-back, spoilt or foreign parts


@dataclass(frozen=True, slots=True)
class History:
    """What happens in one world."""

    setup: Step
    steps: tuple[Step, ...]

    def to_json(self) -> str:
        """Return the text of a history's file, a line a step."""
        lines = ",\n  ".join(json.dumps(step) for step in self.steps)
        return f'{{"setup": {json.dumps(self.setup)},\n "steps": [\n  {lines}\n ]}}\n'

    @classmethod
    def load(cls, path: Path) -> History:
        """Read a history from its file."""
        with path.open("rb") as file:
            document = json.loads(file.read(FILE_SIZE_MAX))
        return cls(document["setup"], tuple(document["steps"]))


def make(seed: int, lengths: tuple[int, int] = LENGTH) -> History:
    """Make the history of a seed, always the same one for the same bounds of its length."""
    dice = random.Random(seed)  # noqa: S311 - dice, no secrets
    setup = {
        "r": dice.getrandbits(32),
        "drift": [dice.randint(-45, 45) for _ in range(BOXES)],
        "offset": [_offset(dice) for _ in range(BOXES)],
        "server_ms": dice.randint(-40, 40),
    }
    if dice.random() < GPS:
        setup["gps_s"] = dice.choice((-1, 1)) * dice.randint(5, 86_400)
    length = dice.randint(*lengths)
    steps: list[Step] = []
    # What makes a terminal lose its own past waives much of what can be asked of it afterwards.
    harsh = dice.random() < HARSH
    names = [name for name in _SCENES if harsh or name not in _HARSH]
    weights = [_SCENES[name][0] * (4 if name in _HARSH else 1) for name in names]
    while len(steps) < length:
        name = dice.choices(names, weights)[0]
        steps += _SCENES[name][1](dice)
    alone = dice.random() < ALONE
    every = ISSUING if lengths == LENGTH else ISSUING_SHORT
    more = random.Random(seed + 1)  # noqa: S311 - dice, no secrets
    if seed % every == 0:
        setup["issuing"] = True
        steps = lives.woven(steps, lives.life(more), more)
    for tenth, story in _STORIES.items():
        if seed % every == every * tenth // 10:
            steps = lives.woven(steps, story(more), more)
    for step in steps:
        step["r"] = dice.getrandbits(32)
        if alone and "box" in step:
            step["box"] = 0
    return History(setup, tuple(steps))


def _offset(dice: random.Random) -> int:
    return dice.randint(-400, 400) if dice.random() < 0.7 else dice.randint(-HOUR_MS, HOUR_MS)


def _box(dice: random.Random) -> int:
    return 0 if dice.random() < 0.75 else 1


def _card(dice: random.Random) -> int:
    if dice.random() < 0.06:
        return dice.choice((UNKNOWN_CARD, WRONG_CARD))
    return min(int(dice.expovariate(0.8)), len(OWNERS) - 1)


def _tap(dice: random.Random, **fields: Any) -> Step:
    return {"do": "tap", "box": _box(dice), "card": _card(dice)} | fields


def _plain(dice: random.Random) -> list[Step]:
    return [_tap(dice), _pause(dice)]


def _pause(dice: random.Random) -> Step:
    kind = dice.random()
    if kind < 0.45:
        ms = dice.randint(500, 50_000)
    elif kind < 0.9:
        ms = dice.randint(MINUTE_MS + 2_000, 90 * MINUTE_MS)
    else:
        ms = dice.randint(2 * HOUR_MS, 30 * HOUR_MS)
    return {"do": "wait", "ms": ms}


def _visit(dice: random.Random) -> list[Step]:
    box, card = _box(dice), _card(dice)
    stay = {"do": "wait", "ms": dice.randint(6 * MINUTE_MS, 5 * HOUR_MS)}
    return [_tap(dice, box=box, card=card), stay, _tap(dice, box=box, card=card)]


def _nervous(dice: random.Random) -> list[Step]:
    box, card = _box(dice), _card(dice)
    gap = {"do": "wait", "ms": dice.randint(1_000, 55_000)}
    return [_tap(dice, box=box, card=card), gap, _tap(dice, box=box, card=card)]


def _torn(dice: random.Random) -> list[Step]:
    box, card = _box(dice), _card(dice)
    where = dice.choice(("BEFORE_COMMAND", "WRITTEN", "RENAMED", "BEFORE_ANSWER", "DEBIT", "DEBIT"))
    first = _tap(dice, box=box, card=card, tear=[dice.randrange(14), where])
    again = box if dice.random() < 0.6 else 1 - box
    return [first, _pause(dice), _tap(dice, box=again, card=card)]


def _swapped(dice: random.Random) -> list[Step]:
    fields: Step = {"stays": dice.randrange(12)}
    if dice.random() < 0.7:
        fields["other"] = _card(dice)
    return [_tap(dice, **fields)]


def _crash(dice: random.Random) -> list[Step]:
    box, card = _box(dice), _card(dice)
    steps = [_tap(dice, box=box, card=card, cut=dice.randrange(MOMENTS_OF_TAP))]
    if dice.random() < 0.3:
        steps.append(_pause(dice))
    steps.append(_start(dice, box))
    if dice.random() < 0.7:
        steps.append(_tap(dice, box=dice.choice((box, box, 1 - box)), card=card))
    return steps


def _start(dice: random.Random, box: int) -> Step:
    step = {"do": "start", "box": box}
    if dice.random() < 0.15:
        step["battery"] = False
    if dice.random() < 0.1:
        step["again"] = True
    if dice.random() < 0.15:
        step["cut"] = dice.randrange(16)
    return step


def _reboot(dice: random.Random) -> list[Step]:
    box = _box(dice)
    end = {"do": dice.choice(("cut", "stop")), "box": box}
    steps = [end, _start(dice, box)]
    if dice.random() < 0.3:
        steps.insert(1, _pause(dice))
    return [*steps, _start(dice, box)]


def _sync(dice: random.Random, **fields: Any) -> Step:
    step: Step = {"do": "sync", "box": _box(dice)}
    if dice.random() < 0.4:
        step["faults"] = [dice.choice(("", *FAULTS)) for _ in range(dice.choice((1, 1, 2, 3)))]
    if dice.random() < 0.15:
        step["cut"] = dice.randrange(40)
    if dice.random() < 0.25:
        step["all"] = True
    if dice.random() < 0.15:
        step["settle"] = True
    return step | fields


def _talk(dice: random.Random) -> list[Step]:
    box = _box(dice)
    steps = [_sync(dice, box=box)]
    if "cut" in steps[0]:
        steps.append(_start(dice, box))
    if dice.random() < 0.3:
        steps.append(_sync(dice, box=box))
    return steps


def _late(dice: random.Random) -> list[Step]:
    box = _box(dice)
    faults = [dice.choice(("late", "late", "flip", "lost", "")) for _ in range(2)]
    steps = [_sync(dice, box=box, faults=faults), _sync(dice, box=box)]
    return [*steps, _tap(dice, box=box), {"do": "late", "box": box}, _sync(dice, box=box)]


def _keys(dice: random.Random) -> list[Step]:
    key = dice.choice(("AUTO", "AUTO", "IN", "OUT", "UNDO", "UNDO", "GUARDIAN", "SETTLE"))
    return [{"do": "key", "box": _box(dice), "key": key}]


def _undo(dice: random.Random) -> list[Step]:
    box = _box(dice)
    gap = {"do": "wait", "ms": dice.randint(500, 12_000)}
    return [_tap(dice, box=box), gap, {"do": "key", "box": box, "key": "UNDO"}]


def _disk(dice: random.Random) -> list[Step]:
    box = _box(dice)
    fault: Step = {"do": "disk", "box": box}
    if dice.random() < 0.5:
        # Often just enough for an INTENT and not for its event.
        fault["room"] = dice.randrange(170, 235) if dice.random() < 0.5 else dice.randrange(900)
    else:
        fault |= {"syncs": dice.randint(1, 3), "keeps": dice.random() < 0.5}
    steps = [fault, _tap(dice, box=box)]
    if dice.random() < 0.4:
        steps.append({"do": "cut", "box": box})
    steps.append({"do": "disk", "box": box})
    if dice.random() < 0.5:
        steps.append({"do": "key", "box": box, "key": dice.choice(("IN", "OUT", "SETTLE"))})
    return [*steps, _start(dice, box)]


def _list(dice: random.Random) -> list[Step]:
    box, card = _box(dice), dice.randrange(len(OWNERS))
    first: Step = {"do": "list", "card": card}
    steps = [first, _tap(dice, box=box), _sync(dice, box=box, faults=[])]
    kind = dice.random()
    if kind < 0.35:  # an older list comes back with an older file
        steps += [{"do": "image", "box": box}, first, _tap(dice, box=box)]
        steps += [_sync(dice, box=box, faults=[])]
        steps += [{"do": "rollback", "box": box, "files": ["hotlist"]}, _start(dice, box)]
    elif kind < 0.8:
        old = [dice.choice(("", "", "replay")), dice.choice(("replay", "forged", "replay"))]
        more: Step = {"do": "list", "card": dice.randrange(len(OWNERS))}
        steps += [more, _tap(dice, box=box), _sync(dice, box=box, faults=["", *old])]
    return [*steps, _tap(dice, box=box, card=card)]


def _plan(dice: random.Random) -> list[Step]:
    return [{"do": "activity", "ms": dice.randint(HOUR_MS, 9 * HOUR_MS)}, _sync(dice)]


def _clock(dice: random.Random) -> list[Step]:
    return [_jump(dice, _box(dice))]


def _jump(dice: random.Random, box: int) -> Step:
    ms = dice.choice((-1, 1)) * dice.choice((1_500, 5_000, 40_000, HOUR_MS, 30 * HOUR_MS))
    return {"do": "jump", "box": box, "ms": ms}


def _rollback(dice: random.Random) -> list[Step]:
    """Keep a copy, go on, talk, put the copy back: whole, or all but the last receipt."""
    box = _box(dice)
    steps: list[Step] = [{"do": "image", "box": box}]
    if dice.random() < 0.2:
        steps.append(_jump(dice, box))
    for _ in range(dice.randint(1, 3)):
        steps += _visit(dice) if dice.random() < 0.3 else [_tap(dice, box=box), _pause(dice)]
    steps.append(_sync(dice, box=box, faults=[]))
    back: Step = {"do": "rollback", "box": box}
    if dice.random() < 0.5:
        back["files"] = ["journal.yika"] if dice.random() < 0.5 else ["hotlist", "outbox"]
    steps += [back, {"do": "start", "box": box}]
    steps += [_tap(dice, box=box) for _ in range(dice.randint(1, 3))]
    fault = dice.choice((["replay"], []))
    return [*steps, _sync(dice, box=box, faults=fault), _sync(dice, box=box, faults=[])]


def _spoil(dice: random.Random) -> list[Step]:
    """Destroy a part of a journal, often its end, and what was just said in it."""
    box = _box(dice)
    steps: list[Step] = []
    if dice.random() < 0.3:
        steps += [_sync(dice, box=box, faults=[]), _jump(dice, box)]
    steps += [_tap(dice, box=box) for _ in range(2)]
    if dice.random() < 0.3:  # it arrives, and nobody here hears of it
        steps.append(_sync(dice, box=box, faults=["mute"]))
    spoil: Step = {"do": "spoil", "box": box}
    if dice.random() < 0.4:
        spoil["end"] = True
    steps += [spoil, {"do": "start", "box": box}]
    steps += [_tap(dice, box=box) for _ in range(dice.randint(0, 2))]
    return [*steps, _sync(dice, box=box, faults=[])]


def _rot(dice: random.Random) -> list[Step]:
    """Destroy a part of one of the small files, often with a batch or a change on its way."""
    box = _box(dice)
    kind, steps = dice.random(), [_tap(dice, box=box)]
    if kind < 0.4:
        steps.append(_sync(dice, box=box, faults=[dice.choice(("mute", "lost"))]))
    elif kind < 0.6:
        steps.append({"do": "rekey", "box": box, "cut": dice.randrange(60)})
    rest: list[Step] = [{"do": "rot", "box": box}, {"do": "start", "box": box}]
    return [*steps, *rest, _tap(dice, box=box), _sync(dice, box=box, faults=[])]


def _psam(dice: random.Random) -> list[Step]:
    box = _box(dice)
    step: Step = {"do": "psam", "box": box}
    kind = dice.random()
    if kind < 0.55:
        by = dice.choice((-3, -2, -1, 1, 5, 20)) if kind < 0.5 else 1_500
        change = [step | {"how": "step", "by": by}]
    elif kind < 0.75:
        change = [step | {"how": "away"}, _tap(dice, box=box), step | {"how": "back"}]
    else:
        other = SPARE_PSAM if box == 0 and dice.random() < 0.7 else STRANGE_PSAM
        off: Step = {"do": "cut", "box": box}
        change = [off, step | {"how": "swap", "psam": other}, {"do": "start", "box": box}]
    return [*change, _tap(dice, box=box), _tap(dice, box=box)]


def _attack(dice: random.Random) -> list[Step]:
    return [{"do": "attack", "box": _box(dice), "how": dice.choice(ATTACKS)}]


def _drain(_dice: random.Random) -> list[Step]:
    return [{"do": "drain"}]


_SCENES = {
    "plain": (18, _plain),
    "visit": (12, _visit),
    "nervous": (7, _nervous),
    "torn": (9, _torn),
    "swapped": (3, _swapped),
    "crash": (12, _crash),
    "reboot": (5, _reboot),
    "talk": (13, _talk),
    "late": (2, _late),
    "keys": (5, _keys),
    "undo": (3, _undo),
    "disk": (3, _disk),
    "list": (2.5, _list),
    "plan": (1, _plan),
    "clock": (2, _clock),
    "rollback": (2.0, _rollback),
    "spoil": (2.0, _spoil),
    "rot": (1, _rot),
    "psam": (2.5, _psam),
    "attack": (3, _attack),
    "drain": (2.5, _drain),
}
_HARSH = frozenset({"rollback", "spoil"})
