# SPDX-License-Identifier: Apache-2.0
"""One turn of the terminal after the other: chores, then at most one card.

No thread and no real time of its own: what it waits for is the reader's business, what time it is
comes from the station's clock, and what the server says arrives in the mailbox. Whoever drives it,
the program or a simulated world, calls `Loop.turn`.
"""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from card.errors import CardError, NoCard, NoService, ReaderError
from card.readers import CardConnection, Reader
from card.volunteer import CardFace
from keys.psam import Psam
from swipe.event import NO_POSITION, Event
from swipe.kinds import EventType, OutageKind, TamperKind
from terminal.announce import Announcer, note_of
from terminal.courier import Mailbox, Standing
from terminal.desk import Desk, local_time
from terminal.devices.absent import NoGps, NoPrinter, NoScanner, NoSounder
from terminal.devices.protocols import DeviceState, Gps, Printer, Scanner, Slip, Sounder
from terminal.display import Display, NoDisplay
from terminal.errors import NotSaved
from terminal.inquiry import ask
from terminal.keypad import Key, Keypad, NoKeypad
from terminal.modes.comparison import Comparison
from terminal.modes.console import Console, Services
from terminal.modes.enquiry import Enquiry
from terminal.modes.policy import Panel
from terminal.modes.power_on import lift_first, self_test
from terminal.modes.screens import checked
from terminal.modes.usb import find_stick
from terminal.policy import Say, accepted
from terminal.recover import close_open_intent
from terminal.screen import Screen
from terminal.slips import slip_of, trial_slip
from terminal.station import Station
from terminal.stick_job import StickJob
from terminal.tap import Outcome, card_failed
from terminal.timing import unswept
from terminal.transport import Transport
from terminal.updates import UpdateCarrier

_Answer = TypeVar("_Answer")

_LOG = logging.getLogger(__name__)

# How long one wait for a card or its removal lasts: keys and receipts are served in between.
LOOK_S = 0.1
# A reader that has just got its power needs this long to notice what lies on it.
SETTLE_S = 0.5
# Reading the journal again takes a while when it is long.
HEAL_EVERY_MS = 5_000
CODES_MAX = 4  # of one turn; a scanner that shouts must not keep cards waiting


@dataclass(slots=True)
class Parts:
    """The devices of a terminal; whoever starts the program opens them."""

    reader: Reader
    psam: Psam
    transport: Transport
    quick: Transport | None = None  # gives up soon: a card is held still meanwhile
    display: Display = field(default_factory=NoDisplay)
    keypad: Keypad = field(default_factory=NoKeypad)
    printer: Printer = field(default_factory=NoPrinter)
    scanner: Scanner = field(default_factory=NoScanner)
    sounder: Sounder = field(default_factory=NoSounder)
    gps: Gps = field(default_factory=NoGps)
    every_slip: bool = False  # print a slip for every tap, unasked
    rng: random.Random = field(default_factory=random.SystemRandom)

    def close(self) -> None:
        """Let go of all devices."""
        for device in (self.display, self.keypad, self.printer, self.scanner, self.sounder):
            device.close()
        self.gps.close()
        self.reader.close()


class Link(Protocol):
    """What the loop needs of the uplink: how it stands, and to make it hurry."""

    @property
    def standing(self) -> Standing:
        """Return what the screen tells about the link."""

    def hurry(self) -> None:
        """Send everything now."""


@dataclass(slots=True)
class Around:
    """What the loop talks to besides reader and keys."""

    link: Link
    mailbox: Mailbox
    carrier: UpdateCarrier
    announcer: Announcer
    comparison: Comparison | None = None
    find_stick: Callable[[], Path | None] = find_stick


class Loop:
    """The turns of one terminal, in the thread that owns its journal."""

    def __init__(self, parts: Parts, station: Station, desk: Desk, around: Around) -> None:
        self._parts = parts
        self._station = station
        self._desk = desk
        self._link = around.link
        self._mailbox = around.mailbox
        self._carrier = around.carrier
        self._announcer = around.announcer
        self._stick = StickJob(station, around.find_stick)
        self.console = Console(station, desk, around.announcer, self._services(around))
        self._lying = False
        self._left = False  # it lay there before anybody looked
        self._unsure = False  # whether one does
        self._reader_problem: Say | None = None
        self._complaint = ""
        self._heal_at_ms = 0
        self._placed = False
        self._failing: set[str] = set()

    def self_test(self) -> None:
        """Look at all parts once, show and record how they are; nothing of it stops the start.

        A card that lies on the reader by then is none that was laid down to be tapped.
        """
        self._unsure = True
        with contextlib.suppress(ReaderError):  # the first turn tells of it
            self._find_lying(self._parts.reader)
        self_test(
            self._desk,
            self._parts.reader,
            self._parts.display,
            self._parts.printer,
            lambda result: self._announcer.show(checked(result.part, passed=result.passed)),
        )

    def turn(self) -> bool:
        """Take what was posted, do the chores, look for a card; return False without a reader."""
        self._mailbox.empty()
        self._chores()
        reader = self._parts.reader
        try:
            if self._unsure:
                self._find_lying(reader)
            if self._lying:
                self._lying = not reader.wait_removed(LOOK_S)
                self._left = self._left and self._lying
            elif reader.wait_card(LOOK_S):
                self._lying = True
                self._card()
            self._reader_back()
        except ReaderError as exc:
            self._lying, self._left, self._unsure = False, False, True
            self._reader_lost(exc)
            return False
        return True

    def _find_lying(self, reader: Reader) -> None:
        """Let a card that lies there unasked be lifted first.

        It may have been tapped before the program started or the reader went away: another tap
        would be an OUT that nobody made. A reader that comes back in the middle of a wait is not
        given the rest of it only.
        """
        self._lying = self._left = reader.wait_card(0.0) or reader.wait_card(SETTLE_S)
        self._unsure = False

    @property
    def _placeless(self) -> bool:
        return self._station.chain.around.lat == NO_POSITION

    @property
    def reader_problem(self) -> Say | None:
        """Return what the screen says of the reader, None while it answers."""
        return self._reader_problem

    @property
    def psam_failed(self) -> bool:
        """Say whether the PSAM failed at the last tap."""
        return self._desk.is_out(OutageKind.PSAM)

    def take_notes(self) -> None:
        """Write what happened besides taps; also the last thing before the program ends."""
        jump = self._desk.chain.time.jump()
        if jump is not None:
            expected, found = (ms // 1000 for ms in jump)
            self._desk.note_later(
                EventType.TAMPER, kind=TamperKind.CLOCK, expected=expected, found=found
            )
        try:
            self._desk.write_notes()
        except NotSaved as exc:
            self._complain(exc)

    def _chores(self) -> None:
        """Keys, clock, notes and the idle screen: none of it may end the program."""
        self._heal()
        for key in self._parts.keypad.pressed():
            self._key(key)
        codes: list[bytes] = self._asked("scanner", self._parts.scanner.codes, [])
        for code in codes[:CODES_MAX]:
            self._code(code)
        exported = self._stick.turn()
        if exported is not None:
            self._announcer.key(exported, self._station)
        self._asked("receiver", self._place, None)
        self.take_notes()
        standing = self._link.standing
        stage = self.console.screen(standing)
        if stage is None and self._left:
            stage = lift_first()
        lines = self.console.lines() if stage is None else ()
        self._announcer.idle(self._station, standing, self._reader_problem, stage, lines)

    def _asked(self, name: str, ask: Callable[[], _Answer], without: _Answer) -> _Answer:
        """Return what a device says, `without` if it fails; the log tells a failure once."""
        try:
            answer = ask()
        except Exception:  # noqa: BLE001 - no device's fault may end clocking
            if name not in self._failing:
                _LOG.exception(name)
            self._failing.add(name)
            return without
        self._failing.discard(name)
        return answer

    def _heal(self) -> None:
        """Bring the journal back after a failure, and close what it left open."""
        journal, now_ms = self._station.journal, self._desk.chain.time.uptime_ms()
        if not (journal.failed or journal.state.intent) or now_ms < self._heal_at_ms:
            return
        self._heal_at_ms = now_ms + HEAL_EVERY_MS
        try:
            if journal.failed:
                journal.recover()
            close_open_intent(self._desk.chain)
            self._complaint = ""
        except NotSaved as exc:
            self._complain(exc)

    def _complain(self, error: NotSaved) -> None:
        """Log a failure once, however often it comes back."""
        if str(error) != self._complaint:
            _LOG.error("%s", error)
        self._complaint = str(error)

    def _services(self, around: Around) -> Services:
        transport = self._parts.quick or self._parts.transport
        return Services(
            hurry=around.link.hurry,
            export=self._stick.begin,
            print_test=self._print_test,
            print_last=self._print_last,
            parts=self._parts_states,
            enquiry=Enquiry(self._desk, partial(ask, transport, self._station.chain)),
            comparison=around.comparison,
        )

    def _parts_states(self) -> tuple[tuple[str, str], ...]:
        """Return how the parts are; what is not configured is not named."""
        reader = "ok" if self._reader_problem is None else "offline"
        psam = "fault" if self.psam_failed else "ok"
        printer = self._asked("printer", lambda: self._parts.printer.state, DeviceState.FAULT)
        fitted = (("printer", str(printer)),) if printer is not DeviceState.NONE else ()
        return (("reader", reader), ("psam", psam), *fitted)

    def _print_test(self) -> bool:
        now = local_time(self._station.chain.time.now().utc_s, self._station.chain.around.tz_q)
        slip = trial_slip(self._station.site_name, now.date().isoformat(), f"{now:%H:%M}")
        return self._slip(slip)

    def _key(self, key: Key) -> None:
        """Let a key do what it does; whatever fails there leads back to the idle screen."""
        try:
            self.console.key(key)
        except Exception:  # noqa: BLE001 - one strange key must not stop the terminal
            _LOG.exception("key")
            self.console.panel = Panel()

    def _code(self, code: bytes) -> None:
        """Answer a code that the scanner read, as a card is answered."""
        try:
            outcome = self.console.present_code(code)
        except Exception:  # noqa: BLE001 - one strange code must not stop the terminal
            _LOG.exception("code")
            outcome = Outcome(Say.CARD_FAULT)
        self._answer(outcome)
        _tell(outcome)

    def _place(self) -> None:
        """Take the place from the GPS where the configuration has none; its time sets nothing."""
        receipt = self._station.journal.state.receipt
        if receipt is not None:  # a receiver that tells an earlier time tells a wrong place too
            self._parts.gps.not_before(receipt.srv_utc_ms // 1000)
        fix = self._parts.gps.fix()
        chain = self._station.chain
        if fix is None or not (self._placeless or self._placed):
            return
        self._placed = True
        chain.around = replace(chain.around, lat=fix.lat, lon=fix.lon)

    def _answer(self, answer: Outcome | Screen) -> None:
        """Show an answer; then print the slip, if all are printed; nobody waits for the printer."""
        if isinstance(answer, Screen):
            self._announcer.answer(answer, self._station)
            return
        self._announcer.outcome(answer, self._station)
        if self._parts.every_slip:
            self._print(answer)

    def _print_last(self, face: CardFace, event: Event) -> None:
        """Print the slip of a tap whose holder asks about the card."""
        said = accepted(event.type)
        self._print(Outcome(said, event, face, kind=event.type, utc_s=event.utc_s))

    def _print(self, outcome: Outcome) -> None:
        day = self._desk.today(self._station.chain.time.now()).isoformat()
        note = note_of(outcome, self._station)
        slip = slip_of(outcome, note, self._station.site_name, day)
        if slip is not None:
            self._slip(slip)

    def _slip(self, slip: Slip) -> bool:
        """Hand a slip to the printer; return whether it took it."""
        return self._asked("slip", partial(self._parts.printer.print, slip), without=False)

    def _card(self) -> None:
        """Answer one presentation, with nothing in between that can wait."""
        with unswept():
            self._one_card()

    def _one_card(self) -> None:
        """Answer one presentation; the connection is let go only after the answer."""
        self._announcer.reading()
        self._desk.answered = None
        connection = self._powered()
        if isinstance(connection, Outcome):
            self._announcer.outcome(connection, self._station)
            return
        try:
            answer = self._present(connection)
            if isinstance(answer, Outcome):
                self._update(connection, answer)
            self._answer(answer)
        finally:
            _let_go(connection)
        if isinstance(answer, Outcome):
            _tell(answer)

    def _powered(self) -> CardConnection | Outcome:
        """Power the card, or say why it cannot be: a foreign chip, or one pulled too early."""
        try:
            return self._parts.reader.connect()
        except NoCard:
            return Outcome(Say.AGAIN)
        except ReaderError:
            raise
        except CardError as exc:
            return card_failed(exc)

    def _update(self, connection: CardConnection, outcome: Outcome) -> None:
        """Carry what waits for the card, while the screen still says to hold it.

        The tap is durable already; a card without an update is answered without a word to the
        server.
        """
        face = outcome.face
        if face is None or not outcome.decided or not self._carrier.wants(face.asn):
            return
        if self._link.standing.online:
            self._carrier.carry(connection, face.asn)

    def _present(self, connection: CardConnection) -> Outcome | Screen:
        try:
            return self.console.present(connection)
        except ReaderError:
            raise
        except Exception:  # noqa: BLE001 - one strange card must not stop the terminal
            _LOG.exception("presentation")
            return Outcome(Say.CARD_FAULT)

    def _reader_lost(self, error: ReaderError) -> None:
        if self._reader_problem is None:
            _LOG.error("%s", error)
            self._desk.outage_began(OutageKind.READER, self._desk.chain.time.now().utc_s)
        self._reader_problem = Say.NO_SERVICE if isinstance(error, NoService) else Say.NO_READER

    def _reader_back(self) -> None:
        if self._reader_problem is not None:
            self._reader_problem = None
            self._desk.outage_ended(OutageKind.READER, self._desk.chain.time.now().utc_s)


def _let_go(connection: CardConnection) -> None:
    """Close a connection whose card may have left long ago."""
    try:
        connection.close()
    except CardError as exc:
        _LOG.info("%s", exc)


def _tell(outcome: Outcome) -> None:
    """Log what happened without a name or a full serial."""
    seq = 0 if outcome.event is None else outcome.event.seq
    timings = outcome.timings
    _LOG.info(
        "tap %s seq=%d total_ms=%.1f host_ms=%.2f",
        outcome.say.name, seq, timings.total_ns / 1e6, timings.host_ns / 1e6,
    )  # fmt: skip
