# SPDX-License-Identifier: Apache-2.0
"""The tree of regions: read a table of codes, check the whole of it, then store it.

`regions.csv` beside this module holds all provinces, the cities of Guangdong, Hubei, Jiangsu and
Shandong, the counties of Nanjing, Qingdao, Xianning and Shenzhen, and the streets of Futian, as
published by the National Bureau of Statistics (统计用区划代码, 2023; GB/T 2260). A full table is
loaded the same way.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.people import audit
from server.structure.models import Region
from server.structure.policy import level, parent

SHIPPED = Path(__file__).with_name("regions.csv")
COLUMNS = ("code", "name_zh", "name_en")
# The whole country has some 45 000 regions down to towns and streets, of some forty bytes each.
FILE_BYTES_MAX = 8 * 1024 * 1024
LINES_MAX = 100_000
NAME_MAX = 64
FAULTS_SHOWN = 50  # more nobody repairs in one go
PIECE = 500  # rows written or asked for at a time


@dataclass(frozen=True, slots=True)
class Row:
    """One region of a file."""

    code: str
    name_zh: str
    name_en: str


@dataclass(frozen=True)
class Sheet:
    """A file as read: good rows, and what is wrong, by line."""

    rows: list[Row] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What loading a table did, or would do."""

    added: int
    changed: int
    same: int


def read(content: bytes, known: frozenset[str] = frozenset()) -> Sheet:
    r"""Read a CSV table; `known` are codes already stored, under which regions may hang.

    Never raises for what the file holds: every fault is told with its line.

    >>> read(b"code,name_zh,name_en\n440305,Nanshan,Nanshan\n").faults
    ['第 2 行 line 2: 440305 的上级 440300 不在表中 · its parent is missing']
    """
    sheet = Sheet()
    if len(content) > FILE_BYTES_MAX:
        sheet.faults.append(f"文件太大 · more than {FILE_BYTES_MAX} bytes")
        return sheet
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        sheet.faults.append(f"第 {line} 行 line {line}: 不是 UTF-8 · not UTF-8")
        return sheet
    _read_lines(sheet, text, known)
    return sheet


def _read_lines(sheet: Sheet, text: str, known: frozenset[str]) -> None:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    where: dict[str, int] = {}
    try:
        header = next(reader, [])
        if tuple(header) != COLUMNS:
            sheet.faults.append(
                f"第 1 行 line 1: 表头须为 {','.join(COLUMNS)} · the header differs"
            )
            return
        for cells in reader:
            if reader.line_num > LINES_MAX:
                sheet.faults.append(f"超过 {LINES_MAX} 行 · more than {LINES_MAX} lines")
                return
            _read_line(sheet, cells, reader.line_num, where)
    except csv.Error as error:
        line = reader.line_num
        sheet.faults.append(f"第 {line} 行 line {line}: {error}")
        return
    for code, line in where.items():
        above = parent(code)
        if above and above not in where and above not in known:
            sheet.faults.append(
                f"第 {line} 行 line {line}: {code} 的上级 {above} 不在表中 · its parent is missing"
            )


def _read_line(sheet: Sheet, cells: Sequence[str], line: int, where: dict[str, int]) -> None:
    if not cells:
        return
    fault = _fault(cells, where)
    if fault:
        sheet.faults.append(f"第 {line} 行 line {line}: {fault}")
        return
    code, name_zh, name_en = (cell.strip() for cell in cells)
    where[code] = line
    sheet.rows.append(Row(code, name_zh, name_en))


def _fault(cells: Sequence[str], where: dict[str, int]) -> str | None:
    if len(cells) != len(COLUMNS):
        return f"应有 {len(COLUMNS)} 列 · {len(COLUMNS)} columns are expected, not {len(cells)}"
    code, name_zh, name_en = (cell.strip() for cell in cells)
    if level(code) is None:
        return f"区划代码不对 {code[:16]!r} · not a code of 6 or 9 digits"
    if code in where:
        return f"{code} 与第 {where[code]} 行重复 · is in line {where[code]} already"
    if not 0 < len(name_zh) <= NAME_MAX or len(name_en) > NAME_MAX:
        return f"名称为空或超过 {NAME_MAX} 字 · a name has 1 to {NAME_MAX} characters"
    return None


def load(
    session: Session, content: bytes, actor: str, now_ms: int, *, dry_run: bool = False
) -> Outcome:
    """Add and change regions by a table; the whole of it or nothing.

    Raises:
        Refused: the file has faults; the text names the first of them by line.
    """
    stored = {row.code: row for row in session.scalars(sa.select(Region))}
    sheet = read(content, frozenset(stored))
    if sheet.faults:
        shown = "\n".join(sheet.faults[:FAULTS_SHOWN])
        count = len(sheet.faults)
        raise Refused(
            "regions", f"{count} 处错误，未写入:\n{shown}", f"{count} faults, nothing was written"
        )
    outcome = _compare(sheet.rows, stored)
    if dry_run:
        return outcome
    fresh = []
    for row in sheet.rows:
        found = stored.get(row.code)
        if found is None:
            fresh.append(_values(row))
        else:
            found.name_zh, found.name_en, found.retired_ms = row.name_zh, row.name_en, None
    for start in range(0, len(fresh), PIECE):
        session.execute(sa.insert(Region), fresh[start : start + PIECE])
    audit.record(
        session, now_ms, actor, "regions.loaded", "regions",
        added=outcome.added, changed=outcome.changed,
    )  # fmt: skip
    return outcome


def _compare(rows: Sequence[Row], stored: dict[str, Region]) -> Outcome:
    added = sum(row.code not in stored for row in rows)
    same = sum(
        row.code in stored
        and (stored[row.code].name_zh, stored[row.code].name_en) == (row.name_zh, row.name_en)
        and stored[row.code].retired_ms is None
        for row in rows
    )
    return Outcome(added, len(rows) - added - same, same)


def _values(row: Row) -> dict[str, object]:
    return {
        "code": row.code,
        "level": level(row.code),
        "parent": parent(row.code) or None,
        "name_zh": row.name_zh,
        "name_en": row.name_en,
    }


def find(session: Session, code: str) -> Region:
    """Return a region that is in use, or refuse."""
    found = session.get(Region, code)
    if found is None or found.retired_ms is not None:
        raise Refused(
            "unknown-region",
            f"没有区划 {code}；先用 yika-server region load 载入",
            f"no region {code}: load a table with yika-server region load",
        )
    return found


def below(session: Session, code: str) -> list[Region]:
    """Return the regions one level below a region, the provinces for "", by code."""
    above = Region.parent == code if code else Region.parent.is_(None)
    statement = sa.select(Region).where(above, Region.retired_ms.is_(None))
    return list(session.scalars(statement.order_by(Region.code)))


def title(session: Session, code: str) -> tuple[str, str]:
    """Return the names of a region and those above it, Chinese and English; the code without any.

    Municipalities repeat nothing: levels that the table does not have are left out.
    """
    codes = [code]
    while above := parent(codes[0]):
        codes.insert(0, above)
    found = {
        row.code: row for row in session.scalars(sa.select(Region).where(Region.code.in_(codes)))
    }
    known = [found[each] for each in codes if each in found]
    if not known:
        return code, code
    english = ", ".join(row.name_en or row.name_zh for row in reversed(known))
    return "".join(row.name_zh for row in known), english
