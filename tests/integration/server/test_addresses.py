# SPDX-License-Identifier: Apache-2.0
"""A message finds its holder's telephone when it leaves, and the reading stands in the audit."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import sqlalchemy as sa

from hardware_mocks.day.cycle.applicants import invent
from server.addresses import address_of
from server.applications import entering, settings
from server.applications.entering import Submission, Via
from server.applications.policy import Channel
from server.issuing import branches
from server.issuing.branches import Branch
from server.outbox import policy, sender
from server.outbox.models import OutboxMessage
from server.outbox.policy import Quiet, State
from server.outbox.sender import Post
from server.outbox.services import Answer, Message, queue
from server.people.models import Audit
from server.runtime import EXTENSION, Runtime
from tests.integration.server.rig import Rig
from tests.integration.server.test_outbox import Carrier

# 2026-11-22 10:00 in China.
NOW_MS = 1_795_312_800_000
ALWAYS = Quiet(0, 0)


def test_a_message_goes_to_the_number_of_the_application(sqlite_rig: Rig, tmp_path: Path) -> None:
    """A short message goes to the mobile, a letter to name and address; both readings are noted."""
    runtime: Runtime = sqlite_rig.app(tmp_path).extensions[EXTENSION]
    (person,) = invent(1, ("F0001",))
    with sqlite_rig.database.writing() as session:
        branches.load(session, [Branch("B", "F0001", "福田", dt.date(2026, 1, 1))], "li", NOW_MS)
        wanted = settings.current_versions(session)
        done = entering.submit(
            session, sqlite_rig.store, Submission(person.form, person.photo, wanted),
            Via(Channel.ONLINE, "self", with_code=False), NOW_MS,
        )  # fmt: skip
        letter = Message("card.lost", done.volunteer_id, "letter/1", channel=policy.Channel.LETTER)
        queue(session, letter, NOW_MS)
    carrier = Carrier(Answer(sent=True))

    sent = sender.turn(sqlite_rig.database, Post(carrier, ALWAYS, address_of(runtime)), NOW_MS)

    assert sent == 2
    assert {parcel.to for parcel in carrier.parcels} == {
        person.form.mobile, f"{person.form.name}\n{person.form.address}"
    }  # fmt: skip
    with sqlite_rig.database.reading() as session:
        reasons = session.scalars(sa.select(Audit.detail).where(Audit.actor == "outbox")).all()
        assert {detail["why"] for detail in reasons} == {
            "message:application.received", "message:card.lost"
        }  # fmt: skip
        states = session.scalars(sa.select(OutboxMessage.state)).all()
        assert set(states) == {State.SENT}
