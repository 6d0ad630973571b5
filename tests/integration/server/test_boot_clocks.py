# SPDX-License-Identifier: Apache-2.0
"""Kept corrected times: the same hours as from the events alone, made again where they must be."""

from __future__ import annotations

import sqlalchemy as sa

from server.reconciliation.models import BootClock
from server.reconciliation.services import reconcile
from server.reconciliation.verifying import verify
from server.worker import derive_and_post, drain
from swipe.kinds import EventType
from tests.factories import UTC_S
from tests.integration.server.rig import Rig
from tests.integration.server.test_hours import new_card


def kept(rig: Rig) -> list[bytes]:
    """Return the times that are kept."""
    with rig.database.reading() as session:
        return [bytes(times) for times in session.scalars(sa.select(BootClock.times))]


def derived_rightly(rig: Rig) -> bool:
    """Say whether what is stored is what the events alone give."""
    with rig.database.reading() as session:
        found = verify(session, rig.clock.utc_ms())
    return found.intervals > 0 and found.identical


def test_kept_times_follow_the_events(rig: Rig) -> None:
    """Each derivation agrees with the events: after more of a boot came, after a loss, of all."""
    post, asns = rig.add_post(901), [new_card(rig)[1] for _ in range(2)]
    changes = [
        {
            "card_asn": asns[tap % 2],
            "card_ctr": tap // 2,
            "type": EventType.OUT if tap > 1 else EventType.IN,
            "utc_s": UTC_S - 6 * 3600 + 1800 * tap,
            "up_s": 1800 * (tap + 1),
        }
        for tap in range(4)
    ]
    events = post.chain(4, rig.store, changes=changes)
    sizes = []
    for number, part in enumerate((events[:2], events[2:3], events[3:]), 1):
        assert rig.put(post.batch(part, number), number, post.terminal_id).status == 200
        assert drain(rig.database, derive_and_post, rig.clock.utc_ms()).failed == 0
        assert derived_rightly(rig)
        sizes.append([len(times) for times in kept(rig)])
    assert sizes[0] < sizes[1] < sizes[2]

    for loss in (sa.delete(BootClock), sa.update(BootClock).values(times=b"", made_by=1)):
        with rig.database.writing() as session:
            session.execute(loss)
            reconcile(session, None, rig.clock.utc_ms())
        assert derived_rightly(rig)
    assert [len(times) for times in kept(rig)] == sizes[2]


def test_what_an_upload_noted_is_not_trusted(rig: Rig) -> None:
    """Before the queue is worked off, a derivation does not look at what is kept of the boot."""
    post, (person, asn) = rig.add_post(902), new_card(rig)
    change = {"card_asn": asn, "card_ctr": 0, "type": EventType.IN, "utc_s": UTC_S - 6 * 3600}
    batch = post.batch(post.chain(1, rig.store, changes=[change]))
    assert rig.put(batch, 1, post.terminal_id).status == 200
    with rig.database.writing() as session:
        reconcile(session, [person], rig.clock.utc_ms())
        wrong = bytes(8) + b"\1" + bytes(13)
        session.execute(sa.update(BootClock).values(times=wrong))
        reconcile(session, [person], rig.clock.utc_ms())

    assert derived_rightly(rig)
