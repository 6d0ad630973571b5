# SPDX-License-Identifier: Apache-2.0
"""Rules about terminals."""

from __future__ import annotations

import pytest

from server.reconciliation.parameters import Policy
from server.terminals import policy
from swipe.notices import RULE_BOUNDS


@pytest.mark.parametrize("checker", ["li", "LI", " li "])
def test_one_person_is_not_two(checker: str) -> None:
    """The same name in another spelling is still the same person."""
    assert not policy.two_people("li", checker)


def test_two_names_are_two_people() -> None:
    """Different names are different people."""
    assert policy.two_people("li", "wang")


@pytest.mark.parametrize(
    ("last_contact_ms", "known_since_ms", "silent"),
    [
        (0, 0, True),
        (policy.SILENT_AFTER_MS, 0, False),
        (None, 0, True),
        (None, policy.SILENT_AFTER_MS, False),
    ],
)
def test_silence_begins_after_a_day(
    last_contact_ms: int | None, known_since_ms: int, silent: bool
) -> None:
    """A terminal not heard of for more than a day is silent; a new one has a day to speak."""
    now_ms = 2 * policy.SILENT_AFTER_MS

    assert policy.is_silent(last_contact_ms, known_since_ms, now_ms) is silent


def test_terminals_promise_nothing_that_is_not_credited() -> None:
    """The bounds of what a site may set lie within what reconciliation goes by."""
    credited = Policy()

    assert RULE_BOUNDS["undo_s"][1] * 1000 <= credited.void_ms
    assert RULE_BOUNDS["guardian_s"][1] * 1000 <= credited.guardian_ms
    assert RULE_BOUNDS["duplicate_s"][0] * 1000 >= credited.duplicate_ms
