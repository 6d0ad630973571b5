# SPDX-License-Identifier: Apache-2.0
"""A paper sheet: typed digits become times, or are refused."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.modes.sheet_policy import (
    FIELDS,
    Form,
    Sheet,
    Slot,
    activity_of,
    day_of,
    serial,
    sheet_of,
)
from terminal.site_config import Activity, ActivityChoice, SiteConfig
from tests.factories import UTC_S

ASN = bytes.fromhex("59490000000000000017")
TZ_Q = 32
DAY_S = 86_400
# The factories' instant is 2026-11-21 09:00 at the site.
MIDNIGHT_S = UTC_S - 9 * 3600


def test_a_sheet_means_the_sites_times() -> None:
    """Day and times are the site's wall time; the event has UTC."""
    form = Form(("17", "1120", "0900", "1130", "120", "42"))
    start_s = MIDNIGHT_S - DAY_S + 9 * 3600

    assert sheet_of(form, UTC_S, TZ_Q) == Sheet(ASN, start_s, start_s + 9_000, 120, 42)


def test_left_out_slots_have_their_meaning() -> None:
    """No day is today, no planned length the time itself, no number none."""
    form = Form(("17", "", "0700", "0830", "", ""))

    assert sheet_of(form, UTC_S, TZ_Q) == Sheet(
        ASN, MIDNIGHT_S + 7 * 3600, MIDNIGHT_S + 8 * 3600 + 1800, 90, 0
    )


def test_an_end_before_the_start_is_the_next_day() -> None:
    """A night shift ends in the morning."""
    sheet = sheet_of(Form(("17", "1119", "2200", "0600", "", "")), UTC_S, TZ_Q)

    assert sheet is not None
    assert sheet.end_s - sheet.start_s == 8 * 3600


@pytest.mark.parametrize(
    "typed",
    [
        ("17", "", "0800", "1000", "", ""),  # ends in an hour
        ("17", "", "0800", "0800", "", ""),  # takes no time
        ("17", "0230", "0800", "0900", "", ""),  # no such day
        ("0", "", "0700", "0800", "", ""),  # no such card
    ],
)
def test_what_cannot_be_is_no_sheet(typed: tuple[str, ...]) -> None:
    """The future, no time at all, no day and no card are refused as a whole too."""
    assert sheet_of(Form(typed), UTC_S, TZ_Q) is None


def test_a_day_is_the_last_of_its_name() -> None:
    """A day later than today is last year's."""
    assert day_of("1122", date(2026, 11, 21)) == date(2025, 11, 22)
    assert day_of("0229", date(2026, 11, 21)) is None


@given(slot=st.sampled_from(list(FIELDS)), digits=st.text("0123456789", max_size=24))
def test_any_digits_are_judged(slot: Slot, digits: str) -> None:
    """Every slot says yes or no to any digits, without stumbling."""
    assert FIELDS[slot].accepts(digits) in (True, False)


@given(st.text("0123456789", min_size=1, max_size=24))
def test_a_serial_has_twenty_digits_or_is_none(digits: str) -> None:
    """Typed digits become a whole serial or nothing."""
    found = serial(digits)

    assert found is None or (len(found) == 20 and found.endswith(digits.lstrip("0")))


@given(st.lists(st.text("0123456789", max_size=9), min_size=6, max_size=6))
def test_a_form_of_accepted_slots_is_a_sheet_or_none(typed: list[str]) -> None:
    """What every slot has accepted makes a sheet that lies in the past, or none."""
    slots = list(Slot)[:6]
    if not all(FIELDS[slot].accepts(text) for slot, text in zip(slots, typed, strict=True)):
        return
    sheet = sheet_of(Form(tuple(typed)), UTC_S, TZ_Q)

    assert sheet is None or 0 <= sheet.start_s < sheet.end_s <= UTC_S


YESTERDAY_S = UTC_S - DAY_S
PLANNED = (
    Activity(30, "导览", "Guide", YESTERDAY_S, YESTERDAY_S + 3 * 3600),
    Activity(31, "导览", "Guide", UTC_S, UTC_S + 3 * 3600),
    Activity(32, "送餐", "Meals", UTC_S, UTC_S + 3 * 3600),
)


@pytest.mark.parametrize(
    ("choice", "fixed", "chosen", "start_s", "number"),
    [
        ("schedule", 0, 0, YESTERDAY_S, 30),
        ("schedule", 0, 31, YESTERDAY_S, 30),
        ("schedule", 0, 32, UTC_S, 32),
        ("schedule", 0, 31, YESTERDAY_S - DAY_S, 0),
        ("fixed", 32, 0, UTC_S, 32),
        ("fixed", 32, 31, UTC_S, 32),
        ("fixed", 31, 0, YESTERDAY_S, 30),
        ("code", 0, 30, YESTERDAY_S, 30),
        ("code", 0, 31, YESTERDAY_S, 0),
    ],
)
def test_a_sheet_has_the_activity_of_its_own_time(
    choice: ActivityChoice, fixed: int, chosen: int, start_s: int, number: int
) -> None:
    """What is chosen counts if it was on then, else the schedule of that time; no code is guessed.

    The activity of the moment of typing would cap the hours at another plan.
    """
    config = SiteConfig(activities=PLANNED, activity_choice=choice, fixed_activity=fixed)

    assert activity_of(config, chosen, start_s) == number
