# SPDX-License-Identifier: Apache-2.0
"""Weeks without a network, then one upload: is the result the one of a terminal always on line?

    python -m tests.integration.server.weeks --taps 20000 --days 21

Two worlds with the same volunteers, the same taps at the same seconds, a terminal's own code and
the server's. In one the terminal uploads after every hundred taps, in the other once at the end.
Stored taps with their verdicts, and the intervals derived from them, must be the same.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
import sqlalchemy as sa

from keys.identity import Suite
from keys.store import FileKeyStore
from server import schema
from server.db import Database
from server.ingest.models import StoredEvent
from server.people.models import Card
from server.people.policy import volunteer_number
from server.people.services import register_card
from server.reconciliation.models import ServiceInterval
from server.reconciliation.services import reconcile
from swipe.kinds import SYSTEM_FROM, BatchKind
from terminal.actions import close_period
from terminal.courier import Exchanger
from terminal.station import Station
from terminal.tap import present
from tests.factories import make_store
from tests.integration.server.rig import volunteer
from tests.integration.server.test_suites import Post, make_post
from tests.integration.terminal.bench import asn, connect, issue

FIRST_OWNER, FIRST_CARD = 900_200_000, 2_000
UPLOAD_EVERY = 100
DAY_S = 86_400
# Two halves of a day; within one a card comes and goes once.
SLOTS = ((0, 2 * 3600), (5 * 3600, 7 * 3600))
STAY_S = (1_800, 9_000)
GAP_S = 2


@dataclass(frozen=True)
class World:
    """What the server holds at the end: taps, intervals, and what the terminal still has."""

    taps: frozenset[tuple[object, ...]]
    intervals: frozenset[tuple[object, ...]]
    unsent_taps: int
    seconds: float


def timetable(cards: int, taps: int, days: int, seed: int) -> list[tuple[int, int]]:
    """Return seconds and cards of pairs of taps spread over the days, in order of time."""
    rng = random.Random(seed)
    moments: list[tuple[int, int]] = []
    pairs = [taps // 2 * (day + 1) // days - taps // 2 * day // days for day in range(days)]
    for day, count in enumerate(pairs):
        places = [(card, slot) for card in range(1, cards + 1) for slot in SLOTS]
        for card, (start, end) in rng.sample(places, count):
            entered = day * DAY_S + rng.randrange(start, end)
            moments += [(entered, card), (entered + rng.randrange(*STAY_S), card)]
    moments.sort()
    spaced, last = [], 0
    for second, card in moments:
        last = max(second, last + GAP_S)
        spaced.append((last, card))
    return spaced


def live(post: Post, table: list[tuple[int, int]], cards: int, *, online: bool) -> World:
    """Let a terminal carry out all taps, uploading as it goes or once at the end."""
    began = time.monotonic()
    _register(post, cards)
    chips = {number: issue(post.rig.store, FIRST_CARD + number) for number in range(1, cards + 1)}
    post.enrol(Suite.ED25519)
    station = post.station()
    desk = station.desk(post.psam, training=False)
    _upload(post, station)
    epoch = post.clock.utc_ms() // 1000 + 60
    for count, (second, card) in enumerate(table, 1):
        post.clock.advance(epoch + second - post.clock.utc_ms() / 1000)
        outcome = present(desk, connect(chips[card]))
        if outcome.event is None or outcome.timings.commands < 6:
            raise RuntimeError(f"tap {count} of card {card}: {outcome.say}")
        if online and count % UPLOAD_EVERY == 0:
            _upload(post, station)
    close_period(station.chain)
    _upload(post, station)
    unsent = station.journal.state.unsent
    station.journal.close()
    return _result(post, unsent, time.monotonic() - began)


def _upload(post: Post, station: Station) -> None:
    """Let the terminal upload everything."""
    post.rig.clock.now_ms = post.clock.utc_ms()
    exchanger = Exchanger(station.uplink, station.journal, station.fetcher, lambda job: job())
    exchanger.round(BatchKind.LIVE, everything=True)


def _register(post: Post, cards: int) -> None:
    with post.rig.database.writing() as session:
        for number in range(1, cards + 1):
            owner = volunteer_number(FIRST_OWNER + number)
            session.add(volunteer(owner))
            session.flush()
            serial = asn(FIRST_CARD + number).hex()
            register_card(session, owner, serial, 1, "li", post.rig.clock.now_ms)


def _result(post: Post, unsent: int, seconds: float) -> World:
    with post.rig.database.writing() as session:
        reconcile(session, None, post.rig.clock.utc_ms())
    with post.rig.database.reading() as session:
        events = session.execute(
            sa.select(
                StoredEvent.card_asn, StoredEvent.card_ctr, StoredEvent.type, StoredEvent.utc_ms,
                StoredEvent.result, StoredEvent.proof, StoredEvent.verdict,
            ).where(StoredEvent.type < SYSTEM_FROM)
        )  # fmt: skip
        intervals = session.execute(
            sa.select(
                Card.asn, ServiceInterval.start_ms, ServiceInterval.end_ms, ServiceInterval.state,
                ServiceInterval.credited_minutes, ServiceInterval.grade, ServiceInterval.rules,
            )
            .join(Card, Card.volunteer_id == ServiceInterval.person)
            .where(ServiceInterval.current)
        )  # fmt: skip
        taps, periods = (frozenset(tuple(row) for row in rows) for rows in (events, intervals))
    return World(taps, periods, unsent, seconds)


def compare(
    folder: Path, store: FileKeyStore, size: tuple[int, int, int], seed: int
) -> dict[str, object]:
    """Live both worlds of (cards, taps, days) and say what is equal."""
    cards, taps, days = size
    table = timetable(cards, taps, days, seed)
    worlds = {}
    for name in ("online", "offline"):
        place = folder / name
        place.mkdir()
        database = Database(f"sqlite:///{place / 'server.db'}")
        schema.upgrade(database)
        post = make_post(place, database, store)
        worlds[name] = live(post, table, cards, online=name == "online")
        database.close()
    online, offline = worlds["online"], worlds["offline"]
    minutes = sum(int(str(row[4])) for row in offline.intervals)
    return {
        "cards": cards,
        "taps": len(offline.taps),
        "days_offline": days,
        "intervals": len(offline.intervals),
        "credited_minutes": minutes,
        "taps_differ": len(online.taps ^ offline.taps),
        "intervals_differ": len(online.intervals ^ offline.intervals),
        "unsent": offline.unsent_taps,
        "seconds": round(online.seconds + offline.seconds, 1),
        "identical": online.taps == offline.taps and online.intervals == offline.intervals,
    }


@click.command()
@click.option("--cards", default=300, show_default=True)
@click.option("--taps", default=20_000, show_default=True)
@click.option("--days", default=21, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(cards: int, taps: int, days: int, seed: int) -> None:
    """Compare weeks off line with the same weeks on line; print one JSON object."""
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder) / "keys.yika")
        found = compare(Path(folder), store, (cards, taps, days), seed)
    click.echo(json.dumps(found))
    raise SystemExit(not found["identical"])


if __name__ == "__main__":
    main()
