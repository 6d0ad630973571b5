# SPDX-License-Identifier: Apache-2.0
"""Corrections, settings, explanations, re-derivation: on both databases, from real uploads."""

from __future__ import annotations

import datetime as dt
import itertools
import json

import pytest
import sqlalchemy as sa

from card.layouts import LOG_RECORD, LogRecord
from keys.identity import Identity
from keys.verify import verify as verify_signature
from server.errors import Refused
from server.people.models import Card
from server.reconciliation import corrections, outages, requests, rules_set
from server.reconciliation.corrections import CORRECTION_CONTEXT, Entered, Said, Signer
from server.reconciliation.explaining import explain, history_of
from server.reconciliation.models import Notification, ReconException, ServiceInterval
from server.reconciliation.outages import Outage
from server.reconciliation.requests import Asked
from server.reconciliation.rules_set import Place
from server.reconciliation.services import approve
from server.reconciliation.verifying import verify
from server.terminals.models import Site, Terminal
from server.timebank.services import balance
from swipe import payloads
from swipe.kinds import EventType
from tests.factories import UTC_S
from tests.integration.server.rig import Post, Rig
from tests.integration.server.test_hours import derive, hours, new_card, one_tap

_posts = itertools.count(900)
HOUR_MS = 3_600_000
MORNING_S = UTC_S - 6 * 3600
IDENTITY = Identity.from_seed(bytes(range(32)))


def said(rig: Rig, reason: str = "签到表 12 号") -> Said:
    """Return a leader's word, signed."""
    return Said("wang", reason, rig.clock.utc_ms(), Signer(IDENTITY, 3))


def serve(rig: Rig, hours: int = 3) -> tuple[int, Post]:
    """Let somebody serve some hours this morning; return the person and the terminal."""
    person, asn = new_card(rig)
    post = rig.add_post(next(_posts))
    changes = [
        {
            "card_asn": asn, "card_ctr": which, "type": (EventType.IN, EventType.OUT)[which],
            "utc_s": MORNING_S + which * hours * 3600, "up_s": 10 + which * hours * 3600,
        }
        for which in (0, 1)
    ]  # fmt: skip
    events = post.chain(2, rig.store, changes=changes)
    assert rig.put(post.batch(events), 1, post.terminal_id).status == 200
    derive(rig, None)
    return person, post


def current(rig: Rig, person: int) -> ServiceInterval:
    """Return somebody's only current interval."""
    with rig.database.reading() as session:
        found = session.scalars(
            sa.select(ServiceInterval).where(
                ServiceInterval.person == person, ServiceInterval.current
            )
        ).one()
        session.expunge(found)
    return found


def queue_of(rig: Rig, person: int) -> list[tuple[int, str, int | None, int | None]]:
    """Return rule, state and proposal of what is in the queue of somebody."""
    with rig.database.reading() as session:
        rows = session.scalars(
            sa.select(ReconException).where(ReconException.person == person, ReconException.current)
        )
        return [(row.rule, row.state, row.proposed_start_ms, row.proposed_end_ms) for row in rows]


def test_entered_time_is_signed_grade_c_and_never_twice(rig: Rig) -> None:
    """Two hours from paper beside three proven ones: only the hour beyond them is credited."""
    person, _post = serve(rig)
    end_ms = MORNING_S * 1000 + 4 * HOUR_MS
    with rig.database.writing() as session:
        site = session.scalars(sa.select(Site.id)).first() or 0
        entered = Entered(person, site, end_ms - 2 * HOUR_MS, end_ms)
        made = corrections.enter_time(session, entered, said(rig))
        record, signature = made.record, made.signature
    derive(rig, [person])

    assert record is not None
    assert signature is not None
    assert verify_signature(IDENTITY.public_key, signature, CORRECTION_CONTEXT, record)
    assert [row[1:3] for row in hours(rig, person)] == [(180, "B"), (60, "C")]


def test_a_correction_takes_and_never_adds(rig: Rig) -> None:
    """A leader lowers an interval to 100 minutes; raising it is refused."""
    person, _post = serve(rig)
    with rig.database.writing() as session:
        corrections.take_less(session, current(rig, person).id, 100, said(rig))
    derive(rig, [person])
    with rig.database.writing() as session, pytest.raises(Refused, match="takes minutes"):
        corrections.take_less(session, current(rig, person).id, 180, said(rig))

    found = current(rig, person)
    assert (found.credited_minutes, found.rules.split(",")[-2:]) == (100, ["41", "55"])
    with rig.database.reading() as session:
        assert balance(session, person) == 100
        assert [item["minutes"] for item in history_of(session, found)] == [180]


def test_a_setting_of_a_site_is_told_with_the_interval(rig: Rig) -> None:
    """A break set for everybody is taken off; the interval explains with which parameter."""
    person, _post = serve(rig)
    with rig.database.writing() as session:
        made = rules_set.set_parameters(
            session, Place(), {"break_after_ms": HOUR_MS, "break_ms": HOUR_MS // 2}, 1, said(rig)
        )
        number = made.id
    derive(rig, [person])

    found = current(rig, person)
    assert (found.credited_minutes, found.parameters) == (150, str(number))
    with rig.database.reading() as session:
        told = explain(session, found)
    assert json.loads(json.dumps(told)) == told
    assert [rule["number"] for rule in told["rules"]] == [1, 39, 55]
    assert [event["role"] for event in told["events"]] == ["in", "out"]
    assert told["parameters"]["own"][0]["settings"]["break_after_ms"] == HOUR_MS
    assert told["engine_version"] == 3


@pytest.mark.parametrize("name", ["no_such", "share_percent"])
def test_a_setting_beyond_its_limits_is_refused(rig: Rig, name: str) -> None:
    """An unknown name and 101 percent are refused."""
    with rig.database.writing() as session, pytest.raises(Refused, match="参数不对"):
        rules_set.set_parameters(session, Place(), {name: 101}, 1, said(rig))


def test_a_record_of_the_cards_log_waits_for_a_leader(rig: Rig) -> None:
    """A tap-out known from the card's log alone: proposed, C if approved (rule 37)."""
    person, asn = new_card(rig)
    one_tap(rig, asn, EventType.IN)
    entry = LogRecord(1, bytes(3), 0, 9, bytes(6), *packed(MORNING_S + 2 * 3600))
    tap = rig.chain(1, changes=[{"utc_s": MORNING_S + 5 * 3600}])[0]
    payload = payloads.build(EventType.RECOVERED, log_record=LOG_RECORD.build(entry), index=1)
    read = rig.chain_after(
        tap, payload, type=EventType.RECOVERED, card_asn=asn, card_kind=1, utc_s=tap.utc_s + 60
    )
    assert rig.upload([tap, read]).status == 200
    derive(rig, [person])

    start_ms = MORNING_S * 1000
    assert (37, "open", start_ms, start_ms + 2 * HOUR_MS) in queue_of(rig, person)
    assert hours(rig, person)[0][1:] == (0, "C", "exception")


def test_s66_a_sheet_for_a_forgotten_card_waits_for_a_leader(rig: Rig) -> None:
    """Four hours by hand with a plan of three: three are proposed, C if approved (rule 42)."""
    person, asn = new_card(rig)
    tap = rig.chain(1, changes=[{"utc_s": MORNING_S}])[0]
    payload = payloads.build(
        EventType.MANUAL, planned_min=180, start=MORNING_S, end=MORNING_S + 4 * 3600, sheet=12
    )
    sheet = rig.chain_after(tap, payload, type=EventType.MANUAL, card_asn=asn, utc_s=tap.utc_s + 60)
    assert rig.upload([tap, sheet]).status == 200
    derive(rig, [person])

    proposal = (MORNING_S * 1000, MORNING_S * 1000 + 3 * HOUR_MS)
    assert queue_of(rig, person) == [(42, "open", *proposal)]
    with rig.database.writing() as session:
        number = session.scalars(
            sa.select(ReconException.id).where(ReconException.person == person)
        ).one()
        approve(session, number, proposal, said(rig))
    assert hours(rig, person)[0][1:] == (180, "C", "credited")


def test_a_cloned_card_goes_on_the_hotlist(rig: Rig) -> None:
    """Two proven taps with one counter block the card at once (rule 29)."""
    person, asn = new_card(rig)
    one_tap(rig, asn, EventType.IN)
    one_tap(rig, asn, EventType.OUT)
    derive(rig, [person])

    with rig.database.reading() as session:
        card = session.scalars(sa.select(Card).where(Card.volunteer_id == person)).one()
        assert (card.state, card.revoked_ms) == ("blocked", rig.clock.utc_ms())


def test_deriving_everything_again_is_identical_and_names_what_was_altered(rig: Rig) -> None:
    """What is stored is what the events give; one altered row is named."""
    person, _post = serve(rig)
    with rig.database.reading() as session:
        assert verify(session, rig.clock.utc_ms()).identical
    with rig.database.writing() as session:
        session.execute(
            sa.update(ServiceInterval)
            .where(ServiceInterval.person == person)
            .values(credited_minutes=999)
        )
    with rig.database.reading() as session:
        found = verify(session, rig.clock.utc_ms())

    assert [text.split(":")[0] for text in found.differences] == ["not stored", "not derived"]
    assert (found.persons >= 1, found.intervals, found.credited_minutes) == (True, 1, 180)


def test_a_missed_tap_is_asked_for_answered_and_told(rig: Rig) -> None:
    """The leader accepts two hours: grade C, the volunteer is told, a second answer is refused."""
    person, asn = new_card(rig)
    one_tap(rig, asn, EventType.GUARDIAN)
    start_ms = MORNING_S * 1000
    with rig.database.writing() as session:
        site = session.scalars(sa.select(Site.id)).first()
        asked = Asked(person, "终端没电", None, site, start_ms, start_ms + 2 * HOUR_MS)
        number = requests.ask(session, asked, rig.clock.utc_ms()).id
        requests.answer(session, number, (start_ms, start_ms + 2 * HOUR_MS), said(rig))
        with pytest.raises(Refused, match="answered already"):
            requests.answer(session, number, None, said(rig))
    derive(rig, [person])

    assert hours(rig, person)[0][1:] == (120, "C", "credited")
    with rig.database.reading() as session:
        told = session.execute(sa.select(Notification.person, Notification.site)).all()
    assert [tuple(row) for row in told] == [(None, site), (person, None)]


def test_a_dispute_of_somebody_elses_interval_is_refused(rig: Rig) -> None:
    """Only one's own current interval can be disputed."""
    person, _post = serve(rig)
    other, _asn = new_card(rig)
    interval = current(rig, person).id
    with rig.database.writing() as session:
        assert requests.ask(session, Asked(person, "少了一小时", interval), 1).kind == "dispute"
        with pytest.raises(Refused, match="no such interval"):
            requests.ask(session, Asked(other, "少了一小时", interval), 1)


def test_an_outage_is_settled_in_bulk(rig: Rig) -> None:
    """Sheets of two volunteers in a span are approved at once, each as proposed."""
    people = []
    before = rig.chain(1, changes=[{"utc_s": MORNING_S}])[0]
    events = [before]
    payload = payloads.build(
        EventType.MANUAL, planned_min=60, start=MORNING_S, end=MORNING_S + 3600, sheet=1
    )
    for _ in range(2):
        person, asn = new_card(rig)
        people.append(person)
        events.append(
            rig.chain_after(
                events[-1], payload, type=EventType.MANUAL, card_asn=asn, utc_s=MORNING_S + 60
            )
        )
    assert rig.upload(events).status == 200
    derive(rig, None)
    with rig.database.writing() as session:
        site = session.scalars(
            sa.select(Terminal.site_id).where(Terminal.id == events[0].terminal_id)
        ).one()
        place = events[0].site or site
        outage = Outage(place, 42, MORNING_S * 1000, MORNING_S * 1000 + HOUR_MS)
        assert outages.settle_outage(session, outage, said(rig)) == 2
        assert outages.settle_outage(session, outage, said(rig)) == 0

    assert [hours(rig, person)[0][1:] for person in people] == [(60, "C", "credited")] * 2


def packed(utc_s: int) -> tuple[bytes, bytes]:
    """Return date and time as a terminal in the zone of the sites writes them."""
    local = dt.datetime.fromtimestamp(utc_s, tz=dt.timezone(dt.timedelta(hours=8)))
    return bytes.fromhex(f"{local:%Y%m%d}"), bytes.fromhex(f"{local:%H%M%S}")
