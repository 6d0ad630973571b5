# SPDX-License-Identifier: Apache-2.0
"""A dead box that is not dead: somebody dries its disk and switches it on again.

It holds its old key and what it never sent. Nobody holds it to anything; the box in its place, the
server and the volunteers' hours are held to what they are held to without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware_mocks.world.box import Box
from hardware_mocks.world.clocks import DeviceClock
from hardware_mocks.world.faults import PowerCut
from hardware_mocks.world.history import Step
from hardware_mocks.world.sticks import Sticks
from swipe.kinds import BatchKind

if TYPE_CHECKING:
    from hardware_mocks.world.world import World


def keep(world: World, box: Box) -> None:
    """Keep the disk of a box that dies now, before it becomes another box.

    One whose disk was older, or destroyed in part, is thrown away: it could tell another story
    than the one that the server has, and a fork is not what is asked here.
    """
    if world.book(box).waived:
        return
    disk, clock = box.disk, box.clock
    disk.lose_power(world.dice)
    disk.room, disk.broken_syncs = None, 0
    dead = Box(box.number, world.office, world.time, world.psams[box.number])
    dead.disk, disk.fuse = disk, dead.fuse
    dead.socket.chip = None  # it is in the new box
    dead.known_psam = box.known_psam
    dead.clock = DeviceClock(world.time, clock.drift_ppm, clock.offset_ms)
    dead.clock.base_ms = clock.base_ms
    world.ghosts.setdefault(box.number, []).append(dead)


def speak(world: World, box: Box, step: Step) -> None:
    """Let a dead box start and hand in all it has, on the line or on a stick.

    Perhaps it asks for a new key first.
    """
    kept = world.ghosts.get(box.number)
    if not kept:
        return
    world.counted["ghosts"] += 1
    dead = kept[step.get("which", 0) % len(kept)]
    dead.link.dice, dead.link.faults = world.dice, list(step.get("faults", ()))
    dead.link.deliver_late()
    dead.fuse.arm(step.get("cut"))
    try:
        _hand_in(world, dead, step)
        dead.stop()
    except PowerCut:
        dead.die(world.dice)
    finally:
        dead.fuse.arm(None)
        dead.link.faults = []


def _hand_in(world: World, dead: Box, step: Step) -> None:
    if step.get("stick"):
        world.sticks = world.sticks or Sticks(world)
        world.sticks.carry_of(dead)
        return
    dead.power_on(battery=step.get("battery", True))
    if step.get("rekey"):
        dead.rekey(world.dice)
    else:
        dead.sync(BatchKind.LIVE, everything=True)
