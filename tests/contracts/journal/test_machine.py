# SPDX-License-Identifier: Apache-2.0
"""Any order of taps, receipts, full disks, failed syncs, kills and power cuts."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from swipe.frames import FrameKind
from swipe.kinds import EventType
from terminal.errors import NotSaved
from tests.contracts.journal.disks import SimulatedDisk
from tests.contracts.journal.frames import (
    HEADER,
    add_note,
    add_tap,
    intent_of,
    next_event,
    open_on,
    receipt_for,
    torn,
)

ASNS = [bytes.fromhex(f"0000594900000000001{n}") for n in range(3)]


class JournalMachine(RuleBasedStateMachine):
    """Drive one journal; `promised` is what was said to be durable, by number."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = SimulatedDisk(HEADER.to_bytes())
        self.journal = open_on(self.disk)
        self.promised: dict[int, bytes] = {}

    def _ready(self) -> bool:
        if self.journal.failed:
            try:
                self.journal.recover()
            except NotSaved:
                return False
        intent = self.journal.state.intent
        if intent is not None:
            try:
                self.journal.add_event(torn(intent))
            except NotSaved:
                return False
        return True

    def _keep(self) -> None:
        for seq in range(1, self.journal.durable_seq + 1):
            raw = self.journal.event(seq)
            assert self.promised.setdefault(seq, raw) == raw

    @rule(asn=st.sampled_from(ASNS), out=st.booleans())
    def tap(self, asn: bytes, *, out: bool) -> None:
        """Make a whole tap."""
        if not self._ready():
            return
        kind = EventType.OUT if out else EventType.IN
        try:
            event = add_tap(self.journal, card_asn=asn, type=kind)
        except NotSaved:
            return
        self.promised[event.seq] = event.to_bytes()

    @rule(abandoned=st.booleans())
    def begin(self, *, abandoned: bool) -> None:
        """Begin a tap that never ends, or ends without an event."""
        if not self._ready():
            return
        event = next_event(self.journal)
        try:
            self.journal.add((FrameKind.INTENT, intent_of(event)))
            if abandoned:
                self.journal.add((FrameKind.ABANDON, event.seq.to_bytes(4)), durable=False)
        except NotSaved:
            return

    @rule(mode=st.sampled_from([0, 1, 3]))
    def note(self, mode: int) -> None:
        """Write an event of the terminal without waiting for the disk."""
        if not self._ready():
            return
        try:
            event = next_event(self.journal)
            self.journal.add_event(event, durable=False)
            add_note(self.journal, EventType.OPEN, mode=mode)
        except NotSaved:
            return

    @rule()
    def receipt(self) -> None:
        """Store a receipt for everything."""
        if not self._ready():
            return
        try:
            self.journal.add((FrameKind.RECEIPT, receipt_for(self.journal)))
        except NotSaved:
            return

    @rule(room=st.one_of(st.none(), st.integers(0, 600)))
    def fill(self, room: int | None) -> None:
        """Let the disk have this much room left, or plenty."""
        self.disk.room = None if room is None else self.disk.size + room

    @rule(broken=st.booleans())
    def break_sync(self, *, broken: bool) -> None:
        """Let syncs fail, or work again."""
        self.disk.sync_fails = broken

    @precondition(lambda self: not self.disk.sync_fails)
    @rule(data=st.data())
    def kill(self, data: Any) -> None:
        """Kill the program, or cut the power so that only a part of what was not synced is left."""
        self.disk.room = None
        end = data.draw(st.integers(self.disk.durable, self.disk.size))
        self.disk = SimulatedDisk(bytes(self.disk.content[:end]))
        self.journal = open_on(self.disk)

    @invariant()
    def nothing_promised_is_lost(self) -> None:
        """What was durable once is there, byte for byte, under its number."""
        if self.journal.failed:
            return
        self._keep()
        for seq, raw in self.promised.items():
            assert self.journal.event(seq) == raw

    def teardown(self) -> None:
        """Reading the file gives the state that was kept in memory."""
        if not self.journal.failed:
            self.disk.sync_fails = False
            assert open_on(self.disk).state == self.journal.state


JournalMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestJournalMachine = JournalMachine.TestCase
