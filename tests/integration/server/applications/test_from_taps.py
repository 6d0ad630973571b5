# SPDX-License-Identifier: Apache-2.0
"""An applicant's training and pre-service counted from taps as terminals upload them."""

from __future__ import annotations

from server.applications import services
from server.applications.models import Application
from server.people.services import next_card_serial, register_card
from server.worker import derive_and_post
from swipe.kinds import EventType
from tests.factories import UTC_S
from tests.integration.server.applications.desk import NOW_MS, apply, number_of
from tests.integration.server.rig import Rig

DAY_S = 86_400
BEGIN_S = UTC_S - 10 * DAY_S


def test_s54_s53_real_taps_make_an_applicant_ready(sqlite_rig: Rig) -> None:
    """A class of 95 minutes, then two services of five hours by tapping: ready, and approved."""
    with sqlite_rig.database.writing() as session:
        made = apply(session, sqlite_rig.store)
        asn = next_card_serial(session)
        register_card(session, made.number, asn, 1, "test", (BEGIN_S - DAY_S) * 1000)
    post = sqlite_rig.add_post(902_001)
    plan = [
        (EventType.TRAINING, 0), (EventType.TRAINING, 95 * 60),
        (EventType.IN, DAY_S), (EventType.OUT, DAY_S + 300 * 60),
        (EventType.IN, 2 * DAY_S), (EventType.OUT, 2 * DAY_S + 300 * 60),
    ]  # fmt: skip
    changes = [
        {
            "card_asn": bytes.fromhex(asn), "card_ctr": number, "type": kind,
            "utc_s": BEGIN_S + second, "up_s": 100 + second,
        }
        for number, (kind, second) in enumerate(plan)
    ]  # fmt: skip
    events = post.chain(len(changes), sqlite_rig.store, changes=changes)
    assert sqlite_rig.put(post.batch(events), 1, post.terminal_id).status == 200

    with sqlite_rig.database.writing() as session:
        derive_and_post(session, [made.volunteer_id], NOW_MS)
        found = {
            one.code: (one.have, one.met)
            for one in services.conditions(session, made.volunteer_id, NOW_MS)
        }
        state = session.get_one(Application, made.application_id).state
        services.approve(session, sqlite_rig.store, made.application_id, "user:wang", NOW_MS)
        number = number_of(session, made.volunteer_id)

    assert found["training"] == (211, True)
    assert found["pre-service"] == (600, True)
    assert state == "ready"
    assert len(number) == 10
    assert number.isdigit()
