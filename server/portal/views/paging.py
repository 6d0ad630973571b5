# SPDX-License-Identifier: Apache-2.0
"""Which page of a list a reader asks for."""

from __future__ import annotations

from flask import request

PAGE_MAX = 100_000  # beyond any list; keeps the offset inside the database's integers
DIGITS_MAX = 18  # of a row's number: inside the database's integers


def page_number() -> int:
    """Return the page asked for, the first when the address says nothing sensible."""
    asked = request.args.get("page", default=1, type=int) or 1
    return min(max(asked, 1), PAGE_MAX)


def row_number(asked: str) -> int:
    """Return the number of a row that an address or form names, 0 when it says nothing sensible.

    >>> row_number("12"), row_number(""), row_number("-1"), row_number("9" * 19)
    (12, 0, 0, 0)
    """
    return int(asked) if asked.isdecimal() and len(asked) <= DIGITS_MAX else 0
