# SPDX-License-Identifier: Apache-2.0
"""A volunteer looks up the own record by number: activities, times, the total of the ledger."""

from __future__ import annotations

from server.portal.display import hours_minutes
from server.portal.policy import FAILURES_PER_SUBJECT_MAX
from server.timebank.services import balance
from tests.unit.server.portal.conftest import Visitor


def test_s13_the_number_opens_ones_own_record_and_its_total_is_the_ledgers(
    visitor: Visitor,
) -> None:
    """Number and secret lead to the hours; the total on the page is the sum of the account."""
    visitor.come_as("zhang")
    with visitor.scene.database.reading() as session:
        total = balance(session, visitor.scene.ids["zhang"])

    page = visitor.get("/me").text

    assert total > 0
    assert hours_minutes(total) in page


def test_s13_wrong_secrets_are_counted_and_paused(visitor: Visitor) -> None:
    """A wrong secret and an unknown number get the same answer; after five the number waits."""
    number = visitor.scene.numbers["zhang"]
    wrong = [
        visitor.send("/sign-in", number=number, secret="not the secret").status_code
        for _ in range(FAILURES_PER_SUBJECT_MAX)
    ]

    assert wrong == [401] * FAILURES_PER_SUBJECT_MAX
    assert visitor.send("/sign-in", number=number, secret="not the secret").status_code == 429
    assert visitor.send("/sign-in", number="0000009990", secret="x").status_code == 401
