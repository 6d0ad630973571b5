# SPDX-License-Identifier: Apache-2.0
"""Staff at a terminal: training, sign-on and wrong PINs, paper sheets, an activity by its code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware_mocks.world.box import Box
from hardware_mocks.world.faults import demand
from hardware_mocks.world.history import Step
from hardware_mocks.world.stock import stock
from swipe.event import Event
from swipe.kinds import EventType, Flag
from terminal.actions import choose_activity, enter_sheet, refuse_pin, set_mode, sign_on
from terminal.desk import Desk
from terminal.errors import NotSaved
from terminal.modes.sheet_policy import Sheet
from terminal.policy import Mode

if TYPE_CHECKING:
    from hardware_mocks.world.world import World

NEVER = frozenset({EventType.TRAINING, EventType.MANUAL})  # credits nothing that nobody approved
COMPLETED = frozenset({EventType.TORN_RESOLVED, EventType.RECOVERED})


class Staff:
    """Who works at the terminals, and how many wrong PINs in a row each of them has seen."""

    def __init__(self, world: World) -> None:
        self.world = world
        # By terminal: so many at least, and so many at most.
        self.wrong: dict[int, tuple[int, int]] = {}

    def play(self, step: Step) -> None:
        """Press the keys of one step."""
        before = self.wrong.get(step["box"], (0, 0))
        if step["what"] == "wrong-pin":
            self.wrong[step["box"]] = (before[0], before[1] + 1)  # until it is known to be durable
        elif step["what"] == "sign-on":
            self.wrong[step["box"]] = (0, before[1])
        self.world.guarded(step, lambda box: self._act(box, step, before))

    def _act(self, box: Box, step: Step, before: tuple[int, int]) -> None:
        assert box.running is not None
        desk = box.running.desk
        try:
            self._press(box, desk, step, before)
        except NotSaved as exc:
            box.problem = str(exc)
        self.world.counted["staff"] += 1

    def _press(self, box: Box, desk: Desk, step: Step, before: tuple[int, int]) -> None:
        what, now_s = step["what"], desk.chain.time.now().utc_s
        if what in {"train", "serve"}:
            set_mode(desk, Mode.TRAINING if what == "train" else Mode.AUTO)
        elif what == "choose":
            choose_activity(desk, "A1")
        elif what == "sign-on":
            sign_on(desk, stock().serials[step["card"]])
            self.wrong[box.number] = (0, 0)
        elif what == "sheet" and desk.chain.journal.state.operator:
            start_s = max(0, now_s - step["ago_ms"] // 1000)
            asn = stock().serials[step["card"]]
            end_s = start_s + step["minutes"] * 60
            enter_sheet(desk, Sheet(asn, start_s, end_s, step["minutes"], step["number"]))
        elif what == "wrong-pin":
            count = refuse_pin(desk, stock().serials[step["card"]])
            self._counted(box, count, before)

    def _counted(self, box: Box, count: int, before: tuple[int, int]) -> None:
        """Neither a restart nor a cut gives a new try."""
        book = self.world.book(box)
        least, most = before[0] + 1, before[1] + 1
        known = book.waived or book.base or least <= count <= most
        demand(known, "PIN", f"{count} wrong PINs in a row, there were {least} to {most}")
        self.wrong[box.number] = (count, count)


def check_credited(event: Event) -> None:
    """Say that an event may stand at an end of a credited service."""
    kind = event.card_acc >> 24 if event.type in COMPLETED else event.type
    told = f"event {event.seq} is {EventType(event.type).name} of {kind}"
    demand(kind not in NEVER, "I5", f"{told} and is credited")
    demand(not event.flags & Flag.TRAINING_MODE, "I5", f"{told}, in training, and is credited")
