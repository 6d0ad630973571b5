# SPDX-License-Identifier: Apache-2.0
"""Time: rules 17, 18, 24 to 27, 48, 49, 53, 55."""

from __future__ import annotations

import datetime as dt

from server.reconciliation.policy import reconcile_arrays
from tests.unit.server.reconciliation.histories import Story
from tests.unit.server.reconciliation.story import Vector, of_rule, told, written


@of_rule(17)
def test_rule_17_an_interval_across_midnight_belongs_to_the_day_of_its_in(vector: Vector) -> None:
    """An interval across midnight is one interval and marked."""
    assert told(vector) == written(vector)
    story = Story(vector)
    days = reconcile_arrays(story.history, story.now, engine="plain").intervals["service_day"]
    epoch = dt.date(1970, 1, 1)
    expected = vector["expect"].get("days")
    if expected is not None:
        assert [str(epoch + dt.timedelta(days=int(day))) for day in days] == expected


@of_rule(18)
def test_rule_18_a_zone_changes_no_length(vector: Vector) -> None:
    """Lengths come from UTC whatever zone the site is in."""
    assert told(vector) == written(vector)


@of_rule(24)
def test_rule_24_a_drifting_clock_is_pulled_between_its_bounds(vector: Vector) -> None:
    """A clock within its uncertainty is pulled between its bounds, the length stays."""
    assert told(vector) == written(vector)


@of_rule(25)
def test_rule_25_a_jumping_clock_yields_to_the_running_time(vector: Vector) -> None:
    """Where the wall clock jumped, the running time decides."""
    assert told(vector) == written(vector)


@of_rule(26)
def test_rule_26_without_a_clock_a_boot_keeps_its_lengths(vector: Vector) -> None:
    """Without a clock a length within one boot is certain; across boots it is B."""
    assert told(vector) == written(vector)


@of_rule(27)
def test_rule_27_a_claim_from_the_future_is_held_until_bounded(vector: Vector) -> None:
    """A claim from the future is held until a receipt bounds the truth."""
    assert told(vector) == written(vector)


@of_rule(48)
def test_rule_48_order_of_arrival_changes_nothing(vector: Vector) -> None:
    """Intervals come from the whole ordered set, whatever arrived first."""
    assert told(vector) == written(vector)


@of_rule(49)
def test_rule_49_the_counter_orders_before_time(vector: Vector) -> None:
    """The card's counter orders first, then time, then terminal and number."""
    assert told(vector) == written(vector)


@of_rule(53)
def test_rule_53_counter_against_time_earns_nothing(vector: Vector) -> None:
    """A tap whose counter and time disagree beyond the uncertainties earns nothing."""
    assert told(vector) == written(vector)


@of_rule(55)
def test_rule_55_bounds_wider_than_31_days_earn_b(vector: Vector) -> None:
    """Bounds wider than 31 days leave at most B."""
    assert told(vector) == written(vector)
