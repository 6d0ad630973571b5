# SPDX-License-Identifier: Apache-2.0
"""Read the tables of docs/demo-day.md: the page people read is what the run plays and compares."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

PAGE = Path(__file__).parents[2] / "docs" / "demo-day.md"
DAY = dt.date(2026, 10, 17)  # a Saturday
ZONE = ZoneInfo("Asia/Shanghai")
NOTHING = "–"

Row = dict[str, str]


class DocumentError(ValueError):
    """The page does not hold what the run needs."""


def read_tables(text: str) -> dict[str, list[Row]]:
    r"""Return each section's table: heading (up to " · ") → rows, each column name → cell.

    >>> read_tables("## Cast · x\n\n| who | born |\n|---|---|\n| V01 | – |\n")
    {'Cast': [{'who': 'V01', 'born': ''}]}
    """
    tables: dict[str, list[Row]] = {}
    section = ""
    columns: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## "):
            section, columns = line[3:].split(" · ")[0].strip(), []
        if not line.startswith("|"):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not columns:
            columns, tables[section] = cells, []
        elif not set(line) <= set("|-: "):
            if len(cells) != len(columns):
                raise DocumentError(f"line {number}: {len(cells)} cells for {len(columns)} columns")
            values = ("" if cell == NOTHING else cell for cell in cells)
            tables[section].append(dict(zip(columns, values, strict=True)))
    return tables


def instant_ms(text: str) -> int:
    """Return the UTC milliseconds of a time of the day; "+" in front means the next morning.

    >>> instant_ms("07:30:00"), instant_ms("+07:00:00") - instant_ms("07:30:00")
    (1792193400000, 84600000)
    """
    day = DAY + dt.timedelta(days=text.startswith("+"))
    clock = dt.time.fromisoformat(text.removeprefix("+"))
    return int(dt.datetime.combine(day, clock, ZONE).timestamp() * 1000)


def clock_text(utc_ms: int) -> str:
    """Return the wall clock of the site, hours to seconds.

    >>> clock_text(1792193400000)
    '07:30:00'
    """
    return f"{dt.datetime.fromtimestamp(utc_ms / 1000, ZONE):%H:%M:%S}"
