# SPDX-License-Identifier: Apache-2.0
"""What the journal says, held in memory: rebuilt by reading it, kept up by the same function.

Nothing here is stored on its own. `State.apply` is fed every frame, at the start from the file and
later as frames become part of it, so that a restart knows exactly what the running program knew.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, replace
from typing import Any

from keys.identity import Suite, full_key
from swipe import payloads
from swipe.chain import PSAM_STEP_MAX
from swipe.event import EVENT_LAYOUT, Event, event_hash, tap_counts
from swipe.frames import FrameKind
from swipe.kinds import (
    PROVEN_TYPES,
    ConfigKind,
    EventType,
    RejectReason,
    Result,
    TamperKind,
    TimeSource,
)
from swipe.receipt import NO_RECEIPT, Receipt
from terminal.clock import STEP_MIN_MS
from terminal.policy import LastTap, Mode

Key = tuple[bytes, int]  # PSAM number and its transaction number: names one tap for ever
_PSAM_SEQ = slice(*EVENT_LAYOUT.span("psam_seq"))
HEAD_PREFIX = 8  # bytes kept of each event's hash, to find the event a receipt names


@dataclass(slots=True)
class CardTrace:
    """The last tap of one card at this terminal, and the last tap resolved for it."""

    seq: int = 0
    kind: int = 0
    result: int = 0
    boot: int = 0
    up_ms: int = 0
    utc_s: int = 0
    psam_seq: int = 0
    flags: int = 0
    voided: bool = False
    resolved: Key | None = None

    def as_last(self, boot: int, uptime_ms: int, utc_s: int) -> LastTap | None:
        """Return the trace as a decision sees it; its age by uptime where that is possible."""
        if not self.seq:
            return None
        age = (uptime_ms - self.up_ms) / 1000 if self.boot == boot else utc_s - self.utc_s
        return LastTap(
            self.seq, self.kind, self.result, age, self.psam_seq, self.voided, self.flags
        )


@dataclass(slots=True)
class Period:
    """What happened since the last CLOSE; the totals of the next one."""

    first_seq: int = 1
    n_in: int = 0
    n_out: int = 0
    n_rej: int = 0


@dataclass(slots=True)
class State:
    """The terminal as its journal describes it."""

    head: bytes
    public_keys: list[bytes] = field(default_factory=list)
    own_psam_no: bytes = bytes(6)
    last_seq: int = 0
    boot: int = 0
    n_in: int = 0
    n_out: int = 0
    n_rej: int = 0
    n_resolved: int = 0
    psam_last: int = 0
    cfg_ver: int = 0
    hot_ver: int = 0
    floor_ms: int = 0
    up_ms: int = 0
    covered: int = 0
    batch_no: int = 0
    receipts: int = 0
    receipt: Receipt | None = None
    anchor: bytes = NO_RECEIPT
    intent: bytes | None = None
    service_open: bool = False
    mode: Mode = Mode.AUTO
    last_asn: bytes = b""
    period: Period = field(default_factory=Period)
    cards: dict[bytes, CardTrace] = field(default_factory=dict)
    # The last tap of a card's own presence, while its very last one is an attestation.
    presences: dict[bytes, CardTrace] = field(default_factory=dict)
    device_clock_good: bool = False
    # Time and uncertainty of the last receipt at which the device's clock was looked at and right.
    clock_receipt: tuple[int, int] | None = None
    kinds: bytearray = field(default_factory=bytearray)
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    heads: bytearray = field(default_factory=bytearray)
    stepped_boot: int = 0
    holed: bool = False  # events of the boot under way are lost; a TIME_SET may be among them
    operator: bytes = b""  # card of who signed on for the period under way
    activity: int = 0  # chosen by code for the period under way
    # Per operator's card: wrong PINs in a row, and boot, uptime and second of the last one.
    wrong_pins: dict[bytes, tuple[int, int, int, int]] = field(default_factory=dict)
    # The last CLOSE: its number, and n_in, n_out and n_rej of its period.
    closed: tuple[int, int, int, int] | None = None

    @property
    def suite(self) -> Suite:
        """Return the suite of the terminal's keys; a change of key never changes it."""
        return Suite.of(self.public_keys[0]) if self.public_keys else Suite.ED25519

    @property
    def next_seq(self) -> int:
        """Return the number of the next event."""
        return self.last_seq + 1

    @property
    def events(self) -> int:
        """Return how many events the journal holds."""
        return len(self.kinds) - self.kinds.count(0)

    @property
    def unsent(self) -> int:
        """Return how many events no receipt covers yet."""
        return len(self.kinds[self.covered :]) - self.kinds[self.covered :].count(0)

    @property
    def has_open_period(self) -> bool:
        """Say whether the service is open, or anybody tapped since the last CLOSE."""
        period = self.period
        return self.service_open or bool(period.n_in or period.n_out or period.n_rej)

    @property
    def torn(self) -> int:
        """Return how many cards have a torn tap that nobody has resolved here."""
        return sum(trace.result == Result.TORN for trace in self.cards.values())

    def kinds_between(self, first: int, last: int) -> bytes:
        """Return the types of events `first` to `last`, one byte each; 0 where there is none."""
        return bytes(self.kinds[first - 1 : last])

    def seq_of_head(self, head: bytes) -> int:
        """Return the number of the event with this hash, or 0; the newest are looked at first."""
        prefix, end = head[:HEAD_PREFIX], len(self.heads)
        while (at := self.heads.rfind(prefix, 0, end)) >= 0:
            if at % HEAD_PREFIX == 0:
                return at // HEAD_PREFIX + 1
            end = at + HEAD_PREFIX - 1
        return 0

    def lose(self, seq: int) -> None:
        """Forget an event that can no longer be read: it will not be sent."""
        if seq <= len(self.kinds):
            self.kinds[seq - 1] = 0

    def lost(self) -> list[tuple[int, int]]:
        """Return the numbers that were used and are no longer here, as (first, last) of runs."""
        runs, start = [], self.kinds.find(0)
        while start >= 0:
            end = start
            while end < len(self.kinds) and not self.kinds[end]:
                end += 1
            runs.append((start + 1, end))
            start = self.kinds.find(0, end)
        return runs

    def trace(self, asn: bytes) -> CardTrace:
        """Return what is known of a card; an empty trace if nothing is."""
        return self.cards.get(asn) or CardTrace()

    def presence(self, asn: bytes) -> CardTrace:
        """Return a card's last tap of its own presence or training, whatever it attested since."""
        return self.presences.get(asn) or self.trace(asn)

    def apply(self, kind: int, body: bytes, offset: int) -> None:
        """Take one frame that stands at `offset` of the journal."""
        if kind == FrameKind.EVENT:
            self.apply_event(Event.from_bytes(body), body, offset)
        elif kind == FrameKind.INTENT:
            self.intent = body
            self._psam_used(int.from_bytes(body[_PSAM_SEQ]), PSAM_STEP_MAX)
        elif kind == FrameKind.RECEIPT:
            self._receipt(Receipt.from_bytes(body))
        elif kind == FrameKind.ABANDON:
            self.intent = None

    def skip_to(self, last_seq: int, head: bytes) -> None:
        """Skip numbers that this journal has lost: none is used twice."""
        # What was lost may have told of a wrong clock.
        self.holed, self.device_clock_good = True, False
        self.go_on_behind(last_seq, head)

    def go_on_behind(self, last_seq: int, head: bytes) -> None:
        """Let the next event follow this one, which is not here."""
        if not any(self.kinds):  # another box counted the taps before: they are in no total here
            self.period = Period(first_seq=last_seq + 1)
        while len(self.kinds) < last_seq:
            self._note(0, 0, bytes(32))
        self.last_seq, self.head, self.intent = last_seq, head, None

    def apply_event(self, event: Event, raw: bytes, offset: int) -> None:
        """Take one event whose frame stands at `offset`."""
        seq, kind = event.seq, event.type
        if len(self.kinds) < seq - 1:  # the numbers before were lost
            self.skip_to(seq - 1, bytes(32))
        self.holed &= kind != EventType.BOOT
        head = self.head = event_hash(raw, self.suite)
        self._note(kind, offset, head)
        self.last_seq = seq
        self.intent = None
        self.boot = event.boot
        self.up_ms = event.up_total_ms
        self._count(event)
        if kind in PROVEN_TYPES or kind == EventType.TORN:
            self._tap(event)
        else:
            self._system(event)

    def _note(self, kind: int, offset: int, head: bytes) -> None:
        self.kinds.append(kind)
        self.offsets.append(offset)
        self.heads += head[:HEAD_PREFIX]

    def _count(self, event: Event) -> None:
        n_in, n_out = tap_counts(event)
        rejected = event.type == EventType.REJECTED
        period = self.period
        # Every event repeats the totals before it: they hold over numbers that are lost here.
        self.n_in = max(self.n_in, event.n_in) + n_in
        self.n_out = max(self.n_out, event.n_out) + n_out
        self.n_rej += rejected
        period.n_in += n_in
        period.n_out += n_out
        period.n_rej += rejected
        # What an event has used is in use, also if the power went before CONFIG could say so.
        self.hot_ver = max(self.hot_ver, event.hot_ver)
        if event.type != EventType.TORN_RESOLVED:
            self.floor_ms = max(self.floor_ms, event.utc_total_ms)

    def _tap(self, event: Event) -> None:
        trace = self.cards.get(event.card_asn)
        if trace is None:
            trace = self.cards[event.card_asn] = CardTrace()
        if event.type == EventType.TORN_RESOLVED:
            self._resolved(event, trace)
            return
        if event.type == EventType.TORN:  # of a damaged INTENT: believed where it cannot be wrong
            if event.psam_seq == self.psam_last + 1:
                self.psam_last = event.psam_seq
            return
        self._psam_used(event.psam_seq, None if event.result == Result.OK else PSAM_STEP_MAX)
        self._keep_presence(event.card_asn, trace, event.type)
        trace.seq, trace.kind, trace.result = event.seq, event.type, event.result
        trace.boot, trace.up_ms, trace.utc_s = event.boot, self.up_ms, event.utc_s
        trace.psam_seq, trace.flags, trace.voided = event.psam_seq, event.flags, False
        self.last_asn = event.card_asn

    def _psam_used(self, number: int, step_max: int | None) -> None:
        """Take a number of the PSAM; only a tap that card and PSAM proved moves it any distance."""
        known = self.psam_last
        if step_max is None or not known or number - known <= step_max:
            self.psam_last = max(known, number)

    def _keep_presence(self, asn: bytes, trace: CardTrace, kind: int) -> None:
        """Set a tap of presence aside when an attestation takes its place; forget it otherwise."""
        if kind != EventType.GUARDIAN:
            self.presences.pop(asn, None)
        elif trace.seq and trace.kind != EventType.GUARDIAN:
            self.presences[asn] = replace(trace)

    def _resolved(self, event: Event, trace: CardTrace) -> None:
        self.n_resolved += 1
        trace.resolved = (event.psam_no, event.psam_seq)
        if event.psam_no != self.own_psam_no:
            return
        if trace.psam_seq == event.psam_seq:
            trace.result = Result.RESOLVED
        elif trace.psam_seq < event.psam_seq:  # a tap of ours that the journal has lost
            self._keep_presence(event.card_asn, trace, event.card_acc >> 24)
            trace.seq, trace.kind, trace.result = event.seq, event.card_acc >> 24, Result.RESOLVED
            trace.boot, trace.utc_s, trace.psam_seq = 0, event.utc_s, event.psam_seq
            trace.flags, trace.voided = 0, False

    def _system(self, event: Event) -> None:
        if event.type == EventType.REJECTED:
            self._rejected(event)
            return
        values: dict[str, Any] = payloads.parse(event.type, event.payload)
        if event.type == EventType.VOID_LAST:
            self._voided(event.card_asn, values["voided_seq"])
        elif event.type == EventType.OPEN:
            self._open(event, values)
        elif event.type == EventType.CLOSE:
            self.service_open, self.period = False, Period(first_seq=event.seq + 1)
            self.operator, self.activity = b"", 0
            if self.mode is Mode.TRAINING:  # nobody's next day shall count for nothing
                self.mode = Mode.AUTO
            self.closed = (event.seq, values["n_in"], values["n_out"], values["n_rej"])
        elif event.type == EventType.CONFIG:
            self._config(values)
        elif event.type == EventType.KEY_ROTATE:
            self.public_keys.append(full_key(values["public_key"], self.suite))
        elif event.type in (EventType.TIME_SET, EventType.ACK_ANCHOR, EventType.TAMPER):
            self._time(event, values)

    def _voided(self, asn: bytes, seq: int) -> None:
        for trace in (self.trace(asn), self.presence(asn)):
            if trace.seq == seq:
                trace.voided = True

    def _open(self, event: Event, values: dict[str, Any]) -> None:
        before = self.operator, self.mode, self.activity
        self.service_open, self.mode = True, Mode(values["mode"])
        self.activity = event.activity
        self.cfg_ver = max(self.cfg_ver, values["cfg_ver"])
        self.operator = values["operator_asn"] if any(values["operator_asn"]) else b""
        # Another mode or activity repeats who is signed on; only a sign-on was a right PIN.
        if self.operator != before[0] or (self.mode, self.activity) == before[1:]:
            self.wrong_pins.pop(self.operator, None)

    def _rejected(self, event: Event) -> None:
        if payloads.parse(event.type, event.payload)["reason"] != RejectReason.WRONG_PIN:
            return
        count = self.wrong_pins.get(event.card_asn, (0, 0, 0, 0))[0]
        self.wrong_pins[event.card_asn] = (
            count + 1, event.boot, event.up_total_ms, event.utc_s,
        )  # fmt: skip

    def _config(self, values: dict[str, Any]) -> None:
        if values["kind"] == ConfigKind.PSAM and values["psam_no"] != self.own_psam_no:
            self.own_psam_no, self.psam_last = values["psam_no"], 0
        self.cfg_ver = max(self.cfg_ver, values["cfg_ver"])
        self.hot_ver = max(self.hot_ver, values["hot_ver"])

    def _time(self, event: Event, values: dict[str, Any]) -> None:
        """Learn from a correction whether the device's clock can be believed at the next start."""
        if event.type == EventType.TIME_SET:
            step = abs(values["new_utc_ms"] - values["old_utc_ms"])
            if step >= STEP_MIN_MS or values["source"] == TimeSource.RTC:
                self.stepped_boot = event.boot
        elif event.type == EventType.TAMPER:
            if values["kind"] == TamperKind.CLOCK:  # somebody set the device's clock
                self.stepped_boot, self.device_clock_good = event.boot, False
        else:
            self.device_clock_good = event.boot != self.stepped_boot and not self.holed
            if self.device_clock_good and self.receipt is not None:
                self.clock_receipt = (self.receipt.srv_utc_ms, self.receipt.srv_unc_ms)

    def _receipt(self, receipt: Receipt) -> None:
        self.receipts += 1
        self.receipt, self.anchor = receipt, receipt.anchor
        self.batch_no = max(self.batch_no, receipt.batch_no)
        # Events before it may have been too late by a wrong clock; this time is the server's.
        self.floor_ms = receipt.srv_utc_ms
        missing = receipt.missing
        if missing is None:
            self.covered = max(self.covered, receipt.up_to_seq)
            if self.last_seq < receipt.up_to_seq:
                self.skip_to(receipt.up_to_seq, receipt.head)
        elif any(self.kinds[missing.start - 1 : missing.stop - 1]):
            self.covered = receipt.up_to_seq  # send again from the gap on; repeats harm nobody
        else:
            self.covered = max(self.covered, self.seq_of_head(receipt.head))
