# SPDX-License-Identifier: Apache-2.0
"""What the terminal shows when a volunteer asks, from the server's tables to its own dataclass."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import sqlalchemy as sa

from keys.store import FileKeyStore
from keys.suite import Suite
from server.db import Database
from server.people.models import Card
from server.people.services import CardReport, report_card
from server.reconciliation.models import INTERVAL_STATES, ServiceInterval
from server.timebank.services import post_differences
from terminal.inquiry import Summary, ask
from tests.factories import CARD_ASN
from tests.integration.server.rig import NOW_MS
from tests.integration.server.test_suites import Post, make_post

DAY = dt.date(2026, 11, 21)


@pytest.fixture
def post(tmp_path: Path, sqlite_database: Database, key_store: FileKeyStore) -> Post:
    """An enrolled terminal, and a holder with an hour of today and a hundred of before."""
    made = make_post(tmp_path, sqlite_database, key_store)
    made.enrol(Suite.ED25519)
    with made.rig.database.writing() as session:
        card = session.scalars(sa.select(Card).where(Card.asn == CARD_ASN.hex())).one()
        for key, minutes, day, current in (
            ("in:1:1", 60, DAY, True),
            ("in:1:2", 6_000, DAY - dt.timedelta(days=1), True),
            ("in:1:3", 500, DAY, False),
        ):
            session.add(interval(card.volunteer_id, key, minutes, day, current=current))
    with made.rig.database.writing() as session:
        post_differences(session, None, NOW_MS)
    return made


def interval(
    person: int, key: str, minutes: int, day: dt.date, *, current: bool
) -> ServiceInterval:
    """Return a derived service."""
    return ServiceInterval(
        person=person, key=key, start_ms=NOW_MS, end_ms=NOW_MS, raw_ms=0, site=1,
        credited_minutes=minutes, grade="A", state=INTERVAL_STATES[0], rules="", service_day=day,
        engine_version=1, made_ms=NOW_MS, current=current,
    )  # fmt: skip


def summary(post: Post, asn: bytes = CARD_ASN) -> Summary | None:
    """Ask as the terminal does."""
    station = post.station()
    try:
        return ask(post.transport, station.chain, asn)
    finally:
        station.journal.close()


def test_a_volunteer_sees_minutes_level_and_coins(post: Post) -> None:
    """Today's minutes at the site, all of them, the star they are worth, the coins at hand."""
    assert summary(post) == Summary(60, 6_060, 1, "1212.0", "active")


def test_a_lost_card_is_told(post: Post) -> None:
    """The state of the card at the server comes along."""
    with post.rig.database.writing() as session:
        report_card(session, CardReport(CARD_ASN.hex(), NOW_MS, "lost"), "li", NOW_MS)
    found = summary(post)

    assert found is not None
    assert found.state == "lost"


def test_a_card_nobody_registered_has_no_summary(post: Post) -> None:
    """The terminal falls back to what it knows itself."""
    assert summary(post, bytes.fromhex("59490000000000009999")) is None


def test_only_terminals_ask(post: Post) -> None:
    """A request without the terminal's signature is refused."""
    client = post.rig.app(post.folder / "web").test_client()
    path = f"/api/v1/terminals/{post.terminal_id}/cards/{CARD_ASN.hex()}/summary"

    assert client.get(path).status_code == 401
