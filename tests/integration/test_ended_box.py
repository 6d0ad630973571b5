# SPDX-License-Identifier: Apache-2.0
"""A box that has ended itself is an alarm of its own until somebody revokes or replaces it."""

from __future__ import annotations

import pytest

from server.fleet import services as fleet
from server.ingest.alarms import alarms
from server.terminals.services import revoke
from terminal.decommission import Reason, decommission
from tests.integration.office import Office
from tests.integration.server.rig import NOW_MS

LONG_S = 40 * 86_400


@pytest.fixture
def ended(office: Office) -> int:
    """A terminal whose box has said goodbye; a second go uploaded the rest."""
    terminal = office.in_service()
    assert heard(office, terminal) == ([], [])
    for _ in range(2):
        decommission(office.config("old"), office.clock, office.wire, Reason.CLOSED)
    return terminal


def heard(office: Office, terminal: int) -> tuple[list[str], list[str]]:
    """Return what staff hear about a terminal, as alarms of the uploads and of the fleet."""
    now_ms = office.rig.clock.now_ms
    kinds = ("silent", "ended")
    with office.rig.database.reading() as session:
        told = [one for one in alarms(session, now_ms) if one.terminal_id == terminal]
        of_fleet = fleet.one(session, terminal, now_ms).alarms
    return (
        [one.kind for one in told if one.kind in kinds],
        [one.code for one in of_fleet if one.code in kinds],
    )


def test_an_ended_box_is_told_as_ended_not_as_silent(office: Office, ended: int) -> None:
    """Its key is still in force and somebody must act; it is not silent for no reason."""
    office.pass_time(LONG_S)
    assert heard(office, ended) == (["ended"], ["ended"])


def test_a_revoked_terminal_is_no_alarm(office: Office, ended: int) -> None:
    """Once it is revoked nobody hears of it any more."""
    with office.rig.database.writing() as session:
        revoke(session, ended, "closed", "li", NOW_MS)

    assert heard(office, ended) == ([], [])


def test_a_new_box_in_its_place_ends_the_alarm(office: Office, ended: int) -> None:
    """What the box before said of its end says nothing about the new one."""
    office.succeed(ended)
    office.tap("new", 1)
    office.upload("new")

    assert heard(office, ended) == ([], [])
    office.pass_time(LONG_S)
    assert heard(office, ended)[0] == ["silent"]
