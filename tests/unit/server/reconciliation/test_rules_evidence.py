# SPDX-License-Identifier: Apache-2.0
"""Evidence: rules 2 to 4, 28 to 32, 35, 36, 54, 56."""

from __future__ import annotations

from tests.unit.server.reconciliation.story import Vector, of_rule, told, written


@of_rule(2)
def test_rule_02_the_same_event_counts_once(vector: Vector) -> None:
    """An event that arrives again counts once."""
    assert told(vector) == written(vector)


@of_rule(3)
def test_rule_03_nothing_from_the_fork_on_is_credited(vector: Vector) -> None:
    """From a forked number on nothing is credited, unless it had been acknowledged before."""
    assert told(vector) == written(vector)


@of_rule(4)
def test_rule_04_events_after_a_gap_are_b_until_it_fills(vector: Vector) -> None:
    """Behind a missing number events earn B, and A once it has arrived."""
    assert told(vector) == written(vector)


@of_rule(28)
def test_rule_28_a_gap_in_the_counter_holds_the_interval(vector: Vector) -> None:
    """A number the card counted and nobody saw holds the interval around it."""
    assert told(vector) == written(vector)


@of_rule(29)
def test_rule_29_two_proven_taps_of_one_counter_are_a_clone(vector: Vector) -> None:
    """Two proven taps with one counter are a clone's; a wrong proof never affects a card."""
    assert told(vector) == written(vector)


@of_rule(30)
def test_rule_30_a_wrong_card_proof_earns_nothing(vector: Vector) -> None:
    """A tap whose card proof is wrong is no tap."""
    assert told(vector) == written(vector)


@of_rule(31)
def test_rule_31_a_wrong_signature_leaves_the_card_proof_to_a_leader(vector: Vector) -> None:
    """A wrong signature with a right TAC can be approved at grade C."""
    assert told(vector) == written(vector)


@of_rule(32)
def test_rule_32_no_card_proof_waits_for_a_leader(vector: Vector) -> None:
    """A card that proves nothing earns nothing without a leader."""
    assert told(vector) == written(vector)


@of_rule(35)
def test_rule_35_a_torn_tap_with_its_rescue_is_a_whole_tap(vector: Vector) -> None:
    """A torn tap and its rescue are one fully proven tap; a rescue alone is B."""
    assert told(vector) == written(vector)


@of_rule(36)
def test_rule_36_a_torn_tap_counts_if_the_card_went_on(vector: Vector) -> None:
    """A torn tap counts as B if the card went on, else it shows presence only."""
    assert told(vector) == written(vector)


@of_rule(54)
def test_rule_54_a_psam_number_that_does_not_rise_is_refused(vector: Vector) -> None:
    """A tap whose PSAM number does not rise is no tap."""
    assert told(vector) == written(vector)


@of_rule(56)
def test_rule_56_a_tap_and_its_fetched_proof_are_one(vector: Vector) -> None:
    """A tap and its proof fetched elsewhere are one tap of its own terminal."""
    assert told(vector) == written(vector)
