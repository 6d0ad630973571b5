# SPDX-License-Identifier: Apache-2.0
"""What an audit found: which row of which table, which field, what it should be, what it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction; `row` names the row by its key, expected and found are text."""

    table: str
    row: str
    field: str
    expected: str
    found: str
    detail_zh: str = ""
    detail_en: str = ""

    @property
    def line(self) -> str:
        """Return one line for people."""
        told = f" · {self.detail_zh} {self.detail_en}" if self.detail_en else ""
        return (
            f"{self.table} [{self.row}] {self.field}: "
            f"应为 expected {self.expected}, 实为 found {self.found}{told}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the finding for machines."""
        return asdict(self)


def shown(value: object) -> str:
    """Write a value so that two different ones look different.

    >>> shown(bytes(2)), shown(7), shown(None)
    ('0000', '7', 'null')
    """
    if isinstance(value, (bytes, memoryview, bytearray)):
        return bytes(value).hex()
    return "null" if value is None else str(value)
