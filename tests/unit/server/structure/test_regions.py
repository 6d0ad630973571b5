# SPDX-License-Identifier: Apache-2.0
"""The tree of regions: the shipped table, faults by line, loading again, dry run."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from server.errors import Refused
from server.structure import regions
from server.structure.models import Region
from server.structure.policy import level, parent
from tests.unit.server.structure.conftest import NOW_MS, Country

HEADER = "code,name_zh,name_en\n"
CITY = "110000,北京市,Beijing\n110100,市辖区,Municipal districts\n"


def test_shipped_table_is_a_tree_of_four_levels() -> None:
    """The table that comes along has no fault and reaches from province to street."""
    sheet = regions.read(regions.SHIPPED.read_bytes())

    assert sheet.faults == []
    codes = {row.code for row in sheet.rows}
    assert {level(code) for code in codes} == {1, 2, 3, 4}
    assert all(not parent(code) or parent(code) in codes for code in codes)
    assert sum(level(code) == 1 for code in codes) == 34


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("code,name\n", 1, "header"),
        (HEADER + CITY + "1101,东城区,Dongcheng\n", 4, "not a code"),
        (HEADER + CITY + "110101,东城区\n", 4, "columns"),
        (HEADER + CITY + "110100,市辖区,Again\n", 4, "line 3 already"),
        (HEADER + CITY + "110101,,Dongcheng\n", 4, "name"),
        (HEADER + "110101,东城区,Dongcheng\n" + CITY, None, None),
        (HEADER + CITY + "120101,和平区,Heping\n", 4, "parent"),
        (HEADER + CITY + '110101,"东城区,Dongcheng\n', 4, "unexpected end"),
    ],
)
def test_fault_is_told_by_its_line(text: str, line: int | None, says: str | None) -> None:
    """Each fault names its own line; the order of lines is free."""
    faults = regions.read(text.encode()).faults

    if says is None:
        assert faults == []
    else:
        assert len(faults) == 1
        assert f"line {line}" in faults[0]
        assert says in faults[0]


def test_bytes_that_are_no_text_are_told_by_line() -> None:
    """A file in another coding is refused with the first line that shows it."""
    content = HEADER.encode() + "110000,北京市,Beijing\n".encode("gb18030")

    assert "line 2" in regions.read(content).faults[0]


def test_file_with_a_fault_changes_nothing(country: Country) -> None:
    """Good lines beside a bad one are not stored."""
    before = country.session.scalars(sa.select(sa.func.count(Region.code))).one()

    with pytest.raises(Refused, match="第 4 行"):
        regions.load(
            country.session, (HEADER + "110000,北京,B\n110100,甲,A\nx,乙,B\n").encode(), "t", NOW_MS
        )

    assert country.session.scalars(sa.select(sa.func.count(Region.code))).one() == before


def test_dry_run_says_what_loading_would_do(country: Country) -> None:
    """A dry run counts and stores nothing; loading does the same; again it finds nothing to do."""
    text = HEADER + "440304,福田区,Futian District\n440304012,新街道,Xin\n"
    session = country.session

    foretold = regions.load(session, text.encode(), "t", NOW_MS, dry_run=True)
    assert session.get(Region, "440304012") is None

    assert regions.load(session, text.encode(), "t", NOW_MS) == foretold
    assert (foretold.added, foretold.changed, foretold.same) == (1, 1, 0)
    assert regions.load(session, text.encode(), "t", NOW_MS).same == 2
    assert regions.title(session, "440304012")[0] == "广东省深圳市福田区新街道"


def test_children_are_listed_one_level_at_a_time(country: Country) -> None:
    """Below nothing are the provinces, below a county its streets."""
    assert len(regions.below(country.session, "")) == 34
    assert {row.level for row in regions.below(country.session, "440304")} == {4}


def test_unknown_region_is_refused(country: Country) -> None:
    """A code that is well-formed but in no table is refused with what to do."""
    with pytest.raises(Refused, match="region load"):
        regions.find(country.session, "650100")
