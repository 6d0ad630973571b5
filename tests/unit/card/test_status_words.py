# SPDX-License-Identifier: Apache-2.0
"""Status words: each has words, advice, a category and a source; each value finds its row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card.errors import CardError, status_error
from card.status_words import STATUS_WORDS, Category, Outcome, StatusWord, describe, retries_left


@pytest.mark.parametrize("row", STATUS_WORDS, ids=lambda row: f"{row.value:04X}")
def test_row_is_complete(row: StatusWord) -> None:
    """Each row has a meaning in two languages, a source, and advice unless nothing is to do."""
    assert row.meaning.zh
    assert row.meaning.en
    assert row.source
    assert bool(row.advice.zh) == bool(row.advice.en)
    assert isinstance(row.category, Category)
    assert row.mask & row.value == row.value


@pytest.mark.parametrize("category", Category, ids=lambda category: category.value)
def test_category_is_used_and_labelled(category: Category) -> None:
    """Each category has words and at least one status word."""
    assert category.label.zh
    assert category.label.en
    assert any(row.category is category for row in STATUS_WORDS)


def test_no_two_rows_have_the_same_value() -> None:
    """A status word has one meaning."""
    values = [(row.value, row.mask) for row in STATUS_WORDS]

    assert len(set(values)) == len(values)


@pytest.mark.parametrize(
    ("sw", "left"), [(0x63C0, 0), (0x63CF, 15), (0x6983, 0), (0x9303, 0), (0x6982, None)]
)
def test_attempts_left_are_told_where_the_card_tells(sw: int, left: int | None) -> None:
    """63Cx counts down; blocked means none; other words say nothing."""
    assert retries_left(sw) == left
    assert describe(sw).retries_left == left
    assert status_error(sw, 0x20).retries_left == left


@pytest.mark.parametrize(
    ("sw", "category"),
    [
        (0x9000, Category.OK),
        (0x6281, Category.WARN),
        (0x63C1, Category.RETRYABLE),
        (0x6400, Category.RETRYABLE),
        (0x6901, Category.RETRYABLE),
        (0x6983, Category.CARD_BLOCKED),
        (0x6581, Category.CARD_BLOCKED),
        (0x9402, Category.CARD_BLOCKED),
        (0x6A82, Category.REFUSED),
        (0x6700, Category.OUR_BUG),
    ],
)
def test_categories_tell_programs_what_to_do(sw: int, category: Category) -> None:
    """The category is what one would do about it."""
    assert describe(sw).category is category


@given(st.integers(0, 0xFFFF))
def test_any_status_word_is_described(sw: int) -> None:
    """Whatever a card says, there is a row, and an error with both languages and that fact."""
    row = describe(sw)
    error = status_error(sw, 0xB0)

    assert row.meaning.zh
    assert isinstance(row.outcome, Outcome)
    assert isinstance(error, CardError)
    assert error.sw == sw
    assert f"{sw:04X}" in str(error)
