# SPDX-License-Identifier: Apache-2.0
"""One turn of the terminal after the other: chores, then at most one card.

No thread and no real time of its own: what it waits for is the reader's business, what time it is
comes from the station's clock, and what the server says arrives in the mailbox. Whoever drives it,
the program or a simulated world, calls `Loop.turn`.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass, field
from typing import Protocol

from card.errors import CardError, MuteCard, NoCard, NoService, ReaderError
from card.readers import CardConnection, Reader
from keys.psam import Psam
from swipe.kinds import EventType, OutageKind, TamperKind
from terminal.actions import press
from terminal.announce import Announcer
from terminal.courier import Mailbox, Standing
from terminal.desk import Desk
from terminal.display import Display, NoDisplay
from terminal.errors import NotSaved
from terminal.keypad import Key, Keypad, NoKeypad
from terminal.policy import Say
from terminal.recover import close_open_intent
from terminal.station import Station
from terminal.tap import Outcome, present
from terminal.transport import Transport
from terminal.updates import UpdateCarrier

_LOG = logging.getLogger(__name__)

# How long one wait for a card or its removal lasts: keys and receipts are served in between.
LOOK_S = 0.1
# Reading the journal again takes a while when it is long.
HEAL_EVERY_MS = 5_000


@dataclass(slots=True)
class Parts:
    """The devices of a terminal; whoever starts the program opens them."""

    reader: Reader
    psam: Psam
    transport: Transport
    quick: Transport | None = None  # gives up soon: a card is held still meanwhile
    display: Display = field(default_factory=NoDisplay)
    keypad: Keypad = field(default_factory=NoKeypad)
    rng: random.Random = field(default_factory=random.SystemRandom)


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
        self._lying = False
        self._reader_problem: Say | None = None
        self._complaint = ""
        self._heal_at_ms = 0

    def turn(self) -> bool:
        """Take what was posted, do the chores, look for a card; return False without a reader."""
        self._mailbox.empty()
        self._chores()
        reader = self._parts.reader
        try:
            if self._lying:
                self._lying = not reader.wait_removed(LOOK_S)
            elif reader.wait_card(LOOK_S):
                self._lying = True
                self._card()
            self._reader_back()
        except ReaderError as exc:
            self._lying = False
            self._reader_lost(exc)
            return False
        return True

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
        self.take_notes()
        self._announcer.idle(self._station, self._link.standing, self._reader_problem)

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

    def _key(self, key: Key) -> None:
        try:
            say = press(self._desk, key)
        except NotSaved as exc:
            self._complain(exc)
            say = Say.NOT_SAVED
        if key is Key.SETTLE and say is not Say.NOT_SAVED:
            self._station.uplink.retry_gap()
            self._link.hurry()
        self._announcer.key(say, self._station)

    def _card(self) -> None:
        """Answer one presentation; the connection is let go only after the answer."""
        self._announcer.reading()
        try:
            connection = self._parts.reader.connect()
        except MuteCard:
            self._announcer.outcome(Outcome(Say.MUTE), self._station)
            return
        except NoCard:
            self._announcer.outcome(Outcome(Say.AGAIN), self._station)
            return
        try:
            outcome = self._present(connection)
            self._update(connection, outcome)
            self._announcer.outcome(outcome, self._station)
        finally:
            _let_go(connection)
        _tell(outcome)

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

    def _present(self, connection: CardConnection) -> Outcome:
        try:
            return present(self._desk, connection)
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
