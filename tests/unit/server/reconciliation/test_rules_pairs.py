# SPDX-License-Identifier: Apache-2.0
"""Pairs of taps: rules 1, 5 to 13, 15, 19, 20, 22, 23, 38."""

from __future__ import annotations

from tests.unit.server.reconciliation.story import Vector, of_rule, told, written


@of_rule(1)
def test_rule_01_a_tap_in_and_a_tap_out_are_an_interval(vector: Vector) -> None:
    """A tap-in and the next tap-out are an interval of whole minutes, graded by its weaker tap."""
    assert told(vector) == written(vector)


@of_rule(5)
def test_rule_05_a_second_tap_within_60_s_counts_for_nothing(vector: Vector) -> None:
    """Within 60 s a second tap at the terminal, or of the same kind anywhere, is a duplicate."""
    assert told(vector) == written(vector)


@of_rule(6)
def test_rule_06_in_and_out_elsewhere_within_60_s_is_no_interval(vector: Vector) -> None:
    """A tap-out at another terminal within 60 s leaves no interval, and the volunteer is out."""
    assert told(vector) == written(vector)


@of_rule(7)
def test_rule_07_less_than_five_minutes_earn_nothing(vector: Vector) -> None:
    """Less than five minutes are kept and shown with nothing credited."""
    assert told(vector) == written(vector)


@of_rule(8)
def test_rule_08_a_second_in_opens_and_the_first_misses_its_out(vector: Vector) -> None:
    """The second tap-in opens; the first one misses its tap-out and can end there at the latest."""
    assert told(vector) == written(vector)


@of_rule(9)
def test_rule_09_a_forgotten_out_never_reaches_the_next_day(vector: Vector) -> None:
    """A forgotten tap-out never spoils the next service day."""
    assert told(vector) == written(vector)


@of_rule(10)
def test_rule_10_an_out_without_in_is_listed(vector: Vector) -> None:
    """A tap-out without a tap-in is no interval; a leader may credit it at grade C."""
    assert told(vector) == written(vector)


@of_rule(11)
def test_rule_11_a_second_out_is_evidence(vector: Vector) -> None:
    """After a tap-out the next one is evidence that asks nobody for anything."""
    assert told(vector) == written(vector)


@of_rule(12)
def test_rule_12_a_missing_out_earns_nothing_until_approved(vector: Vector) -> None:
    """A planned service without tap-out waits with the planned end as proposal."""
    assert told(vector) == written(vector)


@of_rule(13)
def test_rule_13_no_out_and_no_plan_stays_open(vector: Vector) -> None:
    """Without tap-out and plan nothing is credited; a last proof of presence is a ceiling."""
    assert told(vector) == written(vector)


@of_rule(15)
def test_rule_15_a_late_out_replaces_the_approved_end(vector: Vector) -> None:
    """A tap-out that arrives late replaces the end a leader had approved."""
    assert told(vector) == written(vector)


@of_rule(19)
def test_rule_19_in_here_and_out_there_is_an_interval(vector: Vector) -> None:
    """A tap-in at one site and a tap-out at another are one interval."""
    assert told(vector) == written(vector)


@of_rule(20)
def test_rule_20_of_two_overlapping_intervals_the_later_waits(vector: Vector) -> None:
    """The later of two overlapping intervals waits with what is left of it."""
    assert told(vector) == written(vector)


@of_rule(22)
def test_rule_22_a_switch_closes_and_opens(vector: Vector) -> None:
    """A switch closes one interval and opens the next at the same instant."""
    assert told(vector) == written(vector)


@of_rule(23)
def test_rule_23_leaving_and_returning_makes_two_intervals(vector: Vector) -> None:
    """Who leaves and returns has two intervals."""
    assert told(vector) == written(vector)


@of_rule(38)
def test_rule_38_more_than_a_shift_is_capped_or_no_pair(vector: Vector) -> None:
    """More than the longest shift is capped if it was planned, else it is no pair."""
    assert told(vector) == written(vector)
