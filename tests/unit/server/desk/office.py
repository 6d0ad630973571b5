# SPDX-License-Identifier: Apache-2.0
"""A desk without pages: a database, a key store with every key, people, and cards that compute."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from card.errors import CardRemoved
from hardware_mocks.cardos.cos import VirtualCard
from keys.custody import KeyStore
from server.db import Database, to_millis
from server.desk import services, sessions
from server.desk.content import Bench, Operator
from server.desk.models import DeskJob
from server.desk.services import NewJob
from server.desk.sessions import Answered
from server.people.services import NewVolunteer, add_volunteer
from tests.contracts.connection_cards import in_process

NOW_MS = to_millis(dt.datetime(2026, 11, 22, 3, 0, tzinfo=dt.UTC))
ATR = bytes.fromhex("3B6800009C11860000000000")
OTHER_ATR = bytes.fromhex("3B6800009C11860000000099")
PEOPLE = (("wang", "王小明"), ("ou", "欧阳娜娜"), ("chen", "陈静"))


@dataclass
class Office:
    """The desk's server side, driven as a page drives it."""

    database: Database
    store: KeyStore
    numbers: dict[str, str] = field(default_factory=dict)
    now_ms: int = NOW_MS
    commands: int = 0

    @property
    def bench(self) -> Bench:
        """Who works here, and when."""
        return Bench(self.store, self.now_ms, Operator("user:li"))

    def create(self, kind: str, who: str = "", **more: object) -> DeskJob:
        """Make a job, for a person by name."""
        number = self.numbers[who] if who else ""
        with self.database.writing() as session:
            session.expire_on_commit = False
            return services.create(
                session,
                self.bench,
                NewJob(kind, number, **more),  # type: ignore[arg-type]
            )

    def job(self, reference: str) -> DeskJob:
        """Read a job."""
        with self.database.reading() as session:
            found = services.find(session, self.bench, reference)
            session.expunge(found)
            return found

    def begin(self, reference: str, atr: bytes = ATR) -> Answered:
        """Begin a session."""
        with self.database.writing() as session:
            return services.begin(session, self.bench, reference, atr)

    def answer(self, reference: str, told: Answered, said: bytes) -> Answered:
        """Bring one answer."""
        with self.database.writing() as session:
            key = (told.session, told.step)
            return services.answer(session, self.bench, reference, key, [said])

    def lay(
        self,
        job: DeskJob,
        chip: VirtualCard,
        atr: bytes = ATR,
        meanwhile: Callable[[int], None] | None = None,
    ) -> Answered:
        """Lay a card down for a job and carry bytes until the session is over.

        `meanwhile` is called before each command with its number; it may pull the card.
        """
        chip.reset()
        connection = in_process(chip)
        told = self.begin(job.reference, atr)
        while told.commands:
            if meanwhile is not None:
                meanwhile(told.step)
            data, sw = connection.transmit(bytes.fromhex(told.commands[0]))
            self.commands += 1
            told = self.answer(job.reference, told, data + sw.to_bytes(2, "big"))
        return told

    def restart(self) -> None:
        """Forget what only this process knew."""
        sessions.LIVE.clear()


def furnish(database: Database, store: KeyStore) -> Office:
    """Open the desk and take in its people."""
    office = Office(database, store)
    with database.writing() as session:
        for key, name in PEOPLE:
            new = NewVolunteer(name, dt.date(1990, 5, 17))
            person, _ = add_volunteer(session, store, new, "test", NOW_MS)
            office.numbers[key] = person.number
    return office


def pull(chip: VirtualCard, at: int) -> Callable[[int], None]:
    """Return what takes the card away before command `at`."""

    def act(step: int) -> None:
        if step == at:
            chip.reset()
            raise CardRemoved

    return act
