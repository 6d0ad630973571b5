# SPDX-License-Identifier: Apache-2.0
"""The totals of a CLOSE beside what is stored: equal, incomplete, or unequal with the range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from server.ingest import settlement
from server.ingest.models import Settlement
from swipe.event import Event
from swipe.kinds import EventType
from swipe.payloads import build
from swipe.requests import REQUEST_CONTEXT, request_message
from tests.factories import TERMINAL_ID
from tests.integration.server.rig import NOW_MS, Rig

PERIOD = 6


def closed(rig: Rig, **totals: int) -> list[Event]:
    """Make a chain of taps with a CLOSE over all of them."""
    taps = rig.chain(PERIOD)
    said = {"n_in": 3, "n_out": 3, "n_rej": 0, "first_seq": 1, "last_seq": PERIOD, "day": 20261121}
    payload = build(EventType.CLOSE, **(said | totals))
    quiet = {"card_kind": 0, "cg_type": 0, "dpk_idx": 0, "card_asn": bytes(10)}
    close = rig.chain_after(taps[-1], payload, type=EventType.CLOSE, **quiet)
    return [*taps, close]


def kept(rig: Rig) -> list[str]:
    """Return the states that the server remembers."""
    with rig.database.reading() as session:
        return list(session.scalars(sa.select(Settlement.state)))


def compare(rig: Rig) -> settlement.Compared:
    """Compare the CLOSE with what is stored now."""
    with rig.database.reading() as session:
        return settlement.compare(session, TERMINAL_ID, PERIOD + 1)


def test_equal_totals_settle_with_the_upload(rig: Rig) -> None:
    """A CLOSE whose period is stored whole and counts the same is equal at once."""
    rig.upload(closed(rig))

    compared = compare(rig)

    assert kept(rig) == ["equal"]
    assert (compared.state, compared.said, compared.found) == ("equal", (3, 3, 0), (3, 3, 0))


def test_missing_events_are_named_until_they_come(rig: Rig) -> None:
    """A CLOSE before its taps names what is missing, and settles when the gap is filled."""
    events = closed(rig)
    rig.upload(events[:2], 1)
    rig.upload(events[4:], 2)

    before = compare(rig)
    rig.upload(events[2:4], 3)

    assert (before.state, before.missing) == ("incomplete", [(3, 4)])
    assert kept(rig) == ["equal"]


def test_a_close_that_has_not_come_is_incomplete(rig: Rig) -> None:
    """Asked for a CLOSE that is not stored, the server names the range up to it."""
    rig.upload(closed(rig)[:4])

    compared = compare(rig)

    assert (compared.state, compared.said) == ("incomplete", None)
    assert compared.missing == [(5, PERIOD + 1)]
    assert kept(rig) == []


def test_wrong_totals_are_unequal_over_the_whole_period(rig: Rig) -> None:
    """Totals that differ from whole, consistent taps name the whole period."""
    rig.upload(closed(rig, n_in=4))

    compared = compare(rig)

    assert (compared.state, compared.unequal) == ("unequal", [(1, PERIOD)])
    assert kept(rig) == ["unequal"]


def test_counters_that_disagree_narrow_the_range(rig: Rig) -> None:
    """Where a tap's own counters skip, the range between it and the tap before is named."""
    taps = rig.chain(PERIOD, changes=[{}, {}, {}, {"n_in": 9}, {"n_in": 2, "n_out": 2}])
    payload = build(EventType.CLOSE, n_in=4, n_out=3, first_seq=1, last_seq=PERIOD, day=20261121)
    quiet = {"card_kind": 0, "cg_type": 0, "dpk_idx": 0, "card_asn": bytes(10)}
    rig.upload([*taps, rig.chain_after(taps[-1], payload, type=EventType.CLOSE, **quiet)])

    compared = compare(rig)

    assert compared.state == "unequal"
    assert compared.unequal == [(3, 4), (4, 5)]


def ask(rig: Rig, folder: Path, close_seq: int) -> Any:
    """Ask over HTTP as the terminal does."""
    path = f"/api/v1/terminals/{TERMINAL_ID}/settlements/{close_seq}"
    message = request_message("GET", path, NOW_MS)
    signature = rig.terminal_identity.sign(REQUEST_CONTEXT, message).hex()
    headers = {"Authorization": f"Yika-Terminal {NOW_MS}.{signature}"}
    return rig.app(folder).test_client().get(path, headers=headers)


def test_a_terminal_asks_with_a_signed_request(sqlite_rig: Rig, tmp_path: Path) -> None:
    """The answer carries state, both totals and the ranges; without a signature it is 401."""
    sqlite_rig.upload(closed(sqlite_rig, n_rej=2))

    answer = ask(sqlite_rig, tmp_path, PERIOD + 1)
    stranger = sqlite_rig.app(tmp_path).test_client().get(answer.request.path)

    assert answer.status_code == 200
    assert answer.get_json() == {
        "state": "unequal", "equal": False, "day": 20261121,
        "n_in": 3, "n_out": 3, "n_rej": 0,
        "said": {"n_in": 3, "n_out": 3, "n_rej": 2},
        "missing": [], "unequal": [[1, PERIOD]],
    }  # fmt: skip
    assert stranger.status_code == 401
