# SPDX-License-Identifier: Apache-2.0
"""Document numbers: each kind by its own form, and the exact thing that is wrong."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.applications.documents import Document, DocumentKind, birth_of, fault_of, normal
from tests.unit.server.applications.forms import mainland_id

TODAY = dt.date(2026, 11, 22)
RIGHT = "11010519491231002X"  # the worked example of GB 11643-1999


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (RIGHT, None),
        ("44052418800101001", "document-length"),
        ("1101051949123100", "document-length"),
        ("11010519491231002Y", "document-characters"),
        ("1101051949123100XX", "document-characters"),
        ("99010519491231002X", "document-region"),
        ("81010519491231002X", "document-region"),
        ("11010519490230002X", "document-date"),
        ("11010518991231002X", "document-date"),
        (mainland_id("20261123"), "document-future"),
        ("110105194912310021", "document-check"),
        ("110105194912310020", "document-check"),
    ],
)
def test_s48_the_exact_fault_of_a_mainland_number_is_named(number: str, code: str | None) -> None:
    """Length, characters, region, date and check digit of GB 11643 each have their own answer."""
    fault = fault_of(Document(DocumentKind.MAINLAND_ID, number), TODAY)

    assert (fault.code if fault else None) == code
    assert fault is None or number not in fault.zh + fault.en


@settings(max_examples=40)
@given(
    st.dates(dt.date(1900, 1, 1), TODAY), st.integers(0, 999), st.integers(0, 16), st.integers(1, 9)
)
def test_s48_one_wrong_digit_of_a_mainland_number_is_always_found(
    birth: dt.date, order: int, place: int, shift: int
) -> None:
    """Any right number is taken with its birth date; with any one digit changed it is refused."""
    number = mainland_id(f"{birth:%Y%m%d}", order)
    wrong = list(number)
    wrong[place] = str((int(wrong[place]) + shift) % 10)

    document = Document(DocumentKind.MAINLAND_ID, number)
    assert fault_of(document, TODAY) is None
    assert birth_of(document) == birth
    assert fault_of(Document(DocumentKind.MAINLAND_ID, "".join(wrong)), TODAY) is not None


@pytest.mark.parametrize(
    ("kind", "number", "good"),
    [
        (DocumentKind.HK_MACAO_PERMIT, "H12345678", True),
        (DocumentKind.HK_MACAO_PERMIT, "M1234567801", True),
        (DocumentKind.HK_MACAO_PERMIT, "T12345678", False),
        (DocumentKind.HK_MACAO_PERMIT, "H1234567", False),
        (DocumentKind.TAIWAN_PERMIT, "12345678", True),
        (DocumentKind.TAIWAN_PERMIT, "1234567890B", True),
        (DocumentKind.TAIWAN_PERMIT, "1234567", False),
        (DocumentKind.PASSPORT, "E12345678", True),
        (DocumentKind.PASSPORT, "EA1234567", True),
        (DocumentKind.PASSPORT, "ABCDEFGHI", False),
        (DocumentKind.PASSPORT, "E1234_678", False),
        (DocumentKind.PASSPORT, "E123456789", False),
        (DocumentKind.HMT_RESIDENCE, mainland_id(region="810000"), True),
        (DocumentKind.HMT_RESIDENCE, mainland_id(region="440304"), False),
        (DocumentKind.PERMANENT_RESIDENCE, "DEU123456789012", True),
        (DocumentKind.PERMANENT_RESIDENCE, mainland_id(region="911440"), True),
        (DocumentKind.PERMANENT_RESIDENCE, mainland_id(region="440304"), False),
    ],
)
def test_s48_other_documents_have_their_own_forms(
    kind: DocumentKind, number: str, good: bool
) -> None:
    """Permits of Hong Kong, Macao and Taiwan, residence cards and passports are each allowed."""
    fault = fault_of(Document(kind, normal(number)), TODAY)

    assert (fault is None) == good


def test_a_document_keeps_its_number_to_itself() -> None:
    """Nothing that prints a document prints its number."""
    assert RIGHT not in repr(Document(DocumentKind.MAINLAND_ID, RIGHT))
