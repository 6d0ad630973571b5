# SPDX-License-Identifier: Apache-2.0
"""File layouts: every declared vector, every record type, and what does not fit."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.bcd import date_from_bcd
from card.codec import Layout
from card.errors import LayoutError
from card.files import VOLUNTEER, FileKind
from card.layouts import (
    COMPOSITE,
    FLAG_LABELS,
    HOLDER_DATA,
    NO_TAP,
    PHOTO_HEAD,
    PUBLIC_DATA,
    SERVICE_DATA,
    Composite,
    Function,
    Membership,
)

LAYOUTS = [spec.layout for spec in VOLUNTEER.files if spec.layout is not None]
VECTORS = [(layout, *vector) for layout in LAYOUTS for vector in layout.vectors]


@pytest.mark.parametrize(("layout", "coded", "value"), VECTORS)
def test_vector_parses_and_builds(layout: Layout[Any], coded: str, value: object) -> None:
    """Each vector reads as its value, and the value codes to the vector."""
    data = bytes.fromhex(coded)

    assert value == layout.parse(data)
    assert data == layout.build(value)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.title)
def test_layout_is_complete(layout: Layout[Any]) -> None:
    """Fields of table and record agree, all have labels in two languages, and a vector exists."""
    names = tuple(field.name for field in layout.fields if field.name is not None)

    assert names == layout.field_names()
    assert all(field.label.zh and field.label.en for field in layout.fields)
    assert layout.vectors


def test_layouts_fill_their_files() -> None:
    """A transparent file is exactly as big as its layout, a counted record as its record."""
    by_kind = {
        FileKind.TRANSPARENT: lambda spec: spec.size,
        FileKind.CYCLIC: lambda spec: spec.record_bytes,
    }
    measured = [spec for spec in VOLUNTEER.files if spec.kind in by_kind and spec.fid != 0x001B]

    assert [spec.layout.size for spec in measured if spec.layout] == [
        by_kind[spec.kind](spec) for spec in measured
    ]


def test_a_photo_fits_behind_its_head() -> None:
    """File 001B has room for the head and 1.5 KB of JPEG."""
    assert VOLUNTEER.file(0x001B).size == PHOTO_HEAD.size + 1536


def test_a_card_of_version_1_reads_as_having_no_later_fields() -> None:
    """Zeros where version 2 has fields read as no date, no number, no minutes."""
    old = SERVICE_DATA.parse(bytes.fromhex(SERVICE_DATA.vectors[0][0]))

    assert (old.totals_date, old.total_taps, old.training_minutes) == (None, 0, 0)
    assert old.guardian_number == ""
    assert {spec.fid for spec in VOLUNTEER.files_of(1)} == {0x15, 0x16, 0x17, 0x18, 0x19, 0x02}


@pytest.mark.parametrize("flag", [*Membership, *Function], ids=lambda flag: flag.name)
def test_flag_is_labelled(flag: enum.IntFlag) -> None:
    """Each membership and function has a name in two languages and a bit of its own byte."""
    assert FLAG_LABELS[flag].zh
    assert FLAG_LABELS[flag].en
    assert 0 < flag < 256


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.title)
def test_another_size_is_refused(layout: Layout[Any]) -> None:
    """One byte too few or too many is an error, not a guess."""
    data = bytes.fromhex(layout.vectors[0][0])

    for wrong in (data[:-1], data + b"\x00"):
        with pytest.raises(LayoutError):
            layout.parse(wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"masked_name": "名" * 11},
        {"masked_name": "\ud800"},
        {"flags": 256},
        {"asn": bytes(9)},
    ],
)
def test_values_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    """A value too long or out of range is refused, and the message does not repeat it."""
    value = dataclasses.replace(PUBLIC_DATA.vectors[0][1], **change)

    with pytest.raises(LayoutError) as caught:
        PUBLIC_DATA.build(value)

    assert "名" not in str(caught.value)


def test_an_error_says_which_field_and_where() -> None:
    """What does not decode is named with its offset, and its bytes are not repeated."""
    data = bytearray.fromhex(PUBLIC_DATA.vectors[0][0])
    data[20:24] = bytes.fromhex("20261399")

    with pytest.raises(LayoutError) as caught:
        PUBLIC_DATA.parse(bytes(data))
    with pytest.raises(LayoutError) as short:
        PUBLIC_DATA.parse(bytes(data[:7]))

    assert caught.value.offset == 20
    assert "valid_from" in str(caught.value)
    assert "20261399" not in str(caught.value)
    assert short.value.offset == 7


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.title)
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_bytes_are_a_value_or_a_typed_error(layout: Layout[Any], data: st.DataObject) -> None:
    """Whatever a file holds reads as a value that codes to the same, or fails with an offset."""
    raw = data.draw(st.binary(min_size=layout.size, max_size=layout.size))
    try:
        value = layout.parse(raw)
    except LayoutError as error:
        offset = error.offset
    else:
        offset = 0
        again = layout.parse(layout.build(value))
        assert again == value

    assert offset is not None


def test_names_do_not_appear_in_representations() -> None:
    """Printing a record shows neither name nor document nor mobile number."""
    shown = repr(HOLDER_DATA.vectors[0][1]) + repr(PUBLIC_DATA.vectors[0][1])

    assert "王" not in shown
    assert "12345X" not in shown


@pytest.mark.parametrize("coded", ["20261301", "20260230", "2026AA01", "00000001"])
def test_bytes_that_are_no_date_are_refused(coded: str) -> None:
    """A date on a card must exist."""
    with pytest.raises(LayoutError):
        date_from_bcd(bytes.fromhex(coded))


def test_a_foreign_composite_record_is_refused() -> None:
    """Another tag or length is not a composite record."""
    for head in ("AB1E", "AA1F"):
        with pytest.raises(LayoutError):
            Composite.from_bytes(bytes.fromhex(head + "00" * 30))


def test_an_empty_composite_record_means_no_tap() -> None:
    """Personalisation writes a record of kind 0."""
    assert NO_TAP.to_bytes().hex() == "aa1e" + "00" * 30


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Composite,
        kind=st.integers(0, 255),
        tz_q=st.integers(-128, 127),
        psam_no=st.binary(min_size=6, max_size=6),
        psam_seq=st.integers(0, 2**32 - 1),
        card_rand=st.binary(min_size=4, max_size=4),
        card_ctr=st.integers(0, 65_535),
        utc_s=st.integers(0, 2**32 - 1),
        activity=st.integers(0, 2**32 - 1),
    )
)
def test_any_composite_record_survives_its_coding(record: Composite) -> None:
    """Coding and reading are inverse for every record."""
    assert record == COMPOSITE.parse(COMPOSITE.build(record))


def test_the_last_day_of_a_month_is_a_date() -> None:
    """Dates at the edges of the calendar survive."""
    assert date_from_bcd(bytes.fromhex("20281231")) == dt.date(2028, 12, 31)
