# SPDX-License-Identifier: Apache-2.0
"""Two generations of keys in one house: 3DES cards of version 1 beside SM4 cards of version 2.

Cards and PSAM hold keys of the store, a terminal taps the cards, and the server has the last word.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from card.card_keys import CardKeys
from card.operation import run
from card.personalise import CardData, personalise
from card.psam import PsamCard
from card.psam_issuing import PsamData, PsamKeys, personalise_psam
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.psam import VirtualPsam
from keys.algorithm import Algorithm
from keys.errors import KeyExpired, KeyRetired, UnknownKey
from keys.identity import Suite
from keys.key_set import SET_USAGES, retire_set, rotate_set
from keys.psam import Psam, SoftwarePsam
from keys.store import FileKeyStore
from keys.surroundings import Surroundings
from keys.usage import KeyUsage
from server.db import Database
from server.ingest.models import StoredEvent
from server.ingest.verdicts import Proof, Verdict
from server.people.policy import volunteer_number
from server.people.services import register_card
from swipe.event import Event
from swipe.kinds import PROVEN_TYPES
from terminal.tap import present
from tests.contracts.keystore import Calendar
from tests.factories import CARD_ASN, CHEAP, PASSPHRASE, UTC_S, make_identity
from tests.integration.server.rig import NOW_MS, Rig, volunteer
from tests.integration.server.test_suites import InProcess, Post
from tests.integration.terminal.bench import SOFT_NUMBER, connect
from tests.unit.terminal.clocks import HandClock

NEW_ASN = bytes.fromhex("00005949000000000021")
NEW_OWNER = volunteer_number(900_000_002)
# The factories' PSAM is another terminal's.
PSAM = PsamData(bytes.fromhex("00005949990000000007"), bytes.fromhex("880000000007"))
RETIREMENT = dt.date(2027, 3, 1)
PURSE = Proof.SIGNATURE | Proof.TAC | Proof.MAC2 | Proof.CG2


@dataclass
class House:
    """A store with two generations, a card and a PSAM of them, a terminal and a server."""

    post: Post
    store: FileKeyStore
    calendar: Calendar
    cards: list[VirtualCard] = field(default_factory=list)

    def tap(self, card: VirtualCard) -> None:
        """Let the owner of a card tap once."""
        station = self.post.station()
        self.post.clock.advance(3600)
        outcome = present(station.desk(self.post.psam, training=False), connect(card))
        station.journal.close()
        assert outcome.event is not None, outcome

    def taps(self) -> list[tuple[Event, StoredEvent]]:
        """Give all taps of purse cards as stored, with the server's word, in order."""
        with self.post.rig.database.reading() as session:
            rows = list(session.query(StoredEvent).order_by(StoredEvent.seq))
            session.expunge_all()
        events = [(Event.from_bytes(row.raw), row) for row in rows]
        return [(event, row) for event, row in events if event.type in PROVEN_TYPES]

    def words(self) -> list[tuple[int, int, Verdict]]:
        """Give key version, cryptogram type and verdict of every tap."""
        return [(event.key_ver, event.cg_type, Verdict(row.verdict)) for event, row in self.taps()]


def issue(store: FileKeyStore, asn: bytes, version: int, algorithm: Algorithm) -> VirtualCard:
    """Issue a card from blank with keys of one generation."""
    data = CardData(
        asn=asn,
        valid_from=dt.date(2026, 1, 1),
        valid_to=dt.date(2030, 12, 31),
        masked_name="林**",
        name="林晓燕",
        volunteer_number="1000000004",
        key_version=version,
        algorithm=algorithm,
    )
    keys = CardKeys.from_store(store.for_new_cards(), asn, version)
    card = VirtualCard()
    run(personalise(data, keys), connect(card))
    return card


def rotated(folder: Path) -> tuple[FileKeyStore, Calendar, list[VirtualCard]]:
    """Make a store that was rotated from 3DES to SM4, and a card of each generation."""
    calendar = Calendar()
    store = FileKeyStore.create(
        folder / "keys.yks", PASSPHRASE, CHEAP, Surroundings("tester", now=calendar.now)
    )
    for usage in SET_USAGES:
        store.generate(usage)
    old = issue(store, CARD_ASN, 1, Algorithm.TDES)
    rotate_set(store, Algorithm.SM4)
    return store, calendar, [old, issue(store, NEW_ASN, 2, Algorithm.SM4)]


def furnish(folder: Path, database: Database, psam: Psam, store: FileKeyStore) -> Post:
    """Put up a server that knows both cards, and a terminal with this PSAM."""
    rig = Rig(database, store, server_identity=make_identity("server")).populate()
    with database.writing() as session:
        session.add(volunteer(NEW_OWNER))
        session.flush()
        register_card(session, NEW_OWNER, NEW_ASN.hex(), 2, "li", NOW_MS)
    transport = InProcess(rig.app(folder / "server").test_client())
    post = Post(rig, folder / "pos", psam, transport, HandClock(UTC_S))
    post.enrol(Suite.ED25519)
    return post


@pytest.fixture
def house(tmp_path: Path, sqlite_database: Database) -> House:
    """Give a house whose terminal has a software PSAM, which serves both generations."""
    store, calendar, cards = rotated(tmp_path)
    store.export_software_psam(tmp_path / "psam", SOFT_NUMBER, PASSPHRASE, CHEAP)
    psam = SoftwarePsam.open(tmp_path / "psam", PASSPHRASE)
    return House(furnish(tmp_path, sqlite_database, psam, store), store, calendar, cards)


def test_cards_of_both_generations_are_proven_in_one_batch(house: House) -> None:
    """3DES and SM4 taps of one upload are right in TAC, MAC2 and CG2, and say which they are."""
    for card in (*house.cards, *house.cards):
        house.tap(card)
    house.post.sync()

    assert len({row.batch_id for _, row in house.taps()}) == 1
    assert house.words() == [(1, 1, Verdict.OK), (2, 2, Verdict.OK)] * 2
    assert {Proof(row.proof) & PURSE for _, row in house.taps()} == {PURSE}


def test_a_retired_generation_issues_nothing_and_proves_until_its_day(house: House) -> None:
    """With a date set no card is issued and all are proven; from that day the old prove nothing."""
    retire_set(house.store, 1, RETIREMENT)
    with pytest.raises(KeyRetired, match="take the newer version"):
        issue(house.store, CARD_ASN, 1, Algorithm.TDES)
    for card in house.cards:
        house.tap(card)
    house.post.sync()
    before = house.words()
    house.calendar.day = RETIREMENT
    for card in house.cards:
        house.tap(card)
    house.post.sync()

    assert before == [(1, 1, Verdict.OK), (2, 2, Verdict.OK)]
    assert house.words() == [*before, (1, 1, Verdict.BAD_PROOF), (2, 2, Verdict.OK)]
    with pytest.raises(KeyExpired):
        house.store.card_key(KeyUsage.TAC, 1, CARD_ASN[2:])


def test_a_psam_made_after_retirement_has_the_new_generation_only(
    house: House, tmp_path: Path
) -> None:
    """A new software PSAM serves cards of version 2, and refuses those of a retired one."""
    retire_set(house.store, 1, house.calendar.day)
    path = tmp_path / "new"
    house.store.export_software_psam(path, bytes.fromhex("880000000003"), PASSPHRASE, CHEAP)
    psam = SoftwarePsam.open(path, PASSPHRASE)

    assert set(psam._masters) == {2}
    assert psam._masters[2].algorithm is Algorithm.SM4
    with pytest.raises(UnknownKey):
        issue(house.store, NEW_ASN, 3, Algorithm.SM4)


def test_a_hardware_psam_of_the_new_generation_proves_sm4_cards(
    tmp_path: Path, sqlite_database: Database
) -> None:
    """A chip with SM4 keys pays with an SM4 card, to the server's full word; an old card is told.

    A hardware PSAM holds one version: a card of version 1 is turned away, and no tap is stored.
    """
    store, calendar, (old, new) = rotated(tmp_path)
    chip = VirtualPsam()
    run(personalise_psam(PSAM, PsamKeys.from_store(store, PSAM.serial, 2)), connect(chip))
    psam = PsamCard(connect(chip))
    house = House(furnish(tmp_path, sqlite_database, psam, store), store, calendar)

    house.tap(new)
    house.tap(old)
    house.tap(new)
    house.post.sync()

    assert house.words() == [(2, 2, Verdict.OK)] * 2
    assert {Proof(row.proof) for _, row in house.taps()} == {PURSE | Proof.HARDWARE}
