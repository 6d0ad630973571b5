# SPDX-License-Identifier: Apache-2.0
"""What a person's card is to say, from what the server knows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from card.card_keys import CardKeys
from card.errors import LayoutError
from card.profile import CardData
from card.updates import Wanted
from keys.custody import KeyStore
from keys.usage import KeyUsage
from server.db import from_millis
from server.desk.policy import VALID_YEARS
from server.errors import Problem, Refused
from server.issuing.consents import card_functions
from server.people import personal, services
from server.people.models import Volunteer
from server.people.personal import Reader
from server.structure.organisations import place_of_volunteer
from server.structure.rights import Place
from server.timebank.services import balance


@dataclass(frozen=True, slots=True)
class Operator:
    """Who works at the desk, and for whom: `reach` says of a place, None is everywhere."""

    actor: str
    reach: Callable[[Place], bool] | None = None


@dataclass(frozen=True, slots=True)
class Bench:
    """What the desk needs besides the database: the key store, the moment, who works here."""

    store: KeyStore
    now_ms: int
    operator: Operator

    @property
    def actor(self) -> str:
        """Return how the audit trail names who works here."""
        return self.operator.actor

    def reaches(self, session: Session, volunteer_id: int | None) -> bool:
        """Say whether a person is within reach of who works here; nobody in particular is."""
        reach = self.operator.reach
        if reach is None or volunteer_id is None:
            return True
        return reach(place_of_volunteer(session, volunteer_id))

    def must_reach(self, session: Session, volunteer_id: int | None) -> None:
        """Go on only with a person within reach.

        Raises:
            Problem: 403 the person belongs elsewhere.
        """
        if not self.reaches(session, volunteer_id):
            raise Problem(
                403, "out-of-reach", "此人不属于您的管辖范围", "this person belongs elsewhere"
            )

    @property
    def today(self) -> dt.date:
        """Return the day where the volunteers live."""
        return from_millis(self.now_ms).astimezone(services.BIRTHDAY_ZONE).date()


@dataclass(frozen=True, slots=True)
class Shape:
    """What is decided about a new card before its content: serial and last day."""

    asn: str
    valid_to: dt.date | None = None


def card_data(session: Session, bench: Bench, volunteer: Volunteer, shape: Shape) -> CardData:
    """Gather what a new card of a volunteer says; the reading of the name is recorded.

    Raises:
        Refused: The person's data is erased, or does not fit a card.
    """
    reader = Reader(bench.actor, f"card {shape.asn}", bench.now_ms)
    known = personal.identity(session, bench.store, volunteer, reader)
    minor = volunteer.minor_until_ms is not None and volunteer.minor_until_ms > bench.now_ms
    guardian = session.get(Volunteer, volunteer.guardian_id) if volunteer.guardian_id else None
    version = bench.store.latest(KeyUsage.CONTROL)
    asn = bytes.fromhex(shape.asn)
    keys = CardKeys.from_store(bench.store.for_new_cards(), asn, version)
    try:
        data = CardData(
            asn=asn,
            valid_from=bench.today,
            valid_to=shape.valid_to or _years_on(bench.today, VALID_YEARS),
            masked_name=volunteer.masked_name,
            name=known.name,
            volunteer_number=volunteer.number,
            birth_date=known.birth if minor else None,
            minor_rules=minor,
            key_version=version,
            guardian_number=guardian.number if guardian and minor else "",
            functions=int(card_functions(session, volunteer.id)),
            total_minutes=max(0, balance(session, volunteer.id)),
            algorithm=keys[KeyUsage.PRESENCE].algorithm,
        )
        data.contents()
    except LayoutError as error:
        raise Refused(
            "card-data", "此人的资料放不进卡片", f"does not fit a card: {error.layout}"
        ) from error
    return data


def record_of(
    session: Session, bench: Bench, volunteer: Volunteer, valid_to: dt.date | None
) -> Wanted:
    """Return what a card in use is to say by now: totals, and a new last day if one is given."""
    return Wanted(
        valid_to=valid_to,
        total_minutes=max(0, balance(session, volunteer.id)),
        totals_date=bench.today,
    )


def _years_on(day: dt.date, years: int) -> dt.date:
    """Return the last day of a card made on a day.

    >>> _years_on(dt.date(2024, 2, 29), 5), _years_on(dt.date(2026, 11, 22), 5)
    (datetime.date(2029, 2, 27), datetime.date(2031, 11, 21))
    """
    last = 28 if (day.month, day.day) == (2, 29) else day.day
    return day.replace(year=day.year + years, day=last) - dt.timedelta(days=1)
