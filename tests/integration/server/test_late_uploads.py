# SPDX-License-Identifier: Apache-2.0
"""Uploads of a revoked terminal: stored as evidence, credited only if somebody approves."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from server.db import from_millis
from server.ingest import enrolled, one_event
from server.ingest.models import Batch
from server.ingest.verdicts import Verdict
from server.people.models import Audit
from server.reconciliation import services as reconciliation
from server.reconciliation.models import ServiceInterval
from server.terminals import services
from server.terminals.models import Psam, Terminal, TerminalKey
from swipe.receipt import Receipt
from tests.factories import KEY_ID, PSAM_NO, TERMINAL_ID
from tests.integration.server.rig import NOW_MS, Rig, resigned


@pytest.fixture
def revoked(rig: Rig) -> Rig:
    """A server that revoked its terminal a second ago."""
    with rig.database.writing() as session:
        services.revoke(session, TERMINAL_ID, "stolen", "li", NOW_MS - 1000)
    return rig


def test_late_events_are_stored_and_receipted(revoked: Rig) -> None:
    """Signed with the key it had, they get receipt and verdict like any others, and are audited."""
    receipt = revoked.receipt(revoked.chain(2))

    assert receipt.up_to_seq == 2
    assert set(revoked.verdicts().values()) == {Verdict.OK}
    with revoked.database.reading() as session:
        told = session.scalars(sa.select(Audit).where(Audit.action == "terminal.late-upload")).one()
        assert told.subject == f"terminal:{TERMINAL_ID}"
        assert told.detail == {"batch_no": 1, "events": 2}


def test_a_revoked_psam_is_told_with_its_day(rig: Rig) -> None:
    """At another terminal its taps are UNKNOWN_PSAM, and the event's reason says since when."""
    with rig.database.writing() as session:
        other = Terminal(
            id=8, name="b", site_id=1, state="revoked", created_by="a", created_ms=0,
            config_version=1, bad_proofs=0,
        )  # fmt: skip
        session.add(other)
        session.flush()
        key = TerminalKey(terminal_id=8, suite=1, public_key=bytes(32), revoked_ms=NOW_MS - 1000)
        session.add(key)
        psam = session.get_one(Psam, PSAM_NO)
        psam.terminal_id, psam.state = 8, "revoked"
    rig.upload(rig.chain(1))

    with rig.database.reading() as session:
        found = one_event.describe(session, TERMINAL_ID, 1)
    at = from_millis(NOW_MS - 1000).isoformat(timespec="milliseconds")
    assert found["verdict"] == "UNKNOWN_PSAM"
    assert found["reason"]["en"] == f"the PSAM was revoked with terminal 8 at {at}"


def test_late_taps_wait_for_approval(revoked: Rig) -> None:
    """With the card's proof they become an interval without credit, for somebody to decide."""
    revoked.upload(revoked.chain(2))

    with revoked.database.writing() as session:
        reconciliation.reconcile(session, None, NOW_MS)
        statement = sa.select(ServiceInterval.credited_minutes, ServiceInterval.rules)
        found = session.execute(statement.where(ServiceInterval.current)).all()

    assert [row.credited_minutes for row in found] == [0]
    assert "57" in str(found[0].rules)


def test_late_taps_without_card_proof_are_nothing(revoked: Rig) -> None:
    """What the stolen key alone vouches for is stored as wrong."""
    events = revoked.chain(1)
    forged = resigned(events[0], revoked.terminal_identity, tac=bytes(4), mac2=bytes(4))

    assert revoked.upload([forged]).status == 200
    assert revoked.verdicts() == {1: Verdict.BAD_PROOF}


def test_taps_stored_before_stay_as_they_were(rig: Rig) -> None:
    """What was receipted before the revocation keeps its receipt and its credit."""
    events = rig.chain(2)
    before = rig.upload(events)
    with rig.database.writing() as session:
        services.revoke(session, TERMINAL_ID, "stolen", "li", NOW_MS + 1000)
    again = rig.upload(events)

    assert again.replay
    assert again.body == before.body
    assert Receipt.from_bytes(again.body).up_to_seq == 2


def test_a_revoked_key_of_a_terminal_in_use_stays_refused(revoked: Rig) -> None:
    """Only where the terminal itself was revoked do its old keys open the door."""
    with revoked.database.writing() as session:
        terminal = services.find_terminal(session, TERMINAL_ID)
        terminal.state = "active"

    assert revoked.upload(revoked.chain(1)).status == 401


def test_there_is_an_end_to_it(revoked: Rig) -> None:
    """After a year's worth of events a revoked terminal is not heard any more."""
    with revoked.database.writing() as session:
        assert session.get_one(TerminalKey, KEY_ID).revoked_ms == NOW_MS - 1000
        session.add(
            Batch(
                terminal_id=TERMINAL_ID, batch_no=99, sha256=bytes(32), first_seq=1,
                count=enrolled.LATE_EVENTS_MAX, up_to_seq=1, received_ms=NOW_MS,
                header=bytes(192), receipt=bytes(192), anchor=bytes(8), answer=0,
            )
        )  # fmt: skip

    assert revoked.upload(revoked.chain(1)).status == 401
