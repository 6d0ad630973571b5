# SPDX-License-Identifier: Apache-2.0
"""The desk: what one issue costs over server and relay, both over HTTP on this machine.

The virtual card answers in no time, so what is told is the way: two requests for each command, one
to the relay and one to the server, which stores the answer before it gives the next command.
"""

from __future__ import annotations

import datetime as dt
import logging
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import structlog

from bench.line import Line, check, report, significant
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.desk_client import Clerk, Ended
from server.db import Database
from server.people.services import NewVolunteer, add_volunteer
from server.schema import upgrade
from tests.e2e.pages.desks import counter_at
from tests.unit.server.portal import scene as town

ISSUES, QUICK_ISSUES = 20, 3
COMMANDS_MAX = 120


def run(quick: bool) -> Iterator[Line]:
    """Issue cards to people of a small town and yield the lines."""
    count = QUICK_ISSUES if quick else ISSUES
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)  # what is printed here is figures
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/town.db")
        upgrade(database)
        scene = town.build(database, Path(folder))
        numbers = _people(scene, count)
        ended = _issue(scene, numbers)
        database.close()
    commands = max(one.commands for one in ended)
    seconds = statistics.median(one.seconds for one in ended)
    yield check("desk", "commands of an issue", commands, "commands", limit=COMMANDS_MAX,
                sense="max")  # fmt: skip
    yield report("desk", "issue over relay and server", significant(seconds * 1000), "ms")
    yield report("desk", "each command", significant(seconds * 1000 / commands), "ms")


def _people(scene: town.Scene, count: int) -> list[str]:
    with scene.database.writing() as session:
        new = NewVolunteer("王小明", dt.date(1990, 5, 17))
        store, now_ms = scene.runtime.store, town.NOW_MS
        return [add_volunteer(session, store, new, "bench", now_ms)[0].number for _ in range(count)]


def _issue(scene: town.Scene, numbers: list[str]) -> list[Ended]:
    with counter_at(scene) as counter, closing(Clerk(counter.address, counter.relay)) as clerk:
        clerk.sign_in("staff", town.STAFF_PASSWORD)
        clerk.pair(counter.codes[-1])
        ended = []
        for number in numbers:
            counter.reader.chip = VirtualCard()
            ended.append(clerk.issue(number))
    return ended
