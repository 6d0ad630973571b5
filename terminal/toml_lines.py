# SPDX-License-Identifier: Apache-2.0
"""Find the line of a TOML file where a key or a table stands; the parser does not tell it."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

VALUE_LINES_MAX = 50  # a value that runs over more lines is named by its file alone
CANDIDATES_MAX = 200  # lines that hold the word; in more of them nobody finds it either


def line_of(text: str, path: Sequence[str]) -> int | None:
    r"""Return the number of the line, from 1, after which `path` first exists; None if unsure.

    A key may be written in many ways (dotted, quoted, in an inline table), so the parser itself
    decides: it is the first line that, with everything before it, gives a document with the key.

    >>> line_of("[server]\n# port = 0\nport = 1\n", ("server", "port"))
    3
    """
    lines = text.splitlines()
    words = [number for number, line in enumerate(lines) if path[-1] in line]
    for number in words[:CANDIDATES_MAX]:
        for end in range(number + 1, min(number + 1 + VALUE_LINES_MAX, len(lines) + 1)):
            document = _parsed(lines[:end])
            if document is None:
                continue
            if _has(document, path):
                return number + 1
            break
    return None


def _parsed(lines: Sequence[str]) -> dict[str, Any] | None:
    try:
        return tomllib.loads("\n".join(lines) + "\n")
    except tomllib.TOMLDecodeError:
        return None


def _has(document: object, path: Sequence[str]) -> bool:
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return False
        document = document[name]
    return True
