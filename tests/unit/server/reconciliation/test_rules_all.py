# SPDX-License-Identifier: Apache-2.0
"""All vectors together: order, copies, both engines; and that no rule goes without a vector."""

from __future__ import annotations

import re

import pytest

from tests.unit.server.reconciliation import (
    test_rules_evidence,
    test_rules_pairs,
    test_rules_people,
    test_rules_policy,
    test_rules_time,
)
from tests.unit.server.reconciliation.story import (
    VECTORS,
    Vector,
    told,
    told_in_order,
    told_twice,
    written,
)

MODULES = (
    test_rules_pairs, test_rules_time, test_rules_evidence, test_rules_people, test_rules_policy,
)  # fmt: skip
IDS = [f"{vector['rule']:02}-{vector['name']}" for vector in VECTORS]
every_vector = pytest.mark.parametrize("vector", VECTORS, ids=IDS)
# The rules that the kernel applies; the others stand in the specification with their reason.
APPLIED = {
    *range(1, 16), *range(17, 44), 45, *range(48, 58), 59,
}  # fmt: skip
# Both sides of a boundary: 16 h, 30 min of grace, 31 days, 60 s and the like.
BOUNDED = {3, 5, 6, 7, 8, 9, 11, 12, 13, 17, 20, 21, 27, 28, 32, 34, 38, 40, 50, 52, 53, 55, 57}
ORDERS = 3


def rules_with_a_test() -> set[int]:
    """Return the rules that have a named test."""
    names = [name for module in MODULES for name in vars(module)]
    found = [re.match(r"test_rule_(\d\d)_", name) for name in names]
    return {int(match[1]) for match in found if match}


def test_every_applied_rule_has_a_vector_and_a_test() -> None:
    """Rules, vectors and tests are the same set."""
    assert {vector["rule"] for vector in VECTORS} == APPLIED
    assert rules_with_a_test() == APPLIED


@pytest.mark.parametrize("rule", sorted(BOUNDED))
def test_a_rule_with_a_boundary_has_a_vector_on_either_side(rule: int) -> None:
    """Two vectors of a bounded rule differ in what comes out."""
    outcomes = {
        repr(
            [
                [line[4:8] for line in vector["expect"]["intervals"]],
                len(vector["expect"]["exceptions"]),
            ]
        )
        for vector in VECTORS
        if vector["rule"] == rule
    }
    assert len(outcomes) > 1


@every_vector
def test_vectors_hold_in_any_order(vector: Vector) -> None:
    """The order in which events and decisions lie changes nothing."""
    for seed in range(ORDERS):
        assert told_in_order(vector, seed) == written(vector)


@every_vector
def test_vectors_hold_with_every_event_twice(vector: Vector) -> None:
    """Copies of events that arrive later change nothing."""
    assert told_twice(vector) == written(vector)


@pytest.mark.slow
def test_vectors_hold_in_machine_code() -> None:
    """The compiled engine gives what the plain one gives, for all vectors."""
    found = {name: told(vector, "compiled") for name, vector in zip(IDS, VECTORS, strict=True)}
    assert found == {name: written(vector) for name, vector in zip(IDS, VECTORS, strict=True)}
