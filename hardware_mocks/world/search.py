# SPDX-License-Identifier: Apache-2.0
"""Play many histories; of one that fails, look for the shortest that still fails the same way."""

from __future__ import annotations

import gc
import logging
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from hardware_mocks.world import finish, remembered, secrecy
from hardware_mocks.world.faults import PowerCut, Violation
from hardware_mocks.world.history import LENGTH, History, Step, make
from hardware_mocks.world.world import World

SHRINK_MAX = 400  # histories tried to make one shorter
SWEPT_EVERY = 50  # histories
PROGRAM = "program"  # the rule's name when the real code itself falls over


@dataclass(frozen=True, slots=True)
class Finding:
    """A history that breaks an invariant."""

    rule: str
    fact: str
    history: History
    seed: int | None = None


@dataclass(slots=True)
class Figures:
    """What was played."""

    histories: int = 0
    counted: Counter[str] = field(default_factory=Counter)


def play(history: History, figures: Figures | None = None) -> Finding | None:
    """Play one history to its end and return what it breaks, if anything."""
    figures = figures or Figures()
    with secrecy.listening() as heard, remembered.signatures():
        try:
            _play(history, figures)
            secrecy.check(heard)
        except Violation as exc:
            return Finding(exc.rule, exc.fact, history)
        except (Exception, PowerCut) as exc:  # noqa: BLE001 - the search's main loop
            where = traceback.extract_tb(exc.__traceback__)[-1]
            fact = f"{type(exc).__name__}: {exc} ({where.filename}:{where.lineno})"
            return Finding(PROGRAM, fact, history)
    return None


def _play(history: History, figures: Figures) -> None:
    world = World(history.setup)
    figures.histories += 1
    try:
        for step in history.steps:
            world.play(step)
        finish.heal(world)
        finish.talk(world)
        finish.judge(world)
    finally:
        world.close()
        figures.counted += world.counted


def search(
    seeds: Sequence[int] | range, figures: Figures, lengths: tuple[int, int] = LENGTH
) -> Iterator[Finding]:
    """Play the history of each seed; yield what is found, unshortened."""
    for number, seed in enumerate(seeds):
        if number % SWEPT_EVERY == 0:
            gc.collect()
        with _unswept():
            found = play(make(seed, lengths), figures)
        if found is not None:
            yield Finding(found.rule, found.fact, found.history, seed)


@contextmanager
def _unswept() -> Iterator[None]:
    """Leave garbage where it is: of one history there is little, and to look for it costs much."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def shortest(finding: Finding) -> Finding:
    """Leave out steps as long as the same rule still breaks (delta debugging)."""
    steps, best, tried = list(finding.history.steps), finding, 0
    size = max(1, len(steps) // 2)
    while tried < SHRINK_MAX:
        shorter = False
        at = 0
        while at < len(steps) and tried < SHRINK_MAX:
            attempt = steps[:at] + steps[at + size :]
            tried += 1
            found = _still(finding, attempt)
            if found is None:
                at += size
            else:
                steps, best, shorter = attempt, found, True
        if size == 1 and not shorter:
            break
        size = max(1, size // 2)
    return Finding(best.rule, best.fact, best.history, finding.seed)


def _still(finding: Finding, steps: list[Step]) -> Finding | None:
    found = play(History(finding.history.setup, tuple(steps)))
    return found if found is not None and found.rule == finding.rule else None


def quiet() -> None:
    """Keep the programs' own words out of the way; `secrecy` listens to them all the same."""
    logging.getLogger().handlers[:] = [logging.NullHandler()]
    structlog.configure(processors=[secrecy.note], cache_logger_on_first_use=False)
