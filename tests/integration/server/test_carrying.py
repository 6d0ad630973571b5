# SPDX-License-Identifier: Apache-2.0
"""The card is carried while serving, and by nobody but its holder."""

from __future__ import annotations

import itertools

import pytest
import sqlalchemy as sa

from server.errors import Refused
from server.reconciliation import corrections
from server.reconciliation.corrections import Entered
from server.reconciliation.models import Correction
from server.terminals.models import Site
from swipe.kinds import EventType
from tests.integration.server.rig import Rig
from tests.integration.server.test_corrections import HOUR_MS, MORNING_S, queue_of, said
from tests.integration.server.test_hours import derive, hours, new_card

_posts = itertools.count(1_900)
KM_E7 = 90_000  # a kilometre to the north, in 1e-7 degree of latitude


def test_s66_forgotten_card_is_entered_by_a_person_and_flagged(rig: Rig) -> None:
    """Time without a tap needs somebody's word and reason, and stands as grade C with the name."""
    person, _asn = new_card(rig)
    end_ms = MORNING_S * 1000 + 2 * HOUR_MS
    with rig.database.writing() as session:
        site = session.scalars(sa.select(Site.id)).first() or 0
        entered = Entered(person, site, end_ms - HOUR_MS, end_ms)
        with pytest.raises(Refused):
            corrections.enter_time(session, entered, said(rig, " "))
        corrections.enter_time(session, entered, said(rig, "忘带义工证"))
    derive(rig, [person])

    assert [row[1:3] for row in hours(rig, person)] == [(60, "C")]
    with rig.database.reading() as session:
        made = session.scalars(sa.select(Correction).where(Correction.person == person)).one()
        assert (made.approved_by, made.reason) == ("wang", "忘带义工证")


def test_s67_one_card_at_two_distant_places_waits_for_a_person(rig: Rig) -> None:
    """In at one end of the province, out at the other a quarter of an hour later: rule 21."""
    person, asn = new_card(rig)
    with rig.database.writing() as session:
        here = session.scalars(sa.select(Site)).first()
        assert here is not None
        here.lat_e7, here.lon_e7 = 225_000_000, 1_140_000_000
        far = Site(name_zh="远", name_en="far", tz_q=32, config_version=1, rules={},
                   lat_e7=225_000_000 + 500 * KM_E7, lon_e7=1_140_000_000)  # fmt: skip
        session.add(far)
        session.flush()
        sites = (here.id, far.id)
    for which, kind in enumerate((EventType.IN, EventType.OUT)):
        post = rig.add_post(next(_posts))
        change = {
            "card_asn": asn, "card_ctr": which, "type": kind, "site": sites[which],
            "utc_s": MORNING_S + which * 900, "up_s": 10 + which * 900,
        }  # fmt: skip
        events = post.chain(1, rig.store, changes=[change])
        assert rig.put(post.batch(events), 1, post.terminal_id).status == 200
    derive(rig, None)

    assert 21 in [rule for rule, state, *_ in queue_of(rig, person) if state == "open"]
