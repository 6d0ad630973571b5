# SPDX-License-Identifier: Apache-2.0
"""The hash over one line of the audit trail and all before it. Pure: no clock, no database.

    hash(0) = 32 zero bytes
    hash(n) = SHA-256("yika/audit/1" 00 ‖ hash(n-1) ‖ n (8) ‖ canonical JSON of the line)

The canonical JSON is UTF-8 with sorted keys and without spaces.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

CONTEXT = b"yika/audit/1\0"
GENESIS = bytes(32)


@dataclass(frozen=True, slots=True)
class Line:
    """One line as the database holds it."""

    id: int
    at_ms: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


def canonical(line: Line) -> bytes:
    """Return the one byte form of a line.

    >>> canonical(Line(1, 2, "li", "site.added", "site:3", {"b": 1, "a": "x"}))
    b'{"action":"site.added","actor":"li","at_ms":2,"detail":{"a":"x","b":1},"id":1,"subject":"site:3"}'
    """
    document = asdict(line)
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def link_hash(before: bytes, number: int, line: Line) -> bytes:
    """Return the hash that stands for the trail up to line `number`.

    >>> link_hash(GENESIS, 1, Line(1, 2, "li", "a", "b", {})).hex()[:16]
    '00d90c12f557708f'
    """
    return hashlib.sha256(CONTEXT + before + number.to_bytes(8) + canonical(line)).digest()
