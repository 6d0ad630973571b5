# SPDX-License-Identifier: Apache-2.0
"""From outcomes to screens: what stands on the display, and for how long."""

from __future__ import annotations

from dataclasses import replace

from swipe.event import Event
from swipe.kinds import EventType
from terminal import courier, screen
from terminal.desk import local_time
from terminal.devices.absent import NoSounder
from terminal.devices.protocols import Sounder
from terminal.display import Display
from terminal.policy import Mode, Say
from terminal.screen import Led, Note, Screen, Standing, Tone
from terminal.station import Station
from terminal.tap import Outcome

# An answer stays this long, unless the next card comes first.
HOLD_MS = 3_000
INQUIRY_MS = 8_000  # four lines to be read by somebody who asked for them
TURN_MS = 4_000  # a line of twenty columns is read in less
CLICK_MS = 200  # the click of a key is over before the next frame
_DIRECTIONS = {
    EventType.IN: Mode.IN,
    EventType.SWITCH: Mode.IN,
    EventType.OUT: Mode.OUT,
}


class Signalled:
    """A display with a light and a sounder beside it."""

    def __init__(self, display: Display, sounder: Sounder) -> None:
        self._display = display
        self._sounder = sounder
        self._led: Led | None = None
        self._ticking = False

    def show(self, shown: Screen) -> None:
        """Show a screen; its light stays, its tone is begun, ticks of the last one end."""
        self._display.show(shown)
        if shown.led is not self._led:
            self._led = shown.led
            self._sounder.light(shown.led)
        if shown.tone is not Tone.NONE or self._ticking:
            self._sounder.play(shown.tone)
            self._ticking = shown.tone is Tone.TICK


class Announcer:
    """Show one thing after the other; the idle screen when nothing else is to be said."""

    def __init__(self, display: Display, sounder: Sounder | None = None) -> None:
        self._display = Signalled(display, sounder or NoSounder())
        self._held_until_ms: int | None = None
        self.quiet = False  # no ticks and clicks; what answers a card is always heard

    def show(self, shown: Screen) -> None:
        """Show a screen that the next one may replace at once."""
        self._display.show(shown)

    def say(self, say: Say) -> None:
        """Show a message that needs no details."""
        self._display.show(screen.message(say, Note()))

    def reading(self) -> None:
        """Show that the card is at work."""
        self._display.show(self._heard(screen.reading()))

    def outcome(self, outcome: Outcome, station: Station) -> None:
        """Answer a presentation."""
        self._hold(screen.message(outcome.say, note_of(outcome, station)), station)

    def key(self, say: Say, station: Station, place: str = "", name: str = "") -> None:
        """Answer a key."""
        if say is Say.MODE:
            self._hold(screen.mode_changed(station.journal.state.mode), station)
        else:
            self._hold(screen.message(say, Note(place=place, name=name)), station)

    def answer(self, shown: Screen, station: Station) -> None:
        """Answer a card that was asked for and not tapped."""
        self._hold(self._heard(replace(shown, tone=Tone.KEY)), station, INQUIRY_MS)

    def prompt(self, shown: Screen | None, station: Station) -> None:
        """Show where a key has led, with a click; None stands for the idle screen."""
        if shown is None:
            self._held_until_ms = None
        else:
            self._hold(self._heard(replace(shown, tone=Tone.KEY)), station, CLICK_MS)

    def idle(
        self,
        station: Station,
        link: courier.Standing,
        problem: Say | None,
        stage: Screen | None = None,
        lines: tuple[str, ...] = (),
    ) -> None:
        """Show the stage's screen, a standing problem or the idle screen.

        Not before the last answer has been read. `lines` take turns with the site's name.
        """
        now_ms = station.chain.time.uptime_ms()
        if self._held_until_ms is not None and now_ms < self._held_until_ms:
            return
        self._held_until_ms = None
        if station.journal.failed:
            problem = Say.NOT_SAVED
        if stage is not None and problem is not Say.NOT_SAVED:
            self._display.show(stage)
        elif problem is None:
            standing = replace(standing_of(station, link), lines=lines, turn=now_ms // TURN_MS)
            self._display.show(screen.idle(standing))
        else:  # it stands there until it is mended; the tone was for the moment it came
            self._display.show(replace(screen.message(problem, Note()), tone=Tone.NONE))

    def _heard(self, shown: Screen) -> Screen:
        """Leave out the soft sounds where they are off."""
        return replace(shown, tone=Tone.NONE) if self.quiet else shown

    def _hold(self, shown: Screen, station: Station, hold_ms: int = HOLD_MS) -> None:
        self._held_until_ms = station.chain.time.uptime_ms() + hold_ms
        self._display.show(shown)


def note_of(outcome: Outcome, station: Station) -> Note:
    """Gather the changing parts of a message."""
    utc_s = outcome.utc_s or station.chain.time.now().utc_s
    return Note(
        clock=clock_text(utc_s, station),
        name="" if outcome.face is None else outcome.face.masked_name,
        place=_place(outcome.event, station),
        stay_s=outcome.stay_s,
        code=outcome.code,
        may_undo=outcome.may_undo,
        direction=_DIRECTIONS.get(EventType(outcome.kind), Mode.AUTO)
        if outcome.kind
        else Mode.AUTO,
    )


def standing_of(station: Station, link: courier.Standing) -> Standing:
    """Gather what the idle screen tells."""
    state = station.journal.state
    reading = station.chain.time.now()
    unsent = state.unsent
    problem = link.short
    if not problem and station.notices.stale():
        problem = "通知过期 请联网|LIST OUT OF DATE"
    if station.uplink.gap_unfilled:
        problem = "流水有缺 请报告|RECORDS MISSING"
    return Standing(
        clock=clock_text(reading.utc_s, station),
        mode=state.mode,
        site=station.site_name,
        unsent=unsent,
        oldest_s=oldest_s(station, reading.utc_s) if unsent else 0,
        online=link.online,
        problem=problem,
    )


def clock_text(utc_s: int, station: Station) -> str:
    """Return the site's wall time in hours and minutes."""
    return local_time(utc_s, station.chain.around.tz_q).strftime("%H:%M")


def _place(event: Event | None, station: Station) -> str:
    activities = station.notices.config.activities
    names = {activity.id: activity.name_zh for activity in activities}
    if event is not None and event.activity in names:
        return names[event.activity]
    return station.site_name


def oldest_s(station: Station, now_s: int) -> int:
    """Return the age of the oldest event that no receipt covers."""
    state = station.journal.state
    for seq in range(state.covered + 1, state.last_seq + 1):
        for raw in station.journal.events(seq, seq) if state.kinds[seq - 1] else ():
            return max(0, now_s - Event.from_bytes(raw).utc_s)
    return 0
