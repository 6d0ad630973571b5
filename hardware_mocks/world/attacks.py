# SPDX-License-Identifier: Apache-2.0
"""What somebody without any key can hand in at the server, and the named answers it must get."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from hardware_mocks.world.box import Box
from hardware_mocks.world.faults import demand
from server.ingest.models import StoredEvent
from swipe.batch import HEADER_SIZE
from swipe.event import EVENT_SIZE
from terminal.errors import Refused

if TYPE_CHECKING:
    from hardware_mocks.world.world import World

ATTACKS = ("flip-header", "flip-event", "delete", "swap", "insert", "other-number", "again")
# By the status of the upload protocol: what each of them may be answered with.
NAMED = {
    "flip-header": {401, 413, 422},
    "flip-event": {422},
    "delete": {413, 422},
    "swap": {422},
    "insert": {413, 422},
    "other-number": {409, 422},
}


def hand_in(world: World, box: Box, how: str) -> None:
    """Change the last batch of a terminal and hand it in once more."""
    if not box.link.sent:
        return
    request = box.link.sent[-1]
    number = int(request.path.rsplit("/", 1)[1])
    header, events = request.body[:HEADER_SIZE], request.body[HEADER_SIZE:]
    pieces = [events[at : at + EVENT_SIZE] for at in range(0, len(events), EVENT_SIZE)]
    dice = world.dice
    if how in ("swap", "delete") and len(pieces) < 2:
        return
    if how == "flip-header":
        header = _flipped(header, dice.randrange(8 * len(header)))
    elif how == "flip-event":
        spot = dice.randrange(len(pieces))
        pieces[spot] = _flipped(pieces[spot], dice.randrange(8 * EVENT_SIZE))
    elif how == "delete":
        del pieces[dice.randrange(len(pieces))]
    elif how == "swap":
        pieces[0], pieces[-1] = pieces[-1], pieces[0]
    elif how == "insert":
        pieces.insert(dice.randrange(len(pieces) + 1), dice.choice(pieces))
    elif how == "other-number":
        number += 1
    _judge(world, box, how, (number, header + b"".join(pieces)))


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _judge(world: World, box: Box, how: str, batch: tuple[int, bytes]) -> None:
    before = _stored(world)
    number, body = batch
    try:
        world.office.put(box.terminal_id, number, body)
    except Refused as exc:
        if how in NAMED:
            demand(exc.status in NAMED[how], "I7", f"{how} is answered {exc.status} {exc.title}")
        return
    demand(how == "again", "I7", f"{how} was accepted")
    world.counted["late batches"] += _stored(world) > before


def _stored(world: World) -> int:
    with world.office.database.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(StoredEvent)) or 0
