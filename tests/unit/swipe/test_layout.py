# SPDX-License-Identifier: Apache-2.0
"""struct, construct, numpy and dataclass are four readings of one table."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swipe.batch import BATCH_LAYOUT, BatchHeader
from swipe.errors import FieldError, WrongLength
from swipe.event import ANSWER_LAYOUT, EVENT_LAYOUT, Event
from swipe.frames import FILE_LAYOUT
from swipe.layout import Field, Layout
from swipe.payloads import PAYLOADS
from swipe.receipt import RECEIPT_LAYOUT, Receipt

RECORDS = [(EVENT_LAYOUT, Event), (BATCH_LAYOUT, BatchHeader), (RECEIPT_LAYOUT, Receipt)]
LAYOUTS = [EVENT_LAYOUT, BATCH_LAYOUT, RECEIPT_LAYOUT, FILE_LAYOUT, ANSWER_LAYOUT]
LAYOUTS += list(PAYLOADS.values())


def _id(value: Any) -> str:
    return str(getattr(value, "name", value))


@pytest.mark.parametrize(("layout", "record"), RECORDS, ids=_id)
def test_dataclass_has_the_fields_of_the_table(layout: Layout, record: Any) -> None:
    """No field stands in the class or in the table alone."""
    assert {field.name for field in dataclasses.fields(record)} == set(layout.names)


@pytest.mark.parametrize("layout", LAYOUTS, ids=_id)
def test_numpy_has_the_offsets_of_the_table(layout: Layout) -> None:
    """Every field begins in numpy where it begins in the table, without padding."""
    offsets = {name: layout.dtype.fields[name][1] for name in layout.names}  # type: ignore[index]

    assert offsets == {name: layout.span(name)[0] for name in layout.names}
    assert layout.dtype.itemsize == layout.size == layout.construct.sizeof()


@pytest.mark.parametrize("layout", LAYOUTS, ids=_id)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_all_readings_agree(layout: Layout, data: st.DataObject) -> None:
    """Random bytes read by struct, construct and numpy are the same values, and pack back."""
    raw = data.draw(st.binary(min_size=layout.size, max_size=layout.size))

    by_struct = layout.unpack(raw)
    by_construct = layout.construct.parse(raw)
    by_numpy = np.frombuffer(raw, dtype=layout.dtype)[0]

    for field in layout.fields:
        value = by_struct[field.name]
        assert by_construct[field.name] == value
        seen = by_numpy[field.name]
        assert (seen.tobytes() if field.is_bytes else int(seen)) == value
    assert layout.pack(by_struct) == raw
    assert layout.construct.build(by_struct) == raw


@pytest.mark.parametrize(("layout", "record"), RECORDS, ids=_id)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_dataclass_round_trip(layout: Layout, record: Any, data: st.DataObject) -> None:
    """Any bytes of the right length come back unchanged through the class."""
    raw = data.draw(st.binary(min_size=layout.size, max_size=layout.size))

    assert record.from_bytes(raw).to_bytes() == raw


@pytest.mark.parametrize(("layout", "record"), RECORDS, ids=_id)
@pytest.mark.parametrize("change", [-1, 1])
def test_other_lengths_are_refused(layout: Layout, record: Any, change: int) -> None:
    """One byte less or more is refused with both lengths."""
    with pytest.raises(WrongLength, match=f"expected {layout.size}"):
        record.from_bytes(bytes(layout.size + change))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"a": 256, "b": b"xy"}, "a"),
        ({"a": -1, "b": b"xy"}, "a"),
        ({"a": 1, "b": b"x"}, "b"),
        ({"a": 1, "b": b"xyz"}, "b"),
    ],
)
def test_misfits_are_named(values: dict[str, Any], field: str) -> None:
    """A value that does not fit is refused by its field, never cut."""
    layout = Layout("pair", (Field("a", "B"), Field("b", "2s")))

    with pytest.raises(FieldError) as caught:
        layout.pack(values)

    assert caught.value.field == field


def test_field_at_names_the_byte() -> None:
    """Each offset belongs to the field whose span holds it."""
    for name in EVENT_LAYOUT.names:
        low, high = EVENT_LAYOUT.span(name)
        assert {EVENT_LAYOUT.field_at(at) for at in range(low, high)} == {name}
