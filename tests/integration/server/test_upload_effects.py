# SPDX-License-Identifier: Apache-2.0
"""What an upload sets in motion: whose hours are derived again, and races that are lost well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import Database
from server.ingest.affected import people_of_boots
from server.ingest.services import Intake, Upload, accept_batch
from server.ingest.verdicts import Verdict
from server.people import queue
from server.people.models import Card, DirtyBoot, DirtyPerson
from server.people.services import mark_dirty, register_card
from server.terminals.models import TerminalKey
from server.terminals.notices import Signer
from swipe.kinds import EventType
from swipe.payloads import build
from tests.factories import TERMINAL_ID, make_event
from tests.integration.server.rig import NOW_MS, OWNER, Rig, volunteer

OTHER = "0000000014"
OTHER_ASN = bytes.fromhex("59490000000000000007")


def second_person(rig: Rig) -> None:
    """Register another volunteer with another card."""
    with rig.database.writing() as session:
        session.add(volunteer(OTHER))
        session.flush()
        register_card(session, OTHER, OTHER_ASN.hex(), 1, "li", NOW_MS)


def forget(rig: Rig) -> None:
    """Empty the queues."""
    with rig.database.writing() as session:
        session.execute(sa.delete(DirtyPerson))
        session.execute(sa.delete(DirtyBoot))


def queued(rig: Rig) -> set[str]:
    """Return the cards of the people who wait, those of noted boots included."""
    with rig.database.writing() as session:
        mark_dirty(session, people_of_boots(session, queue.take_boots(session, 100)))
        assert not queue.boots_wait(session)
        statement = sa.select(Card.asn).join(
            DirtyPerson, DirtyPerson.volunteer_id == Card.volunteer_id
        )
        return set(session.scalars(statement))


def test_filled_gap_queues_people_of_later_taps(rig: Rig) -> None:
    """Taps behind a gap are looked at again when the gap is filled."""
    second_person(rig)
    events = rig.chain(3, changes=[{}, {}, {"card_asn": OTHER_ASN}])
    rig.upload(events[:1], 1)
    rig.upload(events[2:], 2)
    forget(rig)

    rig.upload(events[1:2], 3)

    assert OTHER_ASN.hex() in queued(rig)


def test_event_of_a_boot_queues_everybody_of_that_boot(rig: Rig) -> None:
    """Any event may correct the clock of its boot: who tapped in that boot is looked at again."""
    second_person(rig)
    events = rig.chain(2, changes=[{"card_asn": OTHER_ASN, "boot": 1}, {"boot": 2}])
    rig.upload(events, 1)
    forget(rig)
    opened = rig.chain_after(events[-1], build(EventType.OPEN), type=EventType.OPEN, boot=1)

    rig.upload([opened], 2)

    assert queued(rig) == {OTHER_ASN.hex()}


def test_upload_without_anything_new_queues_nobody(rig: Rig) -> None:
    """The same events under another number change nobody's hours."""
    events = rig.chain(2)
    rig.upload(events, 1)
    forget(rig)

    rig.upload(events, 2)

    assert queued(rig) == set()


class RacingDatabase(Database):
    """A database in which something else happens just before each writing unit of work."""

    def __init__(self, rig: Rig, change: sa.Update) -> None:
        super().__init__(rig.database.url)
        self.rig = rig
        self.change = change

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Let the other change go first."""
        with self.rig.database.writing() as session:
            session.execute(self.change)
        with super().writing() as session:
            yield session


def raced(rig: Rig, change: sa.Update, body: bytes) -> int:
    """Upload while something else wins the race for the lock; return the status."""
    database = RacingDatabase(rig, change)
    intake = Intake(database, rig.store, Signer(rig.server_identity, 1))
    answer = accept_batch(intake, Upload(TERMINAL_ID, 1, body, NOW_MS))
    database.close()
    return answer.status


def test_revocation_between_check_and_storing_is_noticed(rig: Rig) -> None:
    """A key revoked while its upload is being verified gets 401 and nothing is stored."""
    change = sa.update(TerminalKey).values(revoked_ms=NOW_MS)

    assert raced(rig, change, rig.batch(rig.chain(1))) == 401
    assert rig.stored() == {}


def test_end_of_a_key_between_check_and_storing_is_noticed(rig: Rig) -> None:
    """A key that ends while its upload is being verified signs nothing behind its end."""
    change = sa.update(TerminalKey).values(until_seq=3)

    assert raced(rig, change, rig.batch(rig.chain(4))) == 200
    found = [rig.verdicts()[seq] for seq in range(1, 5)]
    assert found == [Verdict.OK] * 2 + [Verdict.BAD_SIGNATURE] * 2


def test_owner_is_the_one_registered(rig: Rig) -> None:
    """The factories' card belongs to the rig's volunteer."""
    rig.upload(rig.chain(1))

    assert queued(rig) == {make_event().card_asn.hex()}
    assert OWNER != OTHER
