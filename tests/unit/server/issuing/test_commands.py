# SPDX-License-Identifier: Apache-2.0
"""The commands about orders, branches, the calendar, insurance and campaigns at the console."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from server.benefits import cli as benefits
from server.config import Config, DatabaseSection, DataSection
from server.console import Console
from server.db import Database
from server.errors import Refused
from server.issuing import cli
from server.people.services import NewUser, add_user
from tests.unit.server.issuing.people import MONDAY, Town, found_town

Run = Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class Still:
    """A clock that stands on a Monday."""

    def utc_ms(self) -> int:
        """Return that instant."""
        return MONDAY


@pytest.fixture
def place(sqlite_database: Database, tmp_path: Path) -> tuple[Town, Run]:
    """Return a town with a member of staff, and a way to give commands there."""
    town = found_town(sqlite_database, tmp_path)
    with town.database.writing() as session:
        add_user(session, NewUser("li", "staff"), "a good password", "root", MONDAY)
    url = sqlite_database.url.render_as_string()
    config = Config(data=DataSection(dir=tmp_path), database=DatabaseSection(url=url))
    console = Console(config, Still())
    commands = {command.name: command for command in (*cli.COMMANDS, *benefits.COMMANDS)}

    def give(group: str, *words: str) -> Any:
        done: Result = CliRunner().invoke(
            commands[group], words, obj=console, catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        return json.loads(done.output) if "--json" in words else done.output

    return town, give


def test_order_is_made_shown_explained_and_moved(place: tuple[Town, Run]) -> None:
    """A card is ordered, listed, explained, called off; what does not follow is refused."""
    town, give = place
    with town.database.writing() as session:
        number = town.volunteer(session).number
    made = give("cardorder", "order", number, "--kind", "own", "--by", "li", "--json")
    order_no = made["ordered"][0]
    assert give("cardorder", "list", "--json")["lists"]["order"] == 1
    listed = give("cardorder", "list", "--due", "order", "--json")
    assert [line["order"] for line in listed["orders"]] == [order_no]
    ways = give("cardorder", "explain", order_no, "--json")["next"]
    assert {"event": "produced", "to": "produced", "sources": ["bank", "staff"]} in ways
    told = ("cardorder", "step", order_no, "cancelled", "--ref", "12", "--by", "li", "--json")
    assert give(*told)["state"] == "cancelled"
    assert give(*told)["code"] == "repeated"
    with pytest.raises(Refused, match="does not follow"):
        give("cardorder", "step", order_no, "suspended", "--ref", "13", "--by", "li")
    shown = give("cardorder", "show", order_no, "--json")
    assert [step["event"] for step in shown["steps"]] == ["ordered", "cancelled"]
    assert shown["vest"] == "ordered"
    assert give("cardorder", "check", "--json") == {"violations": []}
    assert "已注销" in give("cardorder", "leave", number, "--reason", "搬家", "--by", "li")


def test_branches_and_calendar_are_loaded_and_shown(
    place: tuple[Town, Run], tmp_path: Path
) -> None:
    """A bank's list and a year's announcement come from files."""
    _, give = place
    listed = tmp_path / "branches.csv"
    listed.write_text("partner,code,name,from,until\nICBC,B1,南山支行,2026-01-01,\n", "utf-8")
    assert "1 新 new" in give("branch", "load", str(listed), "--by", "li")
    found = give("branch", "list", "--partner", "ICBC", "--json")["branches"]
    assert [one["name"] for one in found] == ["南山支行"]
    due = give("calendar", "show", "--from", "2026-11-23", "--json")
    assert due == {
        "made": "2026-12-14", "told": "2026-12-21", "kept_until": "2027-05-23", "firm": True,
    }  # fmt: skip
    assert give("calendar", "show", "2027", "--json")["state"] == "provisional"
    year = tmp_path / "2027.csv"
    year.write_text("2027-01-01,放假,元旦\n", "utf-8")
    load = ("calendar", "load", str(year), "--year", "2027", "--source", "notice", "--by", "li")
    assert "1 天" in give(*load)
    assert give("calendar", "show", "2027", "--json")["state"] == "announced"
    listed.write_text("ICBC;B1\n", "utf-8")
    with pytest.raises(Refused, match="line 1"):
        give("branch", "load", str(listed), "--by", "li")


def test_benefits_at_the_console(place: tuple[Town, Run], tmp_path: Path) -> None:
    """The insurer's file, a claim, a campaign and a month's donations."""
    town, give = place
    with town.database.writing() as session:
        number = town.volunteer(session).number
    out = tmp_path / "out.jsonl"
    made = give("insurance", "export", "--out", str(out), "--by", "li", "--json")
    assert (made["added"], out.read_bytes().count(b"\n")) == (1, 3)
    claim = ("insurance", "claim", number, "death", "--at", "2026-11-23T08:00", "--by", "li")
    assert give(*claim, "--json")["code"] == "no-service"
    assert give("donation", "total", "BOC", "2026-11", "--json")["amount_fen"] == 0
    days = ("2026-12-01", "2026-12-31")
    added = give("campaign", "add", "体检", "check", *days, "--by", "li").strip()
    assert give("campaign", "list", added, "--json")["volunteers"] == []
