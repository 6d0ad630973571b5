# SPDX-License-Identifier: Apache-2.0
"""Operators, messages, rules and the choice of activity: set by staff, read by the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient

from server.cli import cli, load_features
from server.terminals.activities import DAY_MS
from server.terminals.models import Activity, Site, Terminal
from server.terminals.policy import NOTICE_LIFETIME_MS
from server.terminals.services import NewActivity, add_activity
from server.terminals.site_settings import MESSAGES_MAX
from swipe.notices import Config
from terminal.site_config import SiteConfig, parse_config
from tests.factories import TERMINAL_ID
from tests.integration.server.rig import NOW_MS, Rig, signed

OPERATOR = "59490000000000000017"
SITE = "1"
UNTIL = "2099-01-01T00:00"


@pytest.fixture
def sqlite_client(sqlite_rig: Rig, tmp_path: Path) -> FlaskClient:
    """A client of the application on SQLite."""
    return sqlite_rig.app(tmp_path / "app").test_client()


@pytest.fixture
def staff(sqlite_rig: Rig, tmp_path: Path) -> Staff:
    """Give the console of a server with one terminal, and a staff user li."""
    load_features()
    staff = Staff(sqlite_rig, tmp_path)
    staff.run("user", "add", "li", "--role", "staff")
    return staff


class Staff:
    """Somebody at the console, and the terminal that hears of it."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self._environment = {
            "YIKA_DATA_DIR": str(folder),
            "YIKA_DATABASE_URL": rig.database.url.render_as_string(),
            "YIKA_NEW_PASSWORD": "a good password",
        }

    def call(self, *arguments: str) -> Result:
        """Run one command."""
        return CliRunner(env=self._environment).invoke(cli, arguments)

    def run(self, *arguments: str) -> str:
        """Run one command that must work."""
        result = self.call(*arguments)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout

    def notice(self, client: FlaskClient) -> Config:
        """Return the notice as the terminal gets it, its signature checked."""
        path = f"/api/v1/terminals/{TERMINAL_ID}/config"
        raw = client.get(path, headers=signed(self.rig.terminal_identity, path)).data
        return Config.from_bytes(raw, self.rig.server_identity.public_key)

    def config(self, client: FlaskClient) -> SiteConfig:
        """Return what the terminal reads in it."""
        return parse_config(self.notice(client))


def test_a_pin_reaches_the_terminal_as_its_proof(
    staff: Staff, sqlite_client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The terminal can tell the right PIN from a wrong one, and nobody was told the PIN itself."""
    by = ("--site", SITE, "--by", "li")
    staff.run("terminal", "operator", "add", OPERATOR, "李", *by)
    monkeypatch.setenv("YIKA_OPERATOR_PIN", "60 24")
    refused = staff.call("terminal", "operator", "pin", OPERATOR, *by)
    monkeypatch.setenv("YIKA_OPERATOR_PIN", "602417")
    staff.run("terminal", "operator", "pin", OPERATOR, *by)
    (operator,) = staff.config(sqlite_client).operators
    shown = staff.run("terminal", "operator", "list", "--site", SITE, "--json")

    assert refused.exit_code == 1
    assert operator.pin is not None
    assert operator.pin.accepts("602417", operator.asn8)
    assert not operator.pin.accepts("602418", operator.asn8)
    assert b"602417" not in staff.notice(sqlite_client).json
    assert "602417" not in shown


def test_operators_reach_the_terminal(staff: Staff, sqlite_client: FlaskClient) -> None:
    """A card that may sign on stands in the next configuration, and no more once removed."""
    before = staff.config(sqlite_client)
    by = ("--site", SITE, "--by", "li")
    staff.run("terminal", "operator", "add", OPERATOR, "李", "--role", "supervisor", *by)
    added = staff.config(sqlite_client)
    listed = staff.run("terminal", "operator", "list", "--site", SITE, "--json")
    staff.run("terminal", "operator", "remove", OPERATOR, *by)
    removed = staff.config(sqlite_client)

    found = added.operator(bytes.fromhex(OPERATOR))
    assert before.operators == removed.operators == ()
    assert (found.name, found.role) == ("李", "supervisor")
    assert json.loads(listed)["operators"][0]["asn"] == OPERATOR
    assert before.version < added.version < removed.version


def test_messages_reach_the_terminal(staff: Staff, sqlite_client: FlaskClient) -> None:
    """A message is shown between its two instants, in both languages."""
    by = ("--site", SITE, "--until", UNTIL, "--by", "li")
    staff.run("terminal", "message", "add", "明天停电", "No power", *by)
    (message,) = staff.config(sqlite_client).messages
    staff.run("terminal", "message", "remove", str(message.id), "--by", "li")

    assert (message.zh, message.en) == ("明天停电", "No power")
    assert message.from_s < message.until_s
    assert staff.config(sqlite_client).messages == ()


def test_the_choice_of_activity_reaches_the_terminal(
    staff: Staff, sqlite_client: FlaskClient
) -> None:
    """By code, or always one: the fixed one stands in the notice however old it is."""
    with staff.rig.database.writing() as session:
        long_ago, now = NOW_MS - 400 * DAY_MS, NOW_MS
        new = NewActivity(
            1, "G1", "导览", "Guide", long_ago, long_ago + 1, "park", 90, minors=False
        )
        fixed = add_activity(session, new, "li", NOW_MS).id
        for number in range(3):
            later = NewActivity(1, f"H{number}", "扫地", "Sweep", now, now + 1, "park")
            add_activity(session, later, "li", NOW_MS)
        session.add(
            Activity(
                site_id=1,
                code="Z",
                name_zh="",
                name_en="",
                start_ms=now,
                end_ms=now + 1,
                family="other",
            )
        )
    staff.run("terminal", "activity", str(TERMINAL_ID), "code", "--by", "li")
    by_code = staff.config(sqlite_client)
    arguments = ("terminal", "activity", str(TERMINAL_ID), "fixed", "--activity", str(fixed))
    staff.run(*arguments, "--by", "li")
    always = staff.config(sqlite_client)
    guide, sweep = always.activity_by_code("g1"), always.activity_by_code("H2")
    other = always.activity_by_code("Z")

    assert (by_code.activity_choice, by_code.fixed_activity) == ("code", 0)
    assert (always.activity_choice, always.fixed_activity) == ("fixed", fixed)
    assert (guide.id, guide.planned_min, guide.minors) == (fixed, 90, False)
    assert guide.family == sweep.family != other.family


def test_rules_reach_the_terminal(staff: Staff, sqlite_client: FlaskClient) -> None:
    """Limits and switches are set one by one; the others stay."""
    staff.run("site", "rules", SITE, "duplicate_s=90", "require_sign_on=true", "--by", "li")
    staff.run("site", "rules", SITE, "minor_years=16", "psam_soft_ok=false", "--by", "li")
    config = staff.config(sqlite_client)

    assert (config.rules.duplicate_s, config.rules.minor_years) == (90, 16)
    assert (config.require_sign_on, config.psam_soft_ok) == (True, False)


def test_rules_of_wider_bounds_reach_the_terminal_within_them(
    staff: Staff, sqlite_client: FlaskClient
) -> None:
    """What a site set before the bounds were narrowed goes out as the nearest bound."""
    with staff.rig.database.writing() as session:
        session.get_one(Site, int(SITE)).rules = {
            "undo_s": 60,
            "duplicate_s": 10,
            "psam_soft_ok": True,
        }
    told = json.loads(staff.notice(sqlite_client).json)["params"]

    assert told == {"undo_s": 10, "duplicate_s": 60, "psam_soft_ok": True}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("site", "rules", SITE, "duplicate_s=59"), "duplicate_s is 60 to 600"),
        (("site", "rules", SITE, "duplicate_s=true"), "duplicate_s is 60 to 600"),
        (("site", "rules", SITE, "undo_s=11"), "undo_s is 5 to 10"),
        (("site", "rules", SITE, "guardian_s=601"), "guardian_s is 30 to 600"),
        (("site", "rules", SITE, "require_open=3"), "true or false"),
        (("site", "rules", SITE, "colour=3"), "no rule colour"),
        (("terminal", "operator", "add", "17", "李", "--site", SITE), "20 digits"),
        (("terminal", "operator", "add", OPERATOR, "", "--site", SITE), "characters"),
        (("terminal", "operator", "remove", OPERATOR, "--site", SITE), "no operator here"),
        (("terminal", "operator", "add", OPERATOR, "李", "--site", "99"), "no site 99"),
        (("terminal", "message", "remove", "99"), "no message 99"),
        (("terminal", "activity", str(TERMINAL_ID), "fixed"), "an activity of the site"),
        (
            ("terminal", "message", "add", "晚", "late", "--site", SITE, "--until", "2001-01-01"),
            "ends in the future",
        ),
        (
            ("terminal", "message", "add", "", "x", "--site", SITE, "--until", UNTIL),
            "200 characters",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    staff: Staff, arguments: tuple[str, ...], complaint: str
) -> None:
    """A setting out of bounds changes nothing and says why."""
    result = staff.call(*arguments, "--by", "li")

    assert result.exit_code == 1
    assert complaint in str(result.exception)


def test_messages_are_limited(staff: Staff) -> None:
    """The twenty-first message waits until one is removed."""
    by = ("--site", SITE, "--until", UNTIL, "--by", "li")
    for number in range(MESSAGES_MAX):
        staff.run("terminal", "message", "add", f"第{number}条", "", *by)
    result = staff.call("terminal", "message", "add", "再一条", "", *by)

    assert result.exit_code == 1
    assert "remove one" in str(result.exception)


def test_a_notice_past_half_its_life_is_made_anew(staff: Staff, sqlite_client: FlaskClient) -> None:
    """Its version rises and its expiry moves on; a young notice stays byte for byte."""
    first, again = staff.notice(sqlite_client), staff.notice(sqlite_client)
    staff.rig.clock.now_ms += NOTICE_LIFETIME_MS // 2
    path = f"/api/v1/terminals/{TERMINAL_ID}/config"
    headers = signed(staff.rig.terminal_identity, path, staff.rig.clock.now_ms)
    later = Config.from_bytes(
        sqlite_client.get(path, headers=headers).data, staff.rig.server_identity.public_key
    )

    assert first == again
    assert later.version > first.version
    assert parse_config(later).expires_s > parse_config(first).expires_s
    with staff.rig.database.reading() as session:
        assert session.get_one(Terminal, TERMINAL_ID).config_version == later.version
