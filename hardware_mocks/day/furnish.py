# SPDX-License-Identifier: Apache-2.0
"""Furnish the server before the day begins: keys, sites, activities, staff, terminals, people."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hardware_mocks.day.cast import Cast, Person
from keys.custody import KeyStore
from server.db import Database
from server.people import services as people
from server.terminals import enrolment
from server.terminals import services as terminals

CLERK, SECOND = "clerk", "second"  # who orders and who approves are two people
PASSWORD_BYTES = 9


@dataclass(frozen=True, slots=True)
class SignIn:
    """A name and secret for the pages, printed at the end of the run."""

    role: str
    name: str
    secret: str


@dataclass(frozen=True, slots=True)
class Member:
    """One volunteer as the server knows them, with the serial that their card will get."""

    person: Person
    volunteer_id: int
    number: str
    masked_name: str
    code: str
    asn: str


@dataclass(frozen=True, slots=True)
class Ordered:
    """A terminal that staff have ordered: its number and one-time token."""

    terminal_id: int
    token: str


def furnish_places(database: Database, cast: Cast, now_ms: int) -> dict[str, Ordered]:
    """Add sites, activities and terminals; return what each terminal needs to enrol."""
    ordered = {}
    with database.writing() as session:
        sites = {}
        for post in cast.posts:
            new = terminals.NewSite(post.name_zh, post.name_en)
            sites[post.site] = terminals.add_site(session, new, CLERK, now_ms).id
        for activity in cast.activities:
            planned = terminals.NewActivity(
                sites[activity.site], activity.code, activity.name_zh, activity.name_en,
                activity.start_ms, activity.end_ms,
            )  # fmt: skip
            terminals.add_activity(session, planned, CLERK, now_ms)
        for post in cast.posts:
            terminal, token = enrolment.add_terminal(
                session, f"POS {post.letter}", sites[post.site], CLERK, now_ms
            )
            ordered[post.letter] = Ordered(terminal.id, token)
    return ordered


def furnish_staff(database: Database, now_ms: int) -> list[SignIn]:
    """Add one member of staff, a leader for the first site, and the two who enrol terminals."""
    sign_ins = []
    with database.writing() as session:
        for name, role, site_id in (("staff", "staff", None), ("leader", "leader", 1)):
            password = secrets.token_urlsafe(PASSWORD_BYTES)
            new = people.NewUser(name, role, site_id)
            people.add_user(session, new, password, CLERK, now_ms)
            sign_ins.append(SignIn(role, name, password))
    return sign_ins


def furnish_people(
    database: Database, store: KeyStore, cast: Cast, now_ms: int
) -> Iterator[Member]:
    """Take in the volunteers one by one, guardians before the children they vouch for.

    Each secret takes a tenth of a second to hash, so cards are made while the next person waits.
    """
    numbers: dict[str, str] = {}
    for person in sorted(cast.people, key=lambda someone: someone.guardian is not None):
        guardian_number = numbers[person.guardian] if person.guardian else None
        new = people.NewVolunteer(person.name, person.born, guardian_number)
        with database.writing() as session:
            row, code = people.add_volunteer(session, store, new, CLERK, now_ms)
            asn = people.next_card_serial(session)
            member = Member(person, row.id, row.number, row.masked_name, code, asn)
        numbers[person.who] = member.number
        yield member


def register_cards(
    database: Database, members: Iterable[Member], key_version: int, now_ms: int
) -> None:
    """Bind the issued cards to their holders."""
    with database.writing() as session:
        for member in members:
            people.register_card(session, member.number, member.asn, key_version, CLERK, now_ms)
