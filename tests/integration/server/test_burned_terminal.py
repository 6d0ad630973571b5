# SPDX-License-Identifier: Apache-2.0
"""A terminal burns with its journal; what its taps left on the cards comes back by another."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa

from hardware_mocks.cardos.cos import VirtualCard
from keys.identity import Suite
from keys.psam import SoftwarePsam
from keys.store import FileKeyStore
from server.db import Database
from server.ingest import missing
from server.ingest.models import StoredEvent
from server.ingest.verdicts import Verdict
from server.people.policy import volunteer_number
from server.people.services import register_card
from server.updates.services import Bench
from swipe.kinds import EventType
from terminal.tap import present
from terminal.updates import UpdateCarrier
from tests.factories import CHEAP, PASSPHRASE
from tests.integration.server.rig import NOW_MS, volunteer
from tests.integration.server.test_suites import Post, make_post
from tests.integration.terminal.bench import asn, connect, issue

CARDS, TAPS, FAITHFUL_TAPS = 120, 300, 40
COMING_BY = 40
FIRST_OWNER, FIRST_CARD = 900_100_000, 1_000
BURNED_PSAM = bytes.fromhex("880000000077")


def serial(number: int) -> bytes:
    """The serial of the n-th card of this story."""
    return asn(FIRST_CARD + number)


@dataclass
class Fire:
    """Two terminals at one server; one is burned after 300 taps that it had not sent."""

    post: Post
    cards: dict[int, VirtualCard] = field(default_factory=dict)
    taps: dict[int, int] = field(default_factory=dict)

    def burn(self, folder: Path) -> None:
        """Let a terminal take taps without a network, then lose it."""
        store = self.post.rig.store
        store.export_software_psam(folder / "psam", BURNED_PSAM, PASSPHRASE, CHEAP)
        psam = SoftwarePsam.open(folder / "psam", PASSPHRASE)
        other = Post(self.post.rig, folder / "pos", psam, self.post.transport, self.post.clock)
        other.enrol(Suite.ED25519, "pos-y")
        station = other.station()
        desk = station.desk(psam, training=False)
        for number in self._order():
            other.clock.advance(90)
            outcome = present(desk, connect(self.cards[number]))
            assert outcome.event is not None
            assert outcome.event.type in (EventType.IN, EventType.OUT, EventType.AUTO)
        station.journal.close()
        shutil.rmtree(other.folder)

    def _order(self) -> list[int]:
        """One card taps forty times, the others once or more, in any order."""
        rng = random.Random(4)
        self.taps = dict.fromkeys(range(1, CARDS + 1), 1)
        self.taps[1] = FAITHFUL_TAPS
        while sum(self.taps.values()) < TAPS:
            self.taps[rng.randint(2, CARDS)] += 1
        order = [number for number, count in self.taps.items() for _ in range(count)]
        rng.shuffle(order)
        return order

    def holes(self) -> dict[str, missing.CardHoles]:
        """What the server misses, by card."""
        with self.post.rig.database.reading() as session:
            return {card.asn: card for card in missing.holes(session)}

    def events(self, kind: EventType) -> list[StoredEvent]:
        """Stored events of a type."""
        with self.post.rig.database.reading() as session:
            found = list(session.scalars(sa.select(StoredEvent).where(StoredEvent.type == kind)))
            session.expunge_all()
            return found


@pytest.fixture
def fire(tmp_path: Path, sqlite_database: Database, key_store: FileKeyStore) -> Fire:
    """120 cards and 300 taps that nobody but the cards remembers."""
    post = make_post(tmp_path, sqlite_database, key_store)
    post.enrol(Suite.ED25519)
    made = Fire(post)
    with post.rig.database.writing() as session:
        for number in range(1, CARDS + 1):
            owner = volunteer_number(FIRST_OWNER + number)
            session.add(volunteer(owner))
            session.flush()
            register_card(session, owner, serial(number).hex(), 1, "li", NOW_MS)
    made.cards = {number: issue(key_store, FIRST_CARD + number) for number in range(1, CARDS + 1)}
    burned = tmp_path / "burned"
    burned.mkdir()
    made.burn(burned)
    return made


def test_taps_of_a_burned_terminal_come_back(fire: Fire) -> None:
    """The last tap of each card comes back proven, older ones as evidence, the rest are named."""
    post = fire.post
    _come_by(fire, [])
    post.sync()

    resolved = fire.events(EventType.TORN_RESOLVED)
    assert len(resolved) == COMING_BY
    assert {Verdict(event.verdict) for event in resolved} == {Verdict.OK}
    assert {event.psam_no for event in resolved} == {BURNED_PSAM}
    came = {serial(number).hex(): fire.taps[number] for number in range(1, COMING_BY + 1)}
    holes = fire.holes()
    assert {card: found.missing for card, found in holes.items()} == {
        card: count - 1 for card, count in came.items() if count > 1
    }

    with post.rig.database.writing() as session:
        bench = Bench(post.rig.store, NOW_MS)
        asked = missing.ask(session, bench, missing.holes(session), "li")
        assert missing.ask(session, bench, missing.holes(session), "li") == [], "once each"
    assert sorted(asked) == sorted(holes)
    _come_by(fire, post.transport.sent)
    post.sync()

    recovered = fire.events(EventType.RECOVERED)
    left = fire.holes()
    faithful = serial(1).hex()
    beyond = left[faithful].beyond
    assert {Verdict(event.verdict) for event in recovered} == {Verdict.SYSTEM}
    # Its log holds the latest thirty taps, two of them at the other terminal already; one session
    # reads two dozen of the rest.
    assert beyond
    for card, count in came.items():
        if 1 < count < 25:
            assert left[card].missing == 0
            assert left[card].recovered == tuple(range(count - 1))
    assert [card for card, found in left.items() if found.missing] == [faithful]
    total = len(resolved) + len(recovered) + sum(found.missing for found in left.values())
    assert total == sum(came.values()), "every tap of every card that came by is accounted for"


def _come_by(fire: Fire, sent: list[bytes]) -> None:
    """Let cards tap at the terminal that is left, which has sent these batches."""
    post = fire.post
    station = post.station()
    desk = station.desk(post.psam, training=False)
    carrier = UpdateCarrier(station.chain, post.transport)
    for body in sent:
        carrier.ask(body)
    for number in range(1, COMING_BY + 1):
        post.clock.advance(90)
        outcome = present(desk, connect(fire.cards[number]))
        assert outcome.event is not None
        if carrier.wants(serial(number)):
            assert carrier.carry(connect(fire.cards[number]), serial(number))
    station.journal.close()
