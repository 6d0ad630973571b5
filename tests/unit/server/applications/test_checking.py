# SPDX-License-Identifier: Apache-2.0
"""The form: every field is checked, everything wrong is said at once, ages turn on the birthday."""

from __future__ import annotations

import datetime as dt

import pytest

from server.applications.checking import Form, check
from server.applications.policy import Rules, Standing, conditions
from tests.unit.server.applications.forms import mainland_id, make_form

TODAY = dt.date(2026, 11, 22)
GUARDIAN = "0000000014"


def codes(form: Form, today: dt.date = TODAY, rules: Rules | None = None) -> list[str]:
    """Return the codes of a form's faults."""
    return [fault.code for fault in check(form, rules or Rules(), today).faults]


def born(day: str, **fields: str) -> Form:
    """Make the form of somebody born on a day, with a guardian."""
    return make_form(document_number=mainland_id(day), guardian_number=GUARDIAN, **fields)


@pytest.mark.parametrize(
    ("birth", "today", "counts", "taken"),
    [
        ("20161123", dt.date(2026, 11, 22), 1, False),
        ("20161122", dt.date(2026, 11, 22), 1, True),
        ("20161121", dt.date(2026, 11, 22), 1, True),
        ("20161122", dt.date(2026, 11, 22), 0, False),
        ("20161121", dt.date(2026, 11, 22), 0, True),
        ("20160229", dt.date(2026, 2, 28), 1, False),
        ("20160229", dt.date(2026, 3, 1), 1, True),
        ("20160229", dt.date(2026, 3, 1), 0, False),
        ("20160229", dt.date(2026, 3, 2), 0, True),
    ],
)
def test_s44_ten_years_are_reached_on_the_birthday_or_the_day_after_by_rule(
    birth: str, today: dt.date, counts: int, taken: bool
) -> None:
    """The day before the tenth birthday is refused; a leap day's birthday falls on 1 March."""
    found = codes(born(birth), today, Rules(birthday_counts=counts))

    assert found == ([] if taken else ["too-young"])


@pytest.mark.parametrize(
    ("birth", "asked"), [("20121123", True), ("20121122", False), ("20121121", False)]
)
def test_s45_from_ten_to_thirteen_a_guardian_is_named(birth: str, asked: bool) -> None:
    """Until the fourteenth birthday an application without a guardian is refused."""
    found = codes(make_form(document_number=mainland_id(birth)))

    assert found == (["guardian-missing"] if asked else [])


def test_s48_every_wrong_field_is_named_at_once() -> None:
    """Name, document, mobile numbers and address each get their own fault, in one answer."""
    form = Form(name="王5", document_number="1", mobile="12345", address="x", emergency_mobile="9")

    fields = {fault.field for fault in check(form, Rules(), TODAY).faults}

    assert fields == {
        "name", "document_number", "mobile", "address", "emergency_name", "emergency_mobile",
    }  # fmt: skip


def test_s48_an_emergency_number_equal_to_the_own_one_is_a_warning() -> None:
    """It warns and stops nobody."""
    checked = check(make_form(emergency_mobile="+86 138-0013-8000"), Rules(), TODAY)

    assert checked.faults == ()
    assert [one.code for one in checked.warnings] == ["same-mobile"]
    assert checked.clean is not None


def test_a_birth_date_that_differs_from_the_document_is_a_fault() -> None:
    """What was typed and what stands in the number must agree."""
    assert codes(make_form(birth="1990-05-18")) == ["birth-differs"]
    assert codes(make_form(birth="1990-05-17")) == []


@pytest.mark.parametrize(("birth", "rules", "taken"), [
    ("20081122", Rules(), True),
    ("20081123", Rules(), False),
    ("20081123", Rules(credit_age_min=16), True),
])  # fmt: skip
def test_s50_a_minor_gets_no_credit_carrier(birth: str, rules: Rules, taken: bool) -> None:
    """A credit card is refused below the age that the rules set, and debit never is."""
    assert codes(born(birth, carrier="debit"), rules=rules) == []
    assert codes(born(birth, carrier="credit"), rules=rules) == ([] if taken else ["credit-age"])


def test_names_with_rare_characters_and_long_ones_are_taken() -> None:
    """Characters beyond the basic plane, dots of transliterated names and Latin names are names."""
    for name in ("𠮷田", "买买提·艾力", "Nguyễn Văn Anh", "欧阳娜娜"):
        assert codes(make_form(name=name)) == []


@pytest.mark.parametrize(("hundredths", "met"), [(199, False), (200, True), (201, True)])
def test_s53_training_of_1_99_class_hours_is_not_two(hundredths: int, met: bool) -> None:
    """The condition counts hundredths: 1.99 is not met, 2.00 is."""
    found = {one.code: one for one in conditions(Standing(hundredths, 600), Rules())}

    assert found["training"].met is met
    assert found["training"].zh == f"培训 {hundredths / 100:.2f}／2.00 学时"


@pytest.mark.parametrize(("minutes", "met"), [(599, False), (600, True)])
def test_s54_599_minutes_of_pre_service_are_not_ten_hours(minutes: int, met: bool) -> None:
    """599 minutes are not enough, 600 are."""
    found = {one.code: one for one in conditions(Standing(200, minutes), Rules())}

    assert found["pre-service"].met is met
