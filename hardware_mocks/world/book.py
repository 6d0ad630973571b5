# SPDX-License-Identifier: Apache-2.0
"""What the world itself knows of one terminal, to hold the terminal's words against it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hardware_mocks.world.box import Box
from hardware_mocks.world.faults import demand
from swipe import payloads
from swipe.event import Event
from swipe.kinds import EventType, Flag, Result, TimeSource

TAPS = frozenset({EventType.IN, EventType.OUT, EventType.AUTO, EventType.SWITCH})
UNKNOWN_MS = 0xFFFF_FFFF
ROUNDING_MS = 1  # of an uptime that a crystal counts


@dataclass(frozen=True, slots=True)
class Commit:
    """A tap that a card has committed, wherever the answer went."""

    card: int
    asn: bytes
    psam_no: bytes
    psam_seq: int


@dataclass(slots=True)
class Book:
    """One terminal's durable events as the world saw them, and what it still waits for.

    `waived` is a reason why the terminal cannot be held to what it knew: somebody put back an
    older disk, or destroyed a part of it. `verdicts_waived` holds numbers of events whose evidence
    was spoilt on purpose.
    """

    events: dict[int, bytes] = field(default_factory=dict)
    beeps: dict[int, int] = field(default_factory=dict)
    commits: list[Commit] = field(default_factory=list)
    last_green: dict[int, Event] = field(default_factory=dict)
    voided: set[int] = field(default_factory=set)
    covered: int = 0
    hot_ver: int = 0
    waived: str = ""
    forgotten: bool = False  # an older disk was put back
    past_unsure: bool = False  # and part of it destroyed: it may send behind numbers used twice
    forked: bool = False
    verdicts_waived: set[int] = field(default_factory=set)
    claims_waived: set[int] = field(default_factory=set)
    holes_wanted: int = 0
    psam_top: dict[bytes, int] = field(default_factory=dict)
    parsed: dict[int, Event] = field(default_factory=dict)
    base: int = 0  # events up to here are a dead box's, of which this one holds nothing

    def take(self, box: Box) -> list[Event]:
        """Enter the events that have become durable; check each against those before it."""
        running = box.running
        if running is None:
            return []
        journal = running.journal
        fresh = []
        seq = max(self.events, default=self.base)
        while seq < journal.durable_seq:
            seq += 1
            try:
                raw = journal.event(seq)
            except KeyError:
                demand(self.waived, "I1", f"event {seq} is a hole")
                continue
            fresh.append(self.enter(box, seq, raw))
        return fresh

    def enter(self, box: Box, seq: int, raw: bytes) -> Event:
        """Enter one event that is durable for the first time."""
        event = Event.from_bytes(raw)
        self.events[seq] = raw
        self.parsed[seq] = event
        demand(event.seq == seq, "I2", f"event {seq} calls itself {event.seq}")
        self._counters(event)
        # None at all is told as version 0; an older one may never be in use again.
        newer = event.hot_ver == 0 or event.hot_ver >= self.hot_ver
        demand(newer, "I7", f"event {seq} uses hotlist {event.hot_ver} after {self.hot_ver}")
        self.hot_ver = max(self.hot_ver, event.hot_ver)
        if event.type == EventType.CLOSE:
            self._totals(event)
        if event.type == EventType.VOID_LAST:
            self.voided.add(int.from_bytes(event.payload[:4]))
        if not self._untellable(box, event):
            self._claim(box, event)
        return event

    def again(self, box: Box) -> None:
        """Hold everything that was durable once against the journal of a new start."""
        running = box.running
        if running is None or self.waived:
            return
        for seq, raw in self.events.items():
            try:
                found = running.journal.event(seq)
            except KeyError:
                found = b""
            rule = "I1" if seq in self.beeps else "I2"
            demand(found == raw, rule, f"event {seq} was durable and is {_state(found)}")

    def _counters(self, event: Event) -> None:
        """The counters before an event are those before the last one, and that one."""
        before = self.parsed.get(event.seq - 1)
        if before is None:
            return
        n_in, n_out = counts(before)
        told, found = (event.n_in, event.n_out), (before.n_in + n_in, before.n_out + n_out)
        demand(told == found, "I6", f"event {event.seq} counts {told}, there were {found}")

    def _totals(self, close: Event) -> None:
        """The totals of a CLOSE are those of its events, counted again."""
        values = [int.from_bytes(close.payload[at : at + 4]) for at in range(0, 20, 4)]
        n_in, n_out, n_rej, first, last = values
        period = [self.parsed.get(seq) for seq in range(first, last + 1)]
        known = [event for event in period if event is not None]
        if len(known) < len(period):
            return
        pairs = [counts(event) for event in known]
        found = (
            sum(pair[0] for pair in pairs),
            sum(pair[1] for pair in pairs),
            sum(event.type == EventType.REJECTED for event in known),
        )
        demand((n_in, n_out, n_rej) == found, "I6", f"CLOSE {close.seq} is not {found}")

    @staticmethod
    def _untellable(box: Box, event: Event) -> bool:
        """Say whether nothing on the disk can have told that the clock was set.

        It was set while nothing could be written, and the power went before anything was: to the
        next start that is a clock set while the power was off. The first receipt that tells the
        time puts it right; one for a batch of an earlier start does not.
        """
        if box.clock_set is None:
            return False
        boot, set_ms = box.clock_set
        if event.boot > boot:
            if event.type == EventType.TIME_SET:
                source = payloads.parse(EventType.TIME_SET, event.payload)["source"]
                box.clock_set = None if source == TimeSource.RECEIPT else box.clock_set
            return True
        if event.boot == boot and box.true_ms(boot, event.up_total_ms) >= set_ms - ROUNDING_MS:
            # It was told, or it should have been told before this.
            box.clock_set, box.clock_told = None, (set_ms, event.seq)
        return False

    def _claim(self, box: Box, event: Event) -> None:
        """A time that the terminal vouches for is true within what it vouches for."""
        unsure = event.flags & Flag.CLOCK_UNKNOWN or event.unc_ms == UNKNOWN_MS
        if unsure or event.type == EventType.TORN_RESOLVED or event.boot not in box.starts:
            return
        if event.seq in self.claims_waived:
            return
        true_ms = box.true_ms(event.boot, event.up_total_ms)
        wrong = abs(event.utc_total_ms - true_ms)
        demand(
            wrong <= event.unc_ms + 2,
            "I9",
            f"event {event.seq} vouches for {event.unc_ms} ms and is {wrong} ms off",
        )


def counts(event: Event) -> tuple[int, int]:
    """Count IN and OUT of one event, by the document and not by the program."""
    if event.result not in (Result.OK, Result.TORN):
        return 0, 0
    switch = event.type == EventType.SWITCH
    return int(event.type == EventType.IN or switch), int(event.type == EventType.OUT or switch)


def _state(found: bytes) -> str:
    return "another one now" if found else "gone"
