# SPDX-License-Identifier: Apache-2.0
"""Which page of a list a reader asks for."""

from __future__ import annotations

from flask import request

PAGE_MAX = 100_000  # beyond any list; keeps the offset inside the database's integers


def page_number() -> int:
    """Return the page asked for, the first when the address says nothing sensible."""
    asked = request.args.get("page", default=1, type=int) or 1
    return min(max(asked, 1), PAGE_MAX)
