# SPDX-License-Identifier: Apache-2.0
"""The list of a batch: every fault of every line at once, and no value in a message."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from card.batch_rows import BatchRefused, RowFault, card_data_of, read_batch
from card.files import PHOTO_BYTES_MAX
from keys.algorithm import Algorithm

GOOD: dict[str, Any] = {
    "asn": "00000000000000000017",
    "valid_from": "2026-11-01",
    "valid_to": "2031-10-31",
    "masked_name": "王**",
    "name": "王小明",
    "volunteer_number": "1000000004",
}


def _lines(folder: Path, *rows: object) -> Path:
    path = folder / "box.jsonl"
    text = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("\n".join(text), encoding="utf-8")
    return path


def test_json_lines_and_csv_say_the_same(tmp_path: Path) -> None:
    """A list from a spreadsheet, with its byte order mark, reads as one in JSON lines."""
    more = {**GOOD, "minor_rules": "是", "birth_date": "2014-05-01", "level": "2"}
    table = tmp_path / "box.csv"
    table.write_text(
        ",".join(more) + "\n" + ",".join(str(value) for value in more.values()) + "\n",
        encoding="utf-8-sig",
    )

    (from_table,) = read_batch(table)
    (from_lines,) = read_batch(_lines(tmp_path, {**more, "minor_rules": True, "level": 2}))

    assert from_table.data == from_lines.data
    assert from_table.data.minor_rules
    assert (from_table.line, from_lines.line) == (2, 1)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """Line and field of each fault, in one go."""
    path = _lines(
        tmp_path,
        GOOD,
        {**GOOD, "asn": "00000000000000000025", "valid_to": "2031-13-31"},
        "{",
        {**GOOD, "asn": "0000000000000000003A"},
        {**GOOD, "asn": "00000000000000000041", "name": "名" * 21},
        GOOD,
        {key: value for key, value in GOOD.items() if key != "volunteer_number"},
        {**GOOD, "asn": "00000000000000000058", "colour": "blue"},
        [1],
    )

    with pytest.raises(BatchRefused) as caught:
        read_batch(path)

    assert [(fault.line, fault.field) for fault in caught.value.faults] == [
        (2, "valid_to"), (3, ""), (4, "asn"), (5, "0016"), (6, "asn"),
        (7, "volunteer_number"), (8, ""), (9, ""),
    ]  # fmt: skip
    assert "名" not in str(caught.value).replace("名单", "")
    assert "blue" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "\n\n", "asn,asn\n1,2\n", "asn,name\n1\n", "asn,name\n1,2,3\n", 'asn\n"x\n']
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """Empty, a column twice, too many or too few columns, an open quote."""
    path = tmp_path / "box.csv"
    path.write_text(text)

    with pytest.raises(BatchRefused):
        read_batch(path)


def test_a_list_in_another_coding_is_refused(tmp_path: Path) -> None:
    """A table saved as GB18030 says so instead of putting wrong names onto cards."""
    path = tmp_path / "box.csv"
    path.write_bytes("asn,name\n1,王\n".encode("gb18030"))

    with pytest.raises(BatchRefused) as caught:
        read_batch(path)
    assert caught.value.faults[0].reason == "not UTF-8"


def test_a_photo_is_derived_while_the_list_is_checked(tmp_path: Path) -> None:
    """A registration photo beside the list becomes the chip's; a bad one is a fault of its line."""
    coded = io.BytesIO()
    Image.effect_noise((413, 578), 50).save(coded, "JPEG")
    (tmp_path / "17.jpg").write_bytes(coded.getvalue())
    (tmp_path / "bad.jpg").write_bytes(b"GIF89a")

    data = card_data_of({**GOOD, "photo": "17.jpg"}, tmp_path)
    assert 0 < len(data.photo) <= PHOTO_BYTES_MAX
    for name in ("bad.jpg", "none.jpg", "../17.jpg", "/etc/hostname"):
        with pytest.raises(RowFault) as caught:
            card_data_of({**GOOD, "photo": name}, tmp_path)
        assert caught.value.field == "photo"


def test_the_algorithm_of_the_keys_is_part_of_the_list(tmp_path: Path) -> None:
    """A list may ask for SM4 cards; another word is a fault."""
    assert card_data_of({**GOOD, "algorithm": "SM4"}, tmp_path).algorithm is Algorithm.SM4
    with pytest.raises(RowFault):
        card_data_of({**GOOD, "algorithm": "rot13"}, tmp_path)


values = st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.lists(st.integers())


@given(
    raw=st.dictionaries(
        st.sampled_from([*GOOD, "minor_rules", "level", "photo", "organisation", "x"]), values
    )
)
def test_any_values_give_data_or_a_fault(raw: dict[str, Any]) -> None:
    """Nothing else than the fault leaves the check, and it shows no value."""
    with contextlib.suppress(RowFault):
        assert card_data_of({**GOOD, **raw}, Path("/nonexistent")).asn
