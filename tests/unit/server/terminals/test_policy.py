# SPDX-License-Identifier: Apache-2.0
"""Rules about terminals."""

from __future__ import annotations

import pytest

from server.terminals import policy


@pytest.mark.parametrize("checker", ["li", "LI", " li "])
def test_one_person_is_not_two(checker: str) -> None:
    """The same name in another spelling is still the same person."""
    assert not policy.two_people("li", checker)


def test_two_names_are_two_people() -> None:
    """Different names are different people."""
    assert policy.two_people("li", "wang")


@pytest.mark.parametrize(
    ("last_contact_ms", "silent"),
    [(None, True), (0, True), (policy.SILENT_AFTER_MS, False)],
)
def test_silence_begins_after_a_day(last_contact_ms: int | None, silent: bool) -> None:
    """A terminal not heard of for more than a day, or never, is silent."""
    assert policy.is_silent(last_contact_ms, 2 * policy.SILENT_AFTER_MS) is silent
