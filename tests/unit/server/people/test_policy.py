# SPDX-License-Identifier: Apache-2.0
"""Rules about people: numbers, serials, masks, birthdays."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.people import policy

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(("digits", "check"), [("0794", "5"), ("00200667308", "5"), ("", "1")])
def test_check_digit_follows_iso_7064(digits: str, check: str) -> None:
    """MOD 11,10 gives the digits of worked examples."""
    assert policy.check_digit(digits) == check


@given(st.integers(1, policy.SEQUENCE_MAX))
def test_numbers_are_valid(sequence: int) -> None:
    """Every number that is given out passes its own check and keeps its sequence."""
    number = policy.volunteer_number(sequence)

    assert policy.is_volunteer_number(number)
    assert int(number[:-1]) == sequence


@given(st.integers(1, policy.SEQUENCE_MAX), st.integers(0, 9), st.integers(1, 9))
def test_one_wrong_digit_is_found(sequence: int, place: int, shift: int) -> None:
    """A number with any one digit changed is not valid."""
    digits = list(policy.volunteer_number(sequence))
    digits[place] = str((int(digits[place]) + shift) % 10)

    assert not policy.is_volunteer_number("".join(digits))


@pytest.mark.parametrize(
    "text", ["", "000000001", "00000000145", "000000001A", "０００００００01４"]
)
def test_other_texts_are_no_numbers(text: str) -> None:
    """Texts of another length or with other characters are no volunteer numbers."""
    assert not policy.is_volunteer_number(text)


@pytest.mark.parametrize("sequence", [0, policy.SEQUENCE_MAX + 1])
def test_sequence_out_of_range_is_refused(sequence: int) -> None:
    """A sequence value that does not fit nine digits gives no number."""
    with pytest.raises(ValueError, match="nine digits"):
        policy.volunteer_number(sequence)


def test_serial_out_of_range_is_refused() -> None:
    """A sequence value that does not fit a serial gives none."""
    with pytest.raises(ValueError, match="serial"):
        policy.card_serial(policy.ASN_SEQUENCE_MAX + 1)


def test_mask_never_shows_more_than_the_first_character() -> None:
    """A masked name is its first character and at most three stars."""
    assert policy.mask_name("𠮷田太郎之助") == "𠮷***"


@pytest.mark.parametrize(
    ("birth", "until"),
    [
        (dt.date(2012, 11, 21), "2026-11-21T00:00:00+08:00"),
        (dt.date(2012, 2, 29), "2026-03-01T00:00:00+08:00"),
        (dt.date(2010, 2, 28), "2024-02-28T00:00:00+08:00"),
    ],
)
def test_minors_need_a_guardian_until_their_fourteenth_birthday(birth: dt.date, until: str) -> None:
    """The fourteenth birthday begins at local midnight; a leap day's falls on 1 March."""
    assert policy.minor_until(birth, SHANGHAI).isoformat() == until
