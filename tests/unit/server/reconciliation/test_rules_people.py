# SPDX-License-Identifier: Apache-2.0
"""Cards, people and leaders: rules 14, 33, 34, 41 to 43, 52, expiry (59)."""

from __future__ import annotations

from tests.unit.server.reconciliation.story import Vector, of_rule, told, written


@of_rule(14)
def test_rule_14_requests_are_grade_c_and_the_fourth_is_marked(vector: Vector) -> None:
    """Requests earn C within the plan; the fourth missing tap-out of a month is marked."""
    assert told(vector) == written(vector)


@of_rule(33)
def test_rule_33_a_hotlisted_card_is_recorded_and_not_credited(vector: Vector) -> None:
    """A hotlisted card's taps are recorded, not credited, and nobody can approve them."""
    assert told(vector) == written(vector)


@of_rule(34)
def test_rule_34_a_revoked_card_counts_up_to_the_report(vector: Vector) -> None:
    """A tap counts if its latest possible instant lies before the report."""
    assert told(vector) == written(vector)


@of_rule(41)
def test_rule_41_a_leader_takes_less_and_never_adds_seconds(vector: Vector) -> None:
    """A correction refers to what it corrects and can lower, never raise, proven time."""
    assert told(vector) == written(vector)


@of_rule(42)
def test_rule_42_a_paper_sheet_is_grade_c_within_the_plan(vector: Vector) -> None:
    """Time from a paper sheet is C and never above the plan."""
    assert told(vector) == written(vector)


@of_rule(43)
def test_rule_43_a_person_is_all_cards_with_counters_apart(vector: Vector) -> None:
    """A person is both cards together; their counters stay apart."""
    assert told(vector) == written(vector)


@of_rule(52)
def test_rule_52_a_minor_without_guardian_is_held(vector: Vector) -> None:
    """A minor earns nothing without the linked guardian at the same site."""
    assert told(vector) == written(vector)


@of_rule(59)
def test_rule_59_an_expired_card_is_recorded_and_not_credited(vector: Vector) -> None:
    """An expired card's taps are recorded, not credited; training is no service."""
    assert told(vector) == written(vector)
