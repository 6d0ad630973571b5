# SPDX-License-Identifier: Apache-2.0
"""Settings, places, phones, lost and revoked terminals: rules 21, 37, 39, 40, 45, 50, 51, 57."""

from __future__ import annotations

from tests.unit.server.reconciliation.story import Vector, of_rule, told, written


@of_rule(21)
def test_rule_21_nobody_is_in_two_cities_at_once(vector: Vector) -> None:
    """Taps that no way allows are B at most and raise an alarm; both count."""
    assert told(vector) == written(vector)


@of_rule(37)
def test_rule_37_the_log_of_a_card_is_for_a_leader(vector: Vector) -> None:
    """A record of the card's log is a tap for a leader to judge, C at most, within the plan."""
    assert told(vector) == written(vector)


@of_rule(39)
def test_rule_39_a_break_is_taken_off_once_it_is_owed(vector: Vector) -> None:
    """Beyond the limit the break is taken off, never below the limit."""
    assert told(vector) == written(vector)


@of_rule(40)
def test_rule_40_early_late_and_rounding_are_settings(vector: Vector) -> None:
    """What a place sets counts from its day on, the nearest first; taps stay as they are."""
    assert told(vector) == written(vector)


@of_rule(45)
def test_rule_45_a_tap_by_the_leader_is_marked(vector: Vector) -> None:
    """A tap made by the leader for somebody is B at most and marked."""
    assert told(vector) == written(vector)


@of_rule(50)
def test_rule_50_too_small_a_part_of_the_plan_is_nothing(vector: Vector) -> None:
    """Below the least share of the plan nothing is credited; parts are added."""
    assert told(vector) == written(vector)


@of_rule(51)
def test_rule_51_a_phone_token_is_grade_b(vector: Vector) -> None:
    """A tap by phone is B at most and pairs with one by card."""
    assert told(vector) == written(vector)


@of_rule(57)
def test_rule_57_after_the_revocation_a_leader_decides(vector: Vector) -> None:
    """What arrives after a terminal was revoked counts only with card proof and approval."""
    assert told(vector) == written(vector)
