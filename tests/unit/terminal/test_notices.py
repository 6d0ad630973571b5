# SPDX-License-Identifier: Apache-2.0
"""What a configuration may say, and which activity is on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from swipe.notices import Config
from terminal.errors import NoticeRefused
from terminal.policy import Rules
from terminal.site_config import (
    ACTIVITIES_MAX,
    EARLY_S,
    LATE_S,
    MESSAGES_MAX,
    OPERATORS_MAX,
    Activity,
    Message,
    Operator,
    SiteConfig,
    parse_config,
)

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
    assert config.activities == (replace(activity(31, 1, 2), code="G"),)
    assert config.rules == Rules(duplicate_s=90, require_open=True, minor_years=16)


def test_least_configuration() -> None:
    """Without activities and parameters everything has its default."""
    assert parse_config(notice()).rules == Rules()


@pytest.mark.parametrize(
    ("json_bytes", "reason"),
    [
        (b"{", "Expecting"),
        (b"[]", "no JSON object"),
        (b"{}", "site is missing"),
        (b'{"site": {"id": 1}}', "name_zh is missing"),
        (b'{"site": 5}', "site must be an object"),
    ],
)
def test_unreadable_configurations_are_named(json_bytes: bytes, reason: str) -> None:
    """A signed notice that makes no sense is refused as a whole."""
    with pytest.raises(NoticeRefused, match=reason):
        parse_config(Config(1, json_bytes))


@pytest.mark.parametrize(
    ("name", "value", "counts_as"),
    [
        ("duplicate_s", 10, 60),
        ("duplicate_s", 3600, 600),
        ("guardian_s", 900, 600),
        ("undo_s", 60, 10),
        ("undo_s", -1, 5),
        ("minor_years", 30, 18),
    ],
)
def test_rules_have_bounds(name: str, value: int, counts_as: int) -> None:
    """No configuration can switch a protection off, or promise what the server does not credit.

    A value beyond the bounds counts as the bound: a refused notice, signed while they were wider,
    would take the site's activities and operators with it.
    """
    assert getattr(parse_config(notice(params={name: value})).rules, name) == counts_as


@pytest.mark.parametrize("value", ["60", True, 1.5, 2**40])
def test_a_rule_is_a_number_of_seconds(value: object) -> None:
    """What is no number, or none that seconds can have, is refused by the rule's name."""
    with pytest.raises(NoticeRefused, match="duplicate_s"):
        parse_config(notice(params={"duplicate_s": value}))


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


def test_operators_messages_and_choice() -> None:
    """Who may sign on, what is to be shown and how the activity is chosen stand in the notice."""
    config = parse_config(
        notice(
            operators=[
                {"asn8": "0000000000000017", "name": "李", "role": "supervisor"},
                {"asn8": "0000000000000018", "name": "王"},
            ],
            messages=[
                {"id": 5, "zh": "明天停电", "en": "no power", "from": NINE, "until": NINE + 9}
            ],
            activity_choice="fixed",
            fixed_activity=31,
            expires=NINE + HOUR,
            params={"require_sign_on": True, "psam_soft_ok": False},
        )
    )

    assert config.operators[0] == Operator(bytes(7) + b"\x17", "李", "supervisor")
    assert config.operator(b"\x59\x49" + bytes(7) + b"\x18") == config.operators[1]
    assert config.operator(bytes(10)) is None
    assert config.messages == (Message(5, "明天停电", "no power", NINE, NINE + 9),)
    assert config.messages_at(NINE) == config.messages
    assert config.messages_at(NINE + 9) == config.messages_at(NINE - 1) == ()
    assert (config.activity_choice, config.fixed_activity) == ("fixed", 31)
    assert (config.expires_s, config.require_sign_on, config.psam_soft_ok) == (
        NINE + HOUR,
        True,
        False,
    )


def test_an_activity_is_found_by_its_code() -> None:
    """Small letters and blanks around do not matter; no code finds nothing."""
    item = {"id": 31, "code": "G12", "name_zh": "导览", "name_en": "Guide", "start": 1, "end": 2}
    config = parse_config(
        notice(activities=[{**item, "family": 7, "planned_min": 90, "minors": False}])
    )
    found = config.activity_by_code(" g12 ")

    assert found == Activity(31, "导览", "Guide", 1, 2, "G12", 7, 90, minors=False)
    assert config.activity_by_id(31) == found
    assert config.activity_by_code("") is config.activity_by_id(32) is None


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"operators": [{"asn8": "00", "name": "x"}]}, "asn8"),
        ({"operators": [{"asn8": "zz" * 8, "name": "x"}]}, "asn8"),
        ({"operators": [{"asn8": "00" * 8, "name": "x", "role": "king"}]}, "role"),
        ({"operators": [3]}, "operators"),
        ({"operators": {}}, "operators must be a list"),
        ({"operators": [{}] * (OPERATORS_MAX + 1)}, "operators"),
        ({"messages": [{}] * (MESSAGES_MAX + 1)}, "messages"),
        ({"messages": [{"id": 1, "zh": "x" * 201, "en": "", "from": 0, "until": 1}]}, "zh"),
        ({"activity_choice": "dice"}, "activity_choice"),
        ({"fixed_activity": -1}, "fixed_activity"),
        ({"expires": "soon"}, "expires"),
        ({"params": {"require_sign_on": 1}}, "require_sign_on"),
        ({"params": []}, "params"),
    ],
)
def test_a_member_of_another_kind_is_named(members: dict[str, Any], reason: str) -> None:
    """A member of another type or out of bounds is refused by its name, the notice with it."""
    with pytest.raises(NoticeRefused, match=reason):
        parse_config(notice(**members))
