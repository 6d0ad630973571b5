# SPDX-License-Identifier: Apache-2.0
"""Messages: once per cause, never twice, not at night, not in floods."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.config import OutboxSection
from server.db import Database, insert_new
from server.errors import Refused
from server.outbox import sender, services
from server.outbox.models import OutboxMessage, OutboxTry
from server.outbox.policy import DAY_MS, LIFE_MS, STALE_MS, Channel, Quiet, State
from server.outbox.providers import Parcel
from server.outbox.sender import Post
from server.outbox.services import Answer, Message, _row
from server.runtime import EXTENSION, Runtime
from tests.integration.server.rig import Rig

# 2026-11-22 10:00 in China.
NOON_MS = 1_795_312_800_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000


class Carrier:
    """A provider that remembers, and answers as told."""

    name = "carrier"

    def __init__(self, answer: Answer, repeatable: bool = True) -> None:
        self.answer = answer
        self.repeatable = repeatable
        self.parcels: list[Parcel] = []

    def send(self, parcel: Parcel) -> Answer:
        """Take a message."""
        self.parcels.append(parcel)
        return self.answer


def post(carrier: Carrier) -> Post:
    """A house in which everybody has one telephone."""
    return Post(carrier, Quiet(), lambda _session, _row: "13800138000")


def lost(number: int, volunteer_id: int = 1) -> Message:
    """A message with a cause of its own."""
    return Message("card.lost", volunteer_id, f"card.lost/{number}")


def queue(database: Database, *messages: Message, now_ms: int = NOON_MS) -> int:
    """Queue messages; return how many were new."""
    with database.writing() as session:
        return services.queue_many(session, list(messages), now_ms)


def states(database: Database) -> list[str]:
    """Return the states of all messages, in the order of queueing."""
    with database.reading() as session:
        return list(session.scalars(sa.select(OutboxMessage.state).order_by(OutboxMessage.id)))


def test_a_cause_is_heard_once(database: Database) -> None:
    """The same cause queues nothing the second time, alone or within a list."""
    assert queue(database, lost(1), lost(2), lost(1)) == 2
    assert queue(database, lost(2), lost(3)) == 1
    carrier = Carrier(Answer(sent=True))
    assert sender.turn(database, post(carrier), NOON_MS) == 3
    assert sender.turn(database, post(carrier), NOON_MS) == 0
    assert len({parcel.reference for parcel in carrier.parcels}) == 3
    assert states(database) == ["sent"] * 3


def test_nothing_is_said_of_what_did_not_happen(database: Database) -> None:
    """A message goes with its unit of work: rolled back, it was never queued."""
    with pytest.raises(Refused), database.writing() as session:
        services.queue(session, lost(1), NOON_MS)
        raise Refused("changed-mind", "改主意", "changed my mind")
    assert states(database) == []


def test_the_night_is_quiet(database: Database) -> None:
    """A message of 23:00 goes out at 08:00."""
    night_ms = NOON_MS + 13 * HOUR_MS
    queue(database, lost(1), now_ms=night_ms)
    carrier = Carrier(Answer(sent=True))
    assert sender.turn(database, post(carrier), night_ms) == 0
    assert sender.turn(database, post(carrier), night_ms + 9 * HOUR_MS - 1) == 0
    assert sender.turn(database, post(carrier), night_ms + 9 * HOUR_MS) == 1


def test_one_person_is_not_flooded(database: Database) -> None:
    """Ten messages a day reach one person; the others wait, and other people do not."""
    queue(database, *(lost(number) for number in range(13)), lost(99, volunteer_id=2))
    carrier = Carrier(Answer(sent=True))
    assert sender.turn(database, post(carrier), NOON_MS) == 11
    # A day later the first ten are yesterday's.
    assert sender.turn(database, post(carrier), NOON_MS + DAY_MS + HOUR_MS) == 3


def test_failures_are_tried_again_with_pauses(database: Database) -> None:
    """A busy provider hears it six times; then it has failed and a person may set it going."""
    queue(database, lost(1))
    carrier = Carrier(Answer(sent=False, again=True, outcome="HTTP 503"))
    now_ms = NOON_MS
    for _ in range(20):
        sender.turn(database, post(carrier), now_ms)
        now_ms += 8 * MINUTE_MS
    assert len(carrier.parcels) == 6
    assert states(database) == ["failed"]
    carrier.answer = Answer(sent=True)
    with database.writing() as session:
        services.retry(session, 1, "wang", now_ms)
    assert sender.turn(database, post(carrier), now_ms) == 1
    with pytest.raises(Refused, match="is sent"), database.writing() as session:
        services.retry(session, 1, "wang", now_ms)


def test_a_refusal_is_final(database: Database) -> None:
    """A number the provider does not take is not tried again."""
    queue(database, lost(1))
    carrier = Carrier(Answer(sent=False, outcome="HTTP 400"))
    sender.turn(database, post(carrier), NOON_MS)
    sender.turn(database, post(carrier), NOON_MS + HOUR_MS)
    assert len(carrier.parcels) == 1
    assert states(database) == ["failed"]


@pytest.mark.parametrize(("repeatable", "after"), [(True, "queued"), (False, "unknown")])
def test_a_try_cut_off_is_not_sent_twice(
    sqlite_database: Database, repeatable: bool, after: str
) -> None:
    """Killed between the note and the answer: only a provider that knows references is asked."""
    queue(sqlite_database, lost(1))
    with sqlite_database.writing() as session:
        assert len(services.take(session, "carrier", Quiet(), NOON_MS)) == 1
    with sqlite_database.writing() as session:
        assert services.recover(session, repeatable, NOON_MS + STALE_MS - 1) == 0
    with sqlite_database.writing() as session:
        assert services.recover(session, repeatable, NOON_MS + STALE_MS) == 1
    assert states(sqlite_database) == [after]


def test_late_messages_expire(database: Database) -> None:
    """What waited three days is not said any more."""
    queue(database, lost(1))
    carrier = Carrier(Answer(sent=True))
    assert sender.turn(database, post(carrier), NOON_MS + LIFE_MS) == 0
    assert states(database) == ["expired"]


def test_a_report_settles_a_delivery(database: Database) -> None:
    """Delivered stays delivered; a report on nothing is not taken."""
    queue(database, lost(1))
    carrier = Carrier(Answer(sent=True))
    sender.turn(database, post(carrier), NOON_MS)
    reference = carrier.parcels[0].reference
    with database.writing() as session:
        assert services.report(session, reference, True, "ok", NOON_MS)
        assert services.report(session, reference, False, "late word", NOON_MS)
        assert not services.report(session, "00" * 16, True, "ok", NOON_MS)
    assert states(database) == ["delivered"]


def test_nobody_without_an_address_stops_the_others(database: Database) -> None:
    """A person without a number fails alone, with the reason named."""
    queue(database, lost(1), lost(2, volunteer_id=2))
    carrier = Carrier(Answer(sent=True))
    only = Post(carrier, Quiet(), lambda _s, row: "139" if row.volunteer_id == 2 else None)
    assert sender.turn(database, only, NOON_MS) == 1
    assert states(database) == ["failed", "sent"]
    with database.reading() as session:
        assert session.get_one(OutboxMessage, 1).outcome == sender.NO_ADDRESS


def test_a_public_notice_hangs_until_its_end(database: Database) -> None:
    """A notice is published at once, by no provider, and taken down after a month."""
    words = {"name": "王**", "branch": "福田支行", "until": "2027-02-28"}
    queue(database, Message("card.uncollected", None, "u/1", words, Channel.PUBLIC))
    carrier = Carrier(Answer(sent=True))
    assert sender.turn(database, post(carrier), NOON_MS) == 0
    with database.reading() as session:
        assert [row.params["name"] for row in services.published(session, NOON_MS, 10)] == ["王**"]
        assert services.published(session, NOON_MS + 31 * DAY_MS, 10) == []


def test_two_senders_share_the_work(database: Database) -> None:
    """Two programs on one database send each message once."""
    queue(database, *(lost(number, volunteer_id=number) for number in range(40)))
    carriers = [Carrier(Answer(sent=True)), Carrier(Answer(sent=True))]
    threads = [
        threading.Thread(target=sender.turn, args=(database, post(carrier), NOON_MS))
        for carrier in carriers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = [parcel.reference for carrier in carriers for parcel in carrier.parcels]
    assert len(sent) == len(set(sent)) == 40
    with database.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(OutboxTry)) == 40


def test_a_provider_reports_over_http(sqlite_rig: Rig, tmp_path: Path) -> None:
    """A report needs the token; one on nothing is a problem document."""
    queue(sqlite_rig.database, lost(1))
    carrier = Carrier(Answer(sent=True))
    sender.turn(sqlite_rig.database, post(carrier), NOON_MS)
    app = sqlite_rig.app(tmp_path)
    client, path = app.test_client(), "/api/v1/outbox/reports"
    body = {"reference": carrier.parcels[0].reference, "state": "delivered"}
    assert client.post(path, json=body).status_code == 401  # no token is configured
    runtime: Runtime = app.extensions[EXTENSION]
    config = replace(runtime.config, outbox=OutboxSection(report_token="said once"))
    app.extensions[EXTENSION] = replace(runtime, config=config)
    known = {"Authorization": "Bearer said once"}
    assert client.post(path, json=body).status_code == 401
    assert client.post(path, json=body | {"reference": "00" * 16}, headers=known).status_code == 404
    assert client.post(path, json=body | {"state": "eaten"}, headers=known).status_code == 422
    assert states(sqlite_rig.database) == [State.SENT]
    assert client.post(path, json=body, headers=known).status_code == 204
    assert states(sqlite_rig.database) == [State.DELIVERED]


def test_what_stands_already_is_not_inserted(rig: Rig) -> None:
    """The one question of every "once": was this row new? Both databases tell."""
    with rig.database.writing() as session:
        values = _row(lost(7), NOON_MS)
        assert insert_new(session, OutboxMessage, **values)
        assert not insert_new(session, OutboxMessage, **values)
