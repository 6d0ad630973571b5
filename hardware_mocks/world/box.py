# SPDX-License-Identifier: Apache-2.0
"""One terminal of a world: the real program on a simulated disk, clock, link, antenna and PSAM."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hardware_mocks.cardos.shell import ChipCard
from hardware_mocks.world.cards import Field, PsamSocket
from hardware_mocks.world.clocks import DeviceClock, TrueTime
from hardware_mocks.world.disk import WorldDisk
from hardware_mocks.world.faults import Fuse
from hardware_mocks.world.idle import EmptyReader, QuietLink, WorldGps
from hardware_mocks.world.link import Link
from hardware_mocks.world.office import Office
from hardware_mocks.world.stock import (
    SERVER_KEY_ID,
    SITE,
    TZ_Q,
    psam_number,
    stock,
    terminal_id,
    terminal_identity,
)
from keys.identity import Identity, Suite
from keys.psam import Psam
from swipe.frames import FileHeader
from swipe.kinds import BatchKind
from terminal.actions import press
from terminal.announce import Announcer
from terminal.clock import JUMP_MIN_MS
from terminal.config import Config
from terminal.config_sections import ClockSection, TerminalSection
from terminal.courier import Exchanger, Job, Mailbox
from terminal.desk import Desk
from terminal.display import NoDisplay
from terminal.errors import NotSaved, TerminalError
from terminal.files import IDENTITY, JOURNAL
from terminal.journal import Journal
from terminal.keypad import Key
from terminal.loop import Around, Loop, Parts
from terminal.passport import Passport
from terminal.policy import Say
from terminal.provision import provision
from terminal.rotation import change_key
from terminal.station import Station, open_station
from terminal.tap import Outcome, present
from terminal.updates import UpdateCarrier

DRIFT_PPM = 50  # what the terminals declare; their crystals keep it


@dataclass(slots=True)
class Running:
    """The program while the power is on."""

    station: Station
    desk: Desk
    exchanger: Exchanger
    loop: Loop

    @property
    def journal(self) -> Journal:
        """Return the journal."""
        return self.station.journal


class Box:
    """A terminal that can lose its power at any moment."""

    def __init__(self, number: int, office: Office, time: TrueTime, chip: ChipCard) -> None:
        self.number = number
        self.terminal_id = terminal_id(number)
        self.time = time
        self.fuse = Fuse()
        self.disk = WorldDisk(self.fuse)
        self.clock = DeviceClock(time, 0, 0)
        self.link = Link(office, time, self.fuse)
        self.field = Field(self.fuse, time.pass_ms)
        self.socket = PsamSocket(self.fuse, time.pass_ms, chip)
        self.known_psam = psam_number(number)
        self.gps = WorldGps(time)
        self.running: Running | None = None
        self.problem: str = ""
        self.starts: dict[int, tuple[int, int]] = {}
        # The start and the true time at which somebody set the clock, until that is durable.
        self.clock_set: tuple[int, int] | None = None
        # When the last one was that was told, and the event that was durable behind it.
        self.clock_told: tuple[int, int] | None = None
        self.code = ""  # what the last box that replaced another was paired with
        self.bare = False  # a box that has no journal yet
        self._stock()

    def _stock(self) -> None:
        """Make what enrolment makes."""
        identity = terminal_identity(self.number)
        passport = Passport(
            self.terminal_id, self.number + 1, SERVER_KEY_ID, stock().server.public_key.hex(),
            SITE, "一站", "Site one", TZ_Q,
        )  # fmt: skip
        passport.save(self.disk)
        for name, notice in stock().notices[self.number].items():
            self.disk.write_whole(name, notice)
        self.disk.write_whole(IDENTITY, identity.sealed_by(bytes))
        Journal.begin(self.disk, FileHeader(self.terminal_id, self.number + 1, identity.public_key))

    def power_on(self, *, battery: bool = True, restart: bool = False) -> None:
        """Start the program; `restart` keeps the device's uptime going.

        If the disk takes no data the program does not start, and tries again later.
        """
        if self.running is not None or self.bare:
            return
        if not restart:
            self.clock.power_on(battery=battery)
        slot: Psam = self.socket.slot(self.known_psam)
        try:
            station = open_station(self._config(), self.clock, self.link, slot, disk=self.disk)
        except NotSaved as exc:
            self.problem = str(exc)
            return
        self.known_psam = slot.number
        self.starts[station.chain.boot] = (self.clock.started_ms, self.clock.drift_ppm)
        desk = station.desk(slot, training=False)
        exchanger = Exchanger(station.uplink, station.journal, station.fetcher, _do)
        self.running = Running(station, desk, exchanger, self._loop(station, desk))

    def _loop(self, station: Station, desk: Desk) -> Loop:
        """Put the program's loop together, without threads."""
        parts = Parts(EmptyReader(), desk.psam, self.link, gps=self.gps)
        carrier = UpdateCarrier(station.chain, self.link)
        around = Around(QuietLink(), Mailbox(), carrier, Announcer(NoDisplay()))
        return Loop(parts, station, desk, around)

    def stop(self) -> None:
        """End the program in good order; the power stays."""
        if self.running is not None:
            self.chores()
            self.running.journal.close()
            self.running = None

    def die(self, dice: random.Random) -> None:
        """Lose the power."""
        self.fuse.arm(None)
        self.field.lift()
        self.running = None
        self.disk.lose_power(dice)

    def burn(self, code: str, offset_ms: int) -> None:
        """Become a new box with an empty disk, which has nothing but a pairing code."""
        self.running = None
        self.field.lift()
        self.link.sent.clear()
        self.disk = WorldDisk(self.fuse)
        self.code, self.bare, self.clock_set = code, True, None
        self.clock.base_ms, self.clock.offset_ms = self.time.now_ms, offset_ms

    def provision(self, seed: Callable[[], bytes]) -> bool:
        """Show a key, or take over; say whether there is a journal to begin with."""
        slot: Psam = self.socket.slot(self.known_psam)
        provision(self.disk, slot, self.code, self.link, lambda: Identity.from_seed(seed()))
        self.bare = self.disk.read(JOURNAL, 1) is None
        return not self.bare

    def tap(self, chip: ChipCard, stays: int | None = None) -> Outcome | None:
        """Lay a card down and take it away again, perhaps after so many commands already."""
        if self.running is None:
            return None
        try:
            return present(self.running.desk, self.field.lay(chip, stays))
        finally:
            self.field.lift()

    def press(self, key: Key) -> Say | None:
        """Press a key."""
        if self.running is None:
            return None
        try:
            say = press(self.running.desk, key)
        except NotSaved as exc:
            self.problem = str(exc)
            return Say.NOT_SAVED
        if key is Key.SETTLE:
            self.running.station.uplink.retry_gap()
        return say

    def sync(self, kind: BatchKind, *, everything: bool) -> TerminalError | None:
        """Talk to the server once; return what broke the exchange off."""
        if self.running is None:
            return None
        try:
            self.running.exchanger.round(kind, everything=everything)
        except TerminalError as exc:
            self.problem = str(exc)
            return exc
        return None

    def chores(self) -> None:
        """Let the program's loop turn once, without a card."""
        if self.running is not None:
            self.running.loop.turn()

    def rekey(self, dice: random.Random) -> None:
        """End the program, change the terminal's key, and upload with the new one.

        What breaks it off is kept as the problem; the key in force is then the old one or the new.
        """
        self.stop()

        def work(station: Station) -> None:
            make = partial(_made, dice)
            change_key(self.disk, station.chain, station.passport, self.link, make)
            exchanger = Exchanger(station.uplink, station.journal, station.fetcher, _do)
            exchanger.round(BatchKind.LIVE, everything=True)

        self.at_command(work)

    def at_command(self, work: Callable[[Station], None]) -> None:
        """Do something as a command does while the program is not running; keep its problem."""
        try:
            station = open_station(self._config(), self.clock, self.link, None, disk=self.disk)
            self.starts[station.chain.boot] = (self.clock.started_ms, self.clock.drift_ppm)
            try:
                work(station)
            finally:
                station.journal.close()
        except TerminalError as exc:
            self.problem = str(exc)

    def _config(self) -> Config:
        return Config(
            terminal=TerminalSection(name=f"pos-{self.number}"), clock=ClockSection(DRIFT_PPM)
        )

    def set_clock(self, by_ms: int) -> None:
        """Set the wall clock of the running device."""
        if self.running is None:
            return
        self.clock.set_by(by_ms)
        boot = self.running.station.chain.boot
        # Less is not told, and in what the next start allows. One that is forgotten stays so.
        forgotten = self.clock_set is not None and self.clock_set[0] < boot
        if abs(by_ms) > JUMP_MIN_MS and not forgotten:
            self.clock_set = (boot, self.time.now_ms)

    def true_ms(self, boot: int, up_ms: int) -> int:
        """Return the true time of an uptime of one of this terminal's starts."""
        started, drift = self.starts[boot]
        return started + up_ms * 1_000_000 // (1_000_000 + drift)


def _do(job: Job) -> None:
    job()


def _made(dice: random.Random, suite: Suite) -> Identity:
    return Identity.from_seed(dice.randbytes(32), suite)
