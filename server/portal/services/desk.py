# SPDX-License-Identifier: Apache-2.0
"""What the desk pages read and do: each function is one unit of work on `server.desk`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from server.db import Database
from server.desk import boxes, policy, services, sessions
from server.desk.boxes import NewBox, Tick
from server.desk.content import Bench
from server.desk.models import DeskBox
from server.desk.policy import Stock
from server.desk.services import NewJob
from server.people.models import Card, Volunteer
from server.portal.display import masked_number
from server.portal.errors import NotFound

BOXES_SHOWN = 50
SPOIL, CANCEL, HAND_OVER = ACTIONS = ("spoil", "cancel", "hand-over")


@dataclass(frozen=True, slots=True)
class JobPage:
    """One job: how it stands, what it would do, what was said to the card (masked)."""

    job: dict[str, Any]
    plan: dict[str, Any] | None
    lines: list[str]
    may_lay: bool
    makes: bool
    handed_over: bool


@dataclass(frozen=True, slots=True)
class CardPage:
    """One card and what the desk may do with it."""

    id: int
    asn: str
    state: str
    masked_name: str
    masked_number: str


@dataclass(frozen=True, slots=True)
class BoxPage:
    """One box: its count, its tick list, what was thrown away."""

    id: int
    name: str
    closed: bool
    stock: Stock
    lines: list[Tick]
    spoilt: list[tuple[str, str]]

    @property
    def waiting(self) -> int:
        """Return how many people wait for their card."""
        return sum(line.state == policy.WAITING for line in self.lines)


def open_jobs(database: Database, bench: Bench) -> list[dict[str, Any]]:
    """Return the jobs that are not over, newest first."""
    with database.reading() as session:
        rows = services.listed(session, bench, 0, services.JOBS_SHOWN_MAX, open_only=True)
        return [services.document(session, row) for row in rows]


def create(database: Database, bench: Bench, new: NewJob) -> str:
    """Make a job, or find the open one for the same; return its reference."""
    with database.writing() as session:
        return services.create(session, bench, new).reference


def read_job(database: Database, bench: Bench, reference: str) -> JobPage:
    """Read a job and, while it is open, its plan."""
    with database.reading() as session:
        job = services.find(session, bench, reference)
        may_lay = policy.may_lay(job.state)
        makes = job.kind in policy.MAKING
        return JobPage(
            job=services.document(session, job),
            plan=services.plan(session, bench, reference) if may_lay and makes else None,
            lines=sessions.transcript(session, job),
            may_lay=may_lay,
            makes=makes,
            handed_over=makes and job.state == policy.DONE and job.sealed is None,
        )


def act(database: Database, bench: Bench, reference: str, action: str, reason: str) -> None:
    """Throw the card in hand away, give the job up, or hand the card over."""
    with database.writing() as session:
        if action == SPOIL:
            services.spoil(session, bench, reference, reason)
        elif action == CANCEL:
            services.cancel(session, bench, reference)
        elif action == HAND_OVER:
            services.hand_over(session, bench, reference)


def read_card(database: Database, bench: Bench, card_id: int) -> CardPage:
    """Read a card.

    Raises:
        NotFound: there is no such card.
    """
    with database.reading() as session:
        card = session.get(Card, card_id)
        if card is None:
            raise NotFound
        bench.must_reach(session, card.volunteer_id)
        person = session.get_one(Volunteer, card.volunteer_id)
        number = masked_number(person.number)
        return CardPage(card.id, card.asn, card.state, person.masked_name, number)


def all_boxes(database: Database, bench: Bench) -> list[tuple[DeskBox, Stock]]:
    """Return the boxes within reach, newest first, each with its count."""
    with database.reading() as session:
        rows = session.scalars(sa.select(DeskBox).order_by(DeskBox.id.desc()).limit(BOXES_SHOWN))
        found = [
            (row, boxes.stock(session, row.id))
            for row in rows.all()
            if boxes.within_reach(session, bench, row.id)
        ]
        session.expunge_all()
        return found


def open_box(database: Database, bench: Bench, new: NewBox) -> int:
    """Open a box and return its number."""
    with database.writing() as session:
        return boxes.open_box(session, bench, new).id


def read_box(database: Database, bench: Bench, box_id: int) -> BoxPage:
    """Read a box."""
    with database.reading() as session:
        box = boxes.find(session, bench, box_id)
        return BoxPage(
            box.id, box.name, box.closed_ms is not None, boxes.stock(session, box_id),
            boxes.tick_list(session, box_id), boxes.spoilt(session, box_id),
        )  # fmt: skip


def close_box(database: Database, bench: Bench, box_id: int, counted: int, reason: str) -> Stock:
    """Count a box and close it."""
    with database.writing() as session:
        return boxes.close(session, bench, box_id, counted, reason)
