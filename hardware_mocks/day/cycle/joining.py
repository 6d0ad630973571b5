# SPDX-License-Identifier: Apache-2.0
"""Applications come in, and are decided on by somebody else."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hardware_mocks.day.cycle.applicants import Applicant
from keys.custody import KeyStore
from server.applications import deciding, entering, settings
from server.applications.entering import Submission, Via
from server.applications.errors import Unmet
from server.applications.policy import Channel
from server.db import Database
from server.issuing import branches
from server.issuing.branches import Branch
from server.people import services as people
from server.people.services import NewUser

CLERK, DECIDER = "clerk", "second"
PARTNER = "BOCSZ"
BRANCHES = ("F0001", "F0002", "F0003")
FROM = dt.date(2026, 1, 1)
PASSWORD_BYTES = 12
PIECE = 50  # decisions in one unit of work: the server's worker wants the database too


@dataclass(frozen=True, slots=True)
class Joined:
    """One applicant as the server knows them."""

    application_id: int
    volunteer_id: int
    number: str


def open_house(database: Database, now_ms: int) -> str:
    """Hire two clerks, one to enter and one to decide, and say where cards may be collected.

    Returns the password of both.
    """
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    with database.writing() as session:
        for name in (CLERK, DECIDER):
            people.add_user(session, NewUser(name, "staff", None), password, "console", now_ms)
        listed = [
            Branch(PARTNER, code, f"深圳福田支行{code[-1]}号网点", FROM, None) for code in BRANCHES
        ]
        branches.load(session, listed, CLERK, now_ms)
    return password


def take_in(
    database: Database, store: KeyStore, applicants: Iterable[Applicant], now_ms: int
) -> list[Joined]:
    """File everybody's application, as the page does for each of them."""
    joined = []
    via = Via(Channel.ONLINE, "self", with_code=False)
    for person in applicants:
        with database.writing() as session:
            accepted = settings.current_versions(session)
            done = entering.submit(
                session, store, Submission(person.form, person.photo, accepted), via, now_ms
            )
        joined.append(Joined(done.application_id, done.volunteer_id, done.number))
    return joined


def decide(
    database: Database, store: KeyStore, joined: Sequence[Joined], now_ms: int
) -> tuple[dict[int, str], int]:
    """Approve whoever meets the conditions; return official numbers, and how many do not."""
    numbers: dict[int, str] = {}
    unmet = 0
    for low in range(0, len(joined), PIECE):
        with database.writing() as session:
            for one in joined[low : low + PIECE]:
                try:
                    numbers[one.volunteer_id] = deciding.approve(
                        session, store, one.application_id, DECIDER, now_ms
                    )
                except Unmet:
                    unmet += 1
    return numbers, unmet
