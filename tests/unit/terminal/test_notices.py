# SPDX-License-Identifier: Apache-2.0
"""What a configuration may say, and which activity is on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swipe.notices import Config
from terminal.errors import NoticeRefused
from terminal.notices import ACTIVITIES_MAX, EARLY_S, LATE_S, Activity, SiteConfig, parse_config
from terminal.policy import Rules

SITE = {"id": 3, "name_zh": "莲花山公园", "name_en": "Lianhua", "tz_q": 32}
NINE = 1_795_222_800
HOUR = 3600


def notice(**members: Any) -> Config:
    """Return a configuration with these members."""
    return Config(4, json.dumps({"site": SITE, **members}).encode())


def activity(number: int, start_s: int, end_s: int) -> Activity:
    """Return an activity."""
    return Activity(number, "导览", "Guide", start_s, end_s)


def test_full_configuration() -> None:
    """Site, activities and rules are taken from the notice; what is unknown is ignored."""
    item = {"id": 31, "code": "G", "name_zh": "导览", "name_en": "Guide", "start": 1, "end": 2}
    params = {"duplicate_s": 90, "require_open": True, "minor_years": 16, "colour": "red"}
    config = parse_config(notice(activities=[item], params=params, other=1))

    assert (config.version, config.site, config.tz_q) == (4, 3, 32)
    assert config.activities == (activity(31, 1, 2),)
    assert config.rules == Rules(duplicate_s=90, require_open=True, minor_years=16)


def test_least_configuration() -> None:
    """Without activities and parameters everything has its default."""
    assert parse_config(notice()).rules == Rules()


@pytest.mark.parametrize(
    ("json_bytes", "reason"),
    [
        (b"{", "Expecting"),
        (b"[]", "indices"),
        (b"{}", "site is missing"),
        (b'{"site": {"id": 1}}', "name_zh is missing"),
        (b'{"site": 5}', "subscriptable"),
    ],
)
def test_unreadable_configurations_are_named(json_bytes: bytes, reason: str) -> None:
    """A signed notice that makes no sense is refused as a whole."""
    with pytest.raises(NoticeRefused, match=reason):
        parse_config(Config(1, json_bytes))


@pytest.mark.parametrize(
    ("name", "value"),
    [("duplicate_s", 5), ("duplicate_s", "60"), ("undo_s", 3600), ("minor_years", 30)],
)
def test_rules_have_bounds(name: str, value: object) -> None:
    """No configuration can switch a protection off."""
    with pytest.raises(NoticeRefused, match=name):
        parse_config(notice(params={name: value}))


def test_activities_are_limited() -> None:
    """A list beyond a year's is refused."""
    item = {"id": 1, "name_zh": "x", "name_en": "x", "start": 0, "end": 1}

    with pytest.raises(NoticeRefused, match="activities"):
        parse_config(notice(activities=[item] * (ACTIVITIES_MAX + 1)))


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        (NINE - EARLY_S - 1, None),
        (NINE - EARLY_S, 1),
        (NINE, 1),
        (NINE + 3 * HOUR, 1),  # ends at twelve, the next begins at half past one
        (NINE + 3 * HOUR + 2699, 1),
        (NINE + 3 * HOUR + 2701, 2),
        (NINE + 5 * HOUR, 2),
        (NINE + 6 * HOUR + LATE_S - 1, 2),
        (NINE + 6 * HOUR + LATE_S, None),
    ],
)
def test_activity_of_the_moment(moment: int, number: int | None) -> None:
    """The running activity, or the one nearest by within an hour before and after."""
    plan = SiteConfig(
        activities=(
            activity(1, NINE, NINE + 3 * HOUR),
            activity(2, NINE + 3 * HOUR + 5400, NINE + 6 * HOUR),
        )
    )
    found = plan.activity_at(moment)

    assert (found.id if found else None) == number


def test_overlapping_activities_go_to_the_earlier() -> None:
    """Of two running activities the one that began first is meant."""
    plan = SiteConfig(
        activities=(activity(2, NINE + 60, NINE + HOUR), activity(1, NINE, NINE + HOUR))
    )
    found = plan.activity_at(NINE + 120)

    assert found is not None
    assert found.id == 1
