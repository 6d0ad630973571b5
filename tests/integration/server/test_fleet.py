# SPDX-License-Identifier: Apache-2.0
"""What terminals say of themselves is believed if signed, kept shortly, and turned into alarms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from keys.identity import Identity
from server.errors import Problem
from server.fleet import policy, services
from server.fleet.models import FleetHistory
from server.fleet.services import HISTORY_MAX, Told
from server.terminals import services as terminals
from swipe.requests import STATUS_CONTEXT, status_message
from terminal.care import status_request
from tests.factories import TERMINAL_ID, make_identity
from tests.integration.server.rig import NOW_MS, Rig

STATUS = {"boot": 3, "uptime_s": 60, "unsent": 12, "version": "0.2.0", "reader": "ok"}


def told(identity: Identity, /, terminal_id: int = TERMINAL_ID, **fields: Any) -> Told:
    """Return a signed status."""
    text = json.dumps(STATUS | fields)
    message = status_message(terminal_id, text.encode())
    return Told(terminal_id, text, identity.sign(STATUS_CONTEXT, message))


def take(rig: Rig, status: Told, now_ms: int = NOW_MS) -> None:
    """Let the server take a status."""
    with rig.database.writing() as session:
        services.take_status(session, status, now_ms)


def standing(rig: Rig, now_ms: int = NOW_MS) -> services.Standing:
    """Return how the terminal stands."""
    with rig.database.reading() as session:
        return services.one(session, TERMINAL_ID, now_ms)


def test_a_signed_status_is_kept(rig: Rig) -> None:
    """The newest status is what staff see; what it still holds goes to the old overview too."""
    take(rig, told(rig.terminal_identity))

    seen = standing(rig)
    assert seen.status == STATUS
    assert (seen.heard_ms, seen.alarms) == (NOW_MS, [])
    with rig.database.reading() as session:
        assert terminals.overview(session, NOW_MS)[0].unsent == 12


def test_a_stranger_is_refused(sqlite_rig: Rig) -> None:
    """Another key, another terminal's number, a changed text, a revoked terminal: 401."""
    rig = sqlite_rig
    good = told(rig.terminal_identity)
    for bad in (
        told(make_identity("stranger")),
        Told(TERMINAL_ID + 1, good.text, good.signature),
        Told(TERMINAL_ID, good.text.replace("12", "0"), good.signature),
        told(rig.terminal_identity, pad="x" * 9_000),
    ):
        with pytest.raises(Problem) as caught:
            take(rig, bad)
        assert caught.value.status == 401
    with rig.database.writing() as session:
        terminals.revoke(session, TERMINAL_ID, "lost", "li", NOW_MS)
    with pytest.raises(Problem):
        take(rig, good)


@pytest.mark.parametrize(
    "fields",
    [
        {"boot": -1},
        {"boot": True},
        {"unsent": "many"},
        {"nested": {"a": 1}},
        {"text": "x" * 201},
        {"control": "a\u0007"},
        {"x" * 41: 1},
        {"list": list(range(40))},
        {"number": 1e300},
        {f"f{n}": n for n in range(70)},
    ],
)
def test_what_is_no_status_is_refused(sqlite_rig: Rig, fields: dict[str, Any]) -> None:
    """Signed garbage is garbage: 422, and nothing is kept."""
    with pytest.raises(Problem) as caught:
        take(sqlite_rig, told(sqlite_rig.terminal_identity, **fields))

    assert caught.value.status == 422
    assert standing(sqlite_rig).status is None


@pytest.mark.parametrize("text", ["", "[]", "null", "[" * 5_000, '{"boot": NaN}'])
def test_what_is_no_json_is_refused(text: str) -> None:
    """Text that is no flat object never raises anything but its problem."""
    with pytest.raises(Problem):
        services.read_status(text)


def test_an_older_status_changes_nothing(sqlite_rig: Rig) -> None:
    """A replayed or overtaken status does not hide the newer one."""
    identity = sqlite_rig.terminal_identity
    take(sqlite_rig, told(identity, uptime_s=90, reader="missing"))
    take(sqlite_rig, told(identity), NOW_MS + 1000)
    take(sqlite_rig, told(identity, boot=2, uptime_s=10_000), NOW_MS + 2000)

    seen = standing(sqlite_rig)
    assert (seen.heard_ms, [alarm.code for alarm in seen.alarms]) == (NOW_MS, ["reader"])


def test_the_history_is_short(sqlite_rig: Rig) -> None:
    """However often a terminal speaks, two hundred statuses are kept, the newest ones."""
    for n in range(HISTORY_MAX + 5):
        take(sqlite_rig, told(sqlite_rig.terminal_identity, uptime_s=100 + n))

    with sqlite_rig.database.reading() as session:
        count = session.scalar(sa.select(sa.func.count()).select_from(FleetHistory))
        newest = services.history(session, TERMINAL_ID, 1)[0]
    assert count == HISTORY_MAX
    assert newest["uptime_s"] == 100 + HISTORY_MAX + 4


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"oldest_unsent_s": 6 * 86_400}, "old-unsent"),
        ({"psam": "failed"}, "psam"),
        ({"journal": "failed"}, "journal"),
        ({"disk_used_percent": 80}, "disk"),
        ({"disk_days_left": 6}, "disk"),
        ({"temperature_c": 81.5}, "hot"),
        ({"clock": "unknown"}, "clock"),
        ({"printer": "paper-out"}, "printer"),
        ({"update_failed": [4]}, "update"),
    ],
)
def test_each_trouble_is_an_alarm(fields: dict[str, Any], code: str) -> None:
    """What a terminal says of its parts becomes an alarm with a stable name and two languages."""
    found = policy.alarms(STATUS | fields, NOW_MS, NOW_MS)

    assert [alarm.code for alarm in found] == [code]
    assert found[0].zh
    assert found[0].en


def test_silence_is_urgent() -> None:
    """A terminal that missed four of its quarters of an hour stands first."""
    hour_ms = 3_600_001
    found = policy.alarms(STATUS | {"temperature_c": 90}, NOW_MS - hour_ms, NOW_MS)

    assert [(alarm.code, alarm.urgent) for alarm in found] == [("silent", True), ("hot", False)]


def test_over_http(sqlite_rig: Rig, tmp_path: Path) -> None:
    """The request that a terminal makes is the one that the server takes."""
    client = sqlite_rig.app(tmp_path).test_client()
    request = status_request(TERMINAL_ID, sqlite_rig.terminal_identity, STATUS)

    answer = client.post(request.path, data=request.body, content_type=request.content_type)

    assert (answer.status_code, answer.json) == (200, {"heard": True})
    assert client.post(request.path, json={"status": "{}"}).status_code == 422


def test_releases_are_offered_as_files(sqlite_rig: Rig, tmp_path: Path) -> None:
    """Metadata and pieces of a release are given out; every other name is 404."""
    client, folder = sqlite_rig.app(tmp_path).test_client(), tmp_path / "releases"
    (folder / "metadata").mkdir(parents=True)
    (folder / "targets").mkdir()
    (folder / "metadata" / "timestamp.json").write_bytes(b"{}")
    name = "ab" * 32 + ".yika-terminal-1.whl"
    (folder / "targets" / name).write_bytes(bytes(range(256)) * 2_000)
    (folder / "secret").write_bytes(b"x")

    assert client.get("/releases/metadata/timestamp.json").data == b"{}"
    whole = client.get(f"/releases/targets/{name}?from=0").data
    rest = client.get(f"/releases/targets/{name}?from={len(whole)}").data
    assert len(whole) == 262_144
    assert whole + rest == bytes(range(256)) * 2_000
    for path in (
        "/releases/metadata/2.root.json",
        "/releases/metadata/..%2fsecret",
        "/releases/targets/secret",
        f"/releases/targets/..%2f{name}",
    ):
        assert client.get(path).status_code == 404, path
    assert client.get(f"/releases/targets/{name}?from=-1").status_code == 422
