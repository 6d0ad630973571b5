# SPDX-License-Identifier: Apache-2.0
"""A dead box and the one in its place: what staff does, and what the new box can be held to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hardware_mocks.world import checks, ghost
from hardware_mocks.world.box import Box
from hardware_mocks.world.faults import demand
from hardware_mocks.world.history import Step
from hardware_mocks.world.stock import SPARE_PSAM, STRANGE_PSAM, psam_number
from server.errors import Refused
from server.fleet import replacement
from swipe.event import Event
from swipe.kinds import PROVEN_TYPES, CardKind
from terminal.errors import TerminalError

if TYPE_CHECKING:
    from hardware_mocks.world.world import World

# A sound box shows its key and takes over at the first; or each PSAM there is has to be tried.
TRIES = 5


def play(world: World, step: Step) -> None:
    """Let a box die, show a key, be approved, or take over; or let the dead one speak."""
    box = world.boxes[step["box"]]
    what = step["what"]
    if what == "dies":
        _die(world, box, step)
    elif what == "approved":
        _approve(world, box)
    elif what == "speaks":
        ghost.speak(world, box, step)
    elif box.code:
        _provision(world, box, step)


def finish(world: World, box: Box) -> None:
    """Carry a replacement that was begun through to its end, undisturbed."""
    others = [number for number in (SPARE_PSAM, STRANGE_PSAM, box.number)
              if world.psams[number] is not box.socket.chip]  # fmt: skip
    for _ in range(TRIES):
        if not box.bare:
            return
        step = {"do": "box", "box": box.number}
        _provision(world, box, step)
        if "409" in box.problem and others:  # the PSAM is set apart, or another terminal's
            number = others.pop(0)
            box.socket.chip, box.known_psam = world.psams[number], psam_number(number)
        _approve(world, box)
    demand(not box.bare, "I14", f"no box takes the place of terminal {box.number}: {box.problem}")


def _die(world: World, box: Box, step: Step) -> None:
    """The box is gone with everything on it; a new one is ordered, where the rules allow it."""
    if box.bare:
        return
    now_ms = world.office.clock.utc_ms()
    try:
        with world.office.database.writing() as session:
            _, code = replacement.order(session, box.terminal_id, "burned", "li", now_ms)
    except Refused as exc:
        world.counted[f"not replaced: {exc.code}"] += 1
        return
    world.counted["deaths"] += 1
    ghost.keep(world, box)
    box.burn(code, step["offset"])
    world.images.pop(box.number, None)


def _approve(world: World, box: Box) -> None:
    try:
        with world.office.database.writing() as session:
            now_ms = world.office.clock.utc_ms()
            replacement.approve(session, box.terminal_id, "wang", now_ms)
    except Refused as exc:  # approved already, or no key was shown
        box.problem = exc.code


def _provision(world: World, box: Box, step: Step) -> None:
    """Run `provision` at the new box; once it has its journal, start it."""

    def job(at: Box) -> None:
        was_new = at.bare
        try:
            ready = at.provision(partial(world.dice.randbytes, 32))
        except TerminalError as exc:
            at.problem = str(exc)
            world.counted["not provisioned"] += 1
            return
        if was_new and ready:
            _take_over(world, at)
        if ready and at.running is None:
            at.power_on()
            checks.after_start(world, at)

    if step.get("full"):
        box.disk.room = 0
    try:
        world.guarded(step, job)
    finally:
        if step.get("full"):
            box.disk.room = None


def _take_over(world: World, box: Box) -> None:
    """Begin a new page: what the server holds stays true, what nobody else has is gone."""
    world.counted["successors"] += 1
    book, held = world.book(box), world.office.held(box.terminal_id)
    book.events.clear()
    book.beeps.clear()
    book.commits.clear()
    book.last_green.clear()
    for seq, raw in held.items():
        ours = book.parsed.get(seq)
        demand(
            book.waived or ours is None or ours.to_bytes() == raw,  # none: it died in that step
            "I4",
            f"the server holds event {seq}, and the dead box had another one",
        )
    book.parsed = {seq: Event.from_bytes(raw) for seq, raw in held.items()}
    for event in book.parsed.values():  # the dead box may have told more since it was thought dead
        if event.type in PROVEN_TYPES and event.card_kind != CardKind.TOKEN:
            top = book.psam_top.get(event.psam_no, 0)
            book.psam_top[event.psam_no] = max(top, event.psam_seq)
    book.base = book.covered = max(held)
    book.hot_ver, book.holes_wanted = 0, 0
