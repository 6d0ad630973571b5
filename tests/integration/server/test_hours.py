# SPDX-License-Identifier: Apache-2.0
"""From uploads to hours: intervals, exceptions and ledger follow from the set of events."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import pytest
import sqlalchemy as sa

from server.errors import Refused
from server.people.models import Card, Volunteer
from server.people.policy import volunteer_number
from server.people.services import CardReport, register_card, report_card
from server.reconciliation.corrections import Said
from server.reconciliation.models import ReconException, ServiceInterval
from server.reconciliation.services import approve, reconcile, reject
from server.timebank.checking import check
from server.timebank.models import Transfer
from server.timebank.services import balance, post_differences
from swipe import payloads
from swipe.event import Event
from swipe.kinds import EventType, Flag, RejectReason, Result
from tests.factories import UTC_S
from tests.integration.server.rig import Post, Rig, volunteer

HALF_HOUR_S = 1800
TAPS = 8
_numbers = itertools.count(1)


def new_card(rig: Rig) -> tuple[int, bytes]:
    """Register one more volunteer with a card; return the id and the serial."""
    number = next(_numbers)
    asn = bytes.fromhex(f"00005949{70_000 + number:012d}")
    with rig.database.writing() as session:
        session.add(volunteer(volunteer_number(number)))
        session.flush()
        register_card(session, volunteer_number(number), asn.hex(), 1, "li", 1)
        person = session.scalars(
            sa.select(Volunteer.id).join(Card).where(Card.asn == asn.hex())
        ).one()
    return person, asn


def day_of(rig: Rig, posts: tuple[Post, Post], asn: bytes) -> list[list[Event]]:
    """Make a day of one card, in at one terminal and out at the other, in turn."""
    chains = []
    for which, post in enumerate(posts):
        numbers = [tap for tap in range(TAPS) if (tap + 1) // 2 % 2 == which]
        changes = [
            {
                "card_asn": asn,
                "card_ctr": tap,
                "type": EventType.OUT if tap % 2 else EventType.IN,
                "utc_s": UTC_S - 6 * 3600 + HALF_HOUR_S * tap,
                "up_s": HALF_HOUR_S * (tap + 1),
            }
            for tap in numbers
        ]
        chains.append(post.chain(len(numbers), rig.store, changes=changes))
    return chains


def derive(rig: Rig, persons: Iterable[int] | None) -> None:
    """Derive and post, as the worker does."""
    with rig.database.writing() as session:
        chosen = None if persons is None else list(persons)
        reconcile(session, chosen, rig.clock.utc_ms())
        post_differences(session, chosen, rig.clock.utc_ms())


def hours(rig: Rig, person: int) -> list[tuple[int, int, str, str]]:
    """Return (start from the first, minutes, grade, state) of the current intervals."""
    statement = sa.select(ServiceInterval).where(
        ServiceInterval.person == person, ServiceInterval.current
    )
    with rig.database.reading() as session:
        rows = session.scalars(statement.order_by(ServiceInterval.start_ms)).all()
        start = rows[0].start_ms if rows else 0
        return [(r.start_ms - start, r.credited_minutes, r.grade, r.state) for r in rows]


def one_tap(rig: Rig, asn: bytes, kind: EventType, **more: int) -> None:
    """Upload a single tap of a card at a terminal of its own."""
    post = rig.add_post(next(_numbers) + 500)
    change = {"card_asn": asn, "card_ctr": 0, "type": kind, "utc_s": UTC_S - 6 * 3600} | more
    assert rig.put(post.batch(post.chain(1, rig.store, changes=[change])), 1, post.terminal_id)


def test_any_order_split_and_repeat_gives_the_same_hours(sqlite_rig: Rig) -> None:
    """50 random orders, splits and repeats: equal intervals and ledger totals each time."""
    rig, seen = sqlite_rig, set()
    for seed in range(50):
        shuffler = random.Random(seed)
        posts = (rig.add_post(next(_numbers) + 500), rig.add_post(next(_numbers) + 500))
        person, asn = new_card(rig)
        uploads = []
        for post, events in zip(posts, day_of(rig, posts, asn), strict=True):
            cuts = sorted(shuffler.sample(range(1, len(events)), shuffler.randrange(len(events))))
            for low, high in itertools.pairwise([0, *cuts, len(events)]):
                uploads += [(post, events[low:high])] * shuffler.choice([1, 1, 2])
        shuffler.shuffle(uploads)
        for number, (post, part) in enumerate(uploads, 1):
            assert rig.put(post.batch(part, number), number, post.terminal_id).status == 200
            if shuffler.random() < 0.3:
                derive(rig, [person])
        derive(rig, [person])
        with rig.database.reading() as session:
            seen.add((tuple(hours(rig, person)), balance(session, person)))

    # No event names a receipt, so nobody vouches for the clock: grade B by rule 55.
    expected = tuple((2 * n * HALF_HOUR_S * 1000, 30, "B", "credited") for n in range(TAPS // 2))
    assert seen == {(expected, 30 * TAPS // 2)}
    with rig.database.reading() as session:
        assert check(session).sound


def test_suppressed_duplicate_is_told_with_the_tap_it_repeats(rig: Rig) -> None:
    """The nervous second tap that the terminal refused shows as rule 5 beside the first."""
    person, asn = new_card(rig)
    tap = rig.chain(1, changes=[{"card_asn": asn, "card_ctr": 0, "type": EventType.IN}])[0]
    payload = payloads.build(
        EventType.REJECTED, reason=RejectReason.DUPLICATE, kind=EventType.IN, utc_s=tap.utc_s,
        of_seq=tap.seq, result=Result.SUPPRESSED,
    )  # fmt: skip
    again = rig.chain_after(
        tap, payload, type=EventType.REJECTED, flags=int(Flag.DUPLICATE), card_asn=asn,
        utc_s=tap.utc_s + 15,
    )  # fmt: skip
    assert rig.upload([tap, again]).status == 200
    derive(rig, [person])

    with rig.database.reading() as session:
        rules = session.scalars(
            sa.select(ServiceInterval.rules).where(
                ServiceInterval.person == person, ServiceInterval.current
            )
        ).one()
    assert "5" in rules.split(",")


def test_deriving_again_changes_nothing(rig: Rig) -> None:
    """The second derivation of the same events adds no row and no transfer."""
    posts = (rig.add_post(1), rig.add_post(2))
    person, asn = new_card(rig)
    for post, events in zip(posts, day_of(rig, posts, asn), strict=True):
        rig.put(post.batch(events), 1, post.terminal_id)
    derive(rig, None)

    with rig.database.writing() as session:
        again = reconcile(session, None, rig.clock.utc_ms())
        posted = post_differences(session, None, rig.clock.utc_ms())

    assert (again.new_intervals, again.new_exceptions, posted.posted) == (0, 0, 0)
    assert sum(row[1] for row in hours(rig, person)) == 30 * TAPS // 2


def test_late_events_are_posted_as_reversal_and_new_entry(rig: Rig) -> None:
    """A tap that comes late changes the hours by new entries (rule 48)."""
    posts = (rig.add_post(1), rig.add_post(2))
    person, asn = new_card(rig)
    first, second = day_of(rig, posts, asn)
    rig.put(posts[0].batch(first), 1, posts[0].terminal_id)
    derive(rig, [person])
    before = hours(rig, person)
    rig.put(posts[1].batch(second), 1, posts[1].terminal_id)
    derive(rig, [person])

    with rig.database.reading() as session:
        kinds = session.scalars(sa.select(Transfer.kind).order_by(Transfer.id)).all()
        assert check(session).sound
        assert balance(session, person) == 30 * TAPS // 2
    assert sum(row[1] for row in before) != 30 * TAPS // 2 or "reversal" not in kinds


def test_a_leader_settles_a_tap_out_without_tap_in(rig: Rig) -> None:
    """An approved correction credits grade C minutes; settling it twice is refused (rule 10)."""
    person, asn = new_card(rig)
    one_tap(rig, asn, EventType.OUT)
    derive(rig, [person])
    with rig.database.writing() as session:
        waiting = session.scalars(
            sa.select(ReconException).where(ReconException.person == person)
        ).one()
        end = 1000 * (UTC_S - 6 * 3600)
        approve(session, waiting.id, (end - 7_200_000, end), Said("leader", "签到表 sheet 12", 1))
        post_differences(session, [person], 1)
        number, rule = waiting.id, waiting.rule

    assert rule == 10
    assert hours(rig, person) == [(0, 120, "C", "credited")]
    with pytest.raises(Refused), rig.database.writing() as session:
        approve(session, number, (1, 2), Said("leader", "again", 1))
    with rig.database.reading() as session:
        assert (balance(session, person), check(session).sound) == (120, True)


def test_a_leader_cannot_approve_a_lost_card(rig: Rig) -> None:
    """Time on a card that was reported lost is not a leader's to credit (rule 33)."""
    person, asn = new_card(rig)
    one_tap(rig, asn, EventType.OUT, flags=Flag.HOTLISTED)
    derive(rig, [person])
    statement = sa.select(ReconException.id, ReconException.rule)
    with rig.database.reading() as session:
        number, rule = session.execute(statement.where(ReconException.person == person)).one()

    assert rule == 33
    with pytest.raises(Refused, match="not a leader's"), rig.database.writing() as session:
        approve(session, number, (1, 60_000), Said("leader", "was there", 1))


def test_a_rejected_exception_credits_nothing(rig: Rig) -> None:
    """A rejection is a decision too: the queue is empty, the minutes stay 0."""
    person, asn = new_card(rig)
    one_tap(rig, asn, EventType.OUT)
    derive(rig, [person])
    with rig.database.writing() as session:
        waiting = session.scalars(
            sa.select(ReconException).where(ReconException.person == person)
        ).one()
        reject(session, waiting.id, Said("leader", "nobody saw them", 1))

    with rig.database.reading() as session:
        still = session.scalars(
            sa.select(ReconException).where(
                ReconException.person == person,
                ReconException.current,
                ReconException.state == "open",
            )
        ).all()
        assert (still, balance(session, person)) == ([], 0)


def test_a_lost_card_loses_only_later_taps(rig: Rig) -> None:
    """A card reported lost after its taps keeps them; one reported before gets nothing (34)."""
    results = []
    for reported in (UTC_S - 12 * 3600, UTC_S + 10 * 365 * 86_400):
        posts = (rig.add_post(next(_numbers) + 500), rig.add_post(next(_numbers) + 500))
        person, asn = new_card(rig)
        with rig.database.writing() as session:
            report = CardReport(asn.hex(), 1000 * reported, "left on the bus")
            report_card(session, report, "li", 1000 * reported)
        for post, events in zip(posts, day_of(rig, posts, asn), strict=True):
            rig.put(post.batch(events), 1, post.terminal_id)
        derive(rig, [person])
        results.append(sum(row[1] for row in hours(rig, person)))

    assert results == [0, 30 * TAPS // 2]
