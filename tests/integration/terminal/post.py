# SPDX-License-Identifier: Apache-2.0
"""A terminal's loop that a test turns by hand: no thread, no real time, everything visible."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from card.errors import CardError, ReaderError
from card.readers import CardConnection
from hardware_mocks.cardos.shell import ChipCard
from keys.store import FileKeyStore
from swipe import payloads
from swipe.event import Event
from swipe.kinds import EventType
from swipe.notices import Config as ConfigNotice
from swipe.operator_pin import PinVerifier
from terminal.announce import Announcer
from terminal.asking import Asker
from terminal.clock import Fix
from terminal.courier import Mailbox, Standing
from terminal.devices.protocols import DeviceState, Slip
from terminal.errors import Unreachable
from terminal.keypad import Key, keys_of
from terminal.loop import Around, Loop, Parts
from terminal.modes.comparison import Comparison
from terminal.screen import Screen
from terminal.site_config import parse_config
from terminal.station import Station, open_station
from terminal.transport import Request
from terminal.updates import UpdateCarrier
from tests.factories import UTC_S
from tests.integration.terminal.bench import Bench, asn, connect, issue
from tests.integration.terminal.devices import HandConnection

PIN = "602417"
CHEAP = 4  # the cost of a PIN's hash, for tests


class Slot:
    """A reader that answers at once: a card lies there or not."""

    name = "pcsc:Slot"

    def __init__(self) -> None:
        self.card: ChipCard | None = None
        self.error: ReaderError | None = None  # makes every wait fail
        self.refusal: CardError | None = None  # what powering the card meets

    def wait_card(self, timeout_s: float) -> bool:
        """Say whether a card lies there."""
        del timeout_s
        if self.error is not None:
            raise self.error
        return self.card is not None

    def wait_removed(self, timeout_s: float) -> bool:
        """Say whether none lies there; a reader that is away cannot, as the real ones."""
        return not self.wait_card(timeout_s)

    def connect(self) -> CardConnection:
        """Power the card."""
        assert self.card is not None
        if self.refusal is not None:
            raise self.refusal
        return HandConnection(connect(self.card))

    def close(self) -> None:
        """Nothing to let go of."""


class Shown:
    """A display that remembers."""

    def __init__(self) -> None:
        self.screens: list[Screen] = []

    def show(self, screen: Screen) -> None:
        """Remember a screen."""
        self.screens.append(screen)

    def close(self) -> None:
        """Nothing to let go of."""

    @property
    def text(self) -> str:
        """Return what stands there now."""
        return str(self.screens[-1])


class Fingers:
    """Keys that wait to be taken."""

    def __init__(self) -> None:
        self.waiting: list[Key] = []

    def pressed(self) -> list[Key]:
        """Return the keys pressed since the last call."""
        taken, self.waiting = self.waiting, []
        return taken

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class Paper:
    """A printer that remembers what it was given."""

    state: DeviceState = DeviceState.OK
    slips: list[Slip] = field(default_factory=list)

    def print(self, slip: Slip) -> bool:
        """Take a slip, unless it is off line."""
        if self.state is not DeviceState.OK:
            return False
        self.slips.append(slip)
        return True

    def close(self) -> None:
        """Nothing to let go of."""


class Lines:
    """A link that a test switches, and what the server behind it answers to a path's end."""

    def __init__(self) -> None:
        self.standing = Standing()
        self.hurried = 0
        self.answers: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []

    def hurry(self) -> None:
        """Count it."""
        self.hurried += 1

    def send(self, request: Request) -> bytes:
        """Answer what was prepared; anything else gets no answer."""
        self.asked.append(request.path)
        for end, answer in self.answers.items():
            if end in request.path:
                return json.dumps(answer).encode()
        raise Unreachable("no answer prepared")


class Post:
    """One terminal with its loop, and the hands in front of it."""

    def __init__(self, bench: Bench) -> None:
        bench.desk.chain.journal.close()
        self.bench = bench
        self.stick: Path | None = None
        self.slot, self.shown, self.fingers = Slot(), Shown(), Fingers()
        self.paper, self.lines = Paper(), Lines()
        self.start()

    def start(self) -> None:
        """Start on what is on the disk, as after a power cut."""
        bench = self.bench
        self.station: Station = open_station(bench.config, bench.clock, self.lines, bench.psam)
        self.desk = self.station.desk(bench.psam, training=False)
        self.desk.online = lambda: self.lines.standing.online
        self.parts = Parts(
            reader=self.slot,
            psam=bench.psam,
            transport=self.lines,
            display=self.shown,
            keypad=self.fingers,
            printer=self.paper,
        )
        now = bench.clock.uptime_ms()
        self.station.chain.time.discipline(Fix(bench.clock.utc_ms(), 0, now, now))
        mailbox = Mailbox()
        comparison = Comparison(
            lambda _cfg, _hot: [],
            Asker(self.station.chain, self.lines),
            self.station.journal,
            self.station.uplink.resend,
        )
        self.comparison = comparison
        carrier = UpdateCarrier(self.station.chain, self.lines)
        announcer = Announcer(self.shown)
        around = Around(self.lines, mailbox, carrier, announcer, comparison, lambda: self.stick)
        self.loop = Loop(self.parts, self.station, self.desk, around)

    def cut_power(self) -> None:
        """End without a word, and start again."""
        self.station.journal.close()
        self.start()

    def configure(self, **members: Any) -> None:
        """Put a configuration into use without a server."""
        document = {"site": {"id": 3, "name_zh": "莲花山", "name_en": "Lianhua", "tz_q": 32}}
        notice = ConfigNotice(1, json.dumps(document | members).encode())
        self.station.notices.config = parse_config(notice)

    def turn(self) -> str:
        """Turn once; return what stands on the display."""
        self.loop.turn()
        return self.shown.text

    def press(self, keys: str, *, seconds: float = 0) -> str:
        """Press keys, each in a turn of its own: digits, `y` for ✓, `n` for ✗."""
        for key in keys:
            data = {"y": b"\r", "n": b"\x1b"}.get(key, key.encode())
            self.fingers.waiting += keys_of(data)
            self.turn()
            self.bench.clock.advance(seconds)
        return self.shown.text

    def tap(self, card: ChipCard, *, seconds: float = 0) -> str:
        """Lay a card down, hear the answer, take it away; return what was shown."""
        self.slot.card = card
        text = self.turn()
        self.slot.card = None
        self.turn()
        self.bench.clock.advance(seconds)
        return text

    def wait(self, seconds: float) -> str:
        """Let time pass and turn; return what is shown then."""
        self.bench.clock.advance(seconds)
        return self.turn()

    def events(self, *kinds: EventType) -> list[Event]:
        """Return the events of these types, or all."""
        return [e for e in self.bench.events() if not kinds or e.type in kinds]

    def payload(self, kind: EventType) -> dict[str, int | bytes]:
        """Return the payload of the last event of a type."""
        return payloads.parse(kind, self.events(kind)[-1].payload)


def operators(*entries: tuple[bytes, str], pin: str = PIN) -> Sequence[dict[str, str]]:
    """Return the entries of a configuration for these cards and roles, all with one PIN."""
    return [
        {
            "asn8": serial[2:].hex(),
            "name": "李",
            "role": role,
            "pin": str(PinVerifier.make(pin, serial[2:], bytes(16), CHEAP)) if pin else "",
        }
        for serial, role in entries
    ]


LEADER, HELPER, VOLUNTEER, OTHER = 21, 22, 1, 2


def configure(post: Post, **members: object) -> None:
    """Put the site's configuration into use, with these members besides."""
    listed = operators((asn(LEADER), "supervisor"), (asn(HELPER), "operator"))
    start = {"start": UTC_S - 60, "end": UTC_S + 9999}
    activities = [
        {"id": 31, "name_zh": "导览", "name_en": "Guide", "code": "1024"} | start,
        {"id": 32, "name_zh": "送餐", "name_en": "Meals", "code": "2048"}
        | {"start": UTC_S, "end": UTC_S + 9999},
    ]
    post.configure(**{"operators": listed, "activities": activities} | members)


def sign_on(post: Post, store: FileKeyStore, number: int = HELPER, pin: str = PIN) -> str:
    """Key 7, the card, the PIN."""
    post.press("7")
    post.tap(issue(store, number))
    return post.press(pin + "y")
