# SPDX-License-Identifier: Apache-2.0
"""Cut a journal at every byte, and spoil what stands behind the cut; count what is violated.

    python -m tests.contracts.journal.cuts --taps 40

A case is one cut with one kind of tail. It is a violation if a frame that was whole before the cut
is not read, if anything else is, if the next tap cannot be written, or if reading the file again
does not give the state that was kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache

import click

from swipe.errors import SwipeError
from swipe.event import Event, event_hash, sign
from swipe.frames import FILE_HEADER_SIZE, Frame, FrameKind, FrameReader, frame
from swipe.kinds import EventType
from terminal.errors import TerminalError
from tests.contracts.journal.disks import (
    PAGE,
    SimulatedDisk,
    garbage_page,
    truncated,
    zero_page,
)
from tests.contracts.journal.frames import HEADER, add_note, add_tap, open_on, receipt_for
from tests.factories import make_identity

EVENT = FrameKind.EVENT

OTHER = make_identity("another life")
Damage = Callable[[bytes, int], bytes]


def old_frames(content: bytes, cut: int) -> bytes:
    """Return a file followed by blocks of an older one: whole frames, signed by another key."""
    return content[:cut] + _old_blocks(content)


@cache
def _old_blocks(content: bytes) -> bytes:
    events = [Event.from_bytes(item.body) for item in _frames(content) if item.kind == EVENT]
    other = [replace(event, prev=event_hash(event.to_bytes())) for event in events]
    return b"".join(frame(EVENT, sign(event, OTHER).to_bytes()) for event in other)[:PAGE]


def _frames(content: bytes) -> list[Frame]:
    stream = SimulatedDisk(content).stream()
    stream.seek(FILE_HEADER_SIZE)
    return list(FrameReader(stream))


TAILS: dict[str, Damage] = {
    "truncated": truncated,
    "zeroed": zero_page,
    "garbage": garbage_page,
    "old frames": old_frames,
}
SHOWN_MAX = 10


@dataclass(frozen=True)
class Report:
    """How many cases there were, and which of them broke a promise."""

    cases: int
    violations: tuple[str, ...]


def sample(taps: int) -> bytes:
    """Return a journal with every kind of frame: taps, notes, receipts, one tap abandoned."""
    disk = SimulatedDisk(HEADER.to_bytes())
    journal = open_on(disk)
    for number in range(1, taps + 1):
        add_tap(journal)
        if number % 3 == 0:
            add_note(journal, EventType.OPEN, mode=1)
            journal.add((FrameKind.RECEIPT, receipt_for(journal)))
        if number % 4 == 0:
            journal.add((FrameKind.ABANDON, journal.state.next_seq.to_bytes(4)))
    return bytes(disk.content)


def cut_everywhere(content: bytes, tails: Iterable[str] = TAILS, step: int = 1) -> Report:
    """Cut at every `step`-th byte behind the file's header, with each kind of tail."""
    frames = _frames(content)
    cases, violations = 0, []
    for tail in tails:
        for cut in range(FILE_HEADER_SIZE, len(content) + 1, step):
            cases += 1
            left = TAILS[tail](content, cut)
            # Zeros may happen to be what was cut off.
            whole = max((f.end for f in frames if left[: f.end] == content[: f.end]), default=64)
            events = [f.body for f in frames if f.kind == EVENT and f.end <= whole]
            fault = _fault(left, events)
            if fault:
                violations.append(f"{tail} at {cut}: {fault}")
    return Report(cases, tuple(violations))


def _fault(left: bytes, events: list[bytes]) -> str:
    """Open what is left, look for the events, go on writing, and read it all again."""
    disk = SimulatedDisk(left)
    try:
        journal = open_on(disk)
        found = [journal.event(seq) for seq in range(1, journal.state.last_seq + 1)]
        if found != events:
            return f"{len(found)} events read, {len(events)} were whole"
        add_tap(journal)
        if open_on(disk).state != journal.state:
            return "the next start reads another state"
    except (TerminalError, SwipeError, KeyError, ValueError) as exc:
        return f"{type(exc).__name__}: {exc}"
    return ""


def lose_sectors(content: bytes) -> Report:
    """Make every page of a journal unreadable in turn; every frame that touches none is kept."""
    frames = [f for f in _frames(content) if f.kind == EVENT]
    cases, violations = 0, []
    for page in range(1, -(-len(content) // PAGE)):
        cases += 1
        disk = SimulatedDisk(content)
        disk.bad = {page}
        spared = [
            f.body
            for f in frames
            if not page * PAGE - 1 < f.end - 1 or f.offset >= (page + 1) * PAGE
        ]
        journal = open_on(disk)
        seqs = (seq for seq in range(1, journal.state.last_seq + 1))
        found = [raw for seq in seqs for raw in journal.events(seq, seq)]
        if found != spared:
            violations.append(f"bad page {page}: {len(found)} of {len(spared)} events read")
            continue
        add_tap(journal)
        if open_on(disk).state.last_seq != journal.state.last_seq:
            violations.append(f"bad page {page}: the next start reads another state")
    return Report(cases, tuple(violations))


@click.command()
@click.option("--taps", default=20, show_default=True, help="length of the journal that is cut")
@click.option("--step", default=1, show_default=True, help="cut at every n-th byte only")
def main(taps: int, step: int) -> None:
    """Cut a journal at every byte and print cases and violations as one JSON object."""
    began = time.monotonic()
    content = sample(taps)
    cut, sectors = cut_everywhere(content, step=step), lose_sectors(content)
    violations = cut.violations + sectors.violations
    document = {
        "journal_bytes": len(content),
        "tails": list(TAILS),
        "cut_cases": cut.cases,
        "bad_sector_cases": sectors.cases,
        "violations": len(violations),
        "first": violations[:SHOWN_MAX],
        "seconds": round(time.monotonic() - began, 1),
    }
    click.echo(json.dumps(document, ensure_ascii=False))
    raise SystemExit(bool(violations))


if __name__ == "__main__":
    main()
