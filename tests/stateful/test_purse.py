# SPDX-License-Identifier: Apache-2.0
"""Two thousand commands in any order: virtual card and reference never differ."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.purse_machine import PurseMachine

RULES = 2_000
SETTINGS = settings(
    max_examples=25,
    stateful_step_count=60,
    deadline=None,
    database=None,
    print_blob=True,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


def run_rules(count: int, first_seed: int) -> int:
    """Run rules until so many were executed; return how many. Seeds count up from the first."""
    PurseMachine.executed = 0
    number = first_seed
    while PurseMachine.executed < count:
        machine = seed(number)(type("PurseMachine", (PurseMachine,), {}))
        run_state_machine_as_test(machine, settings=SETTINGS)
        number += 1
    return PurseMachine.executed


def test_card_and_reference_agree() -> None:
    """Purse, log, PIN and access rights answer as the reference, also across torn commands."""
    assert run_rules(RULES, first_seed=1) >= RULES
