# SPDX-License-Identifier: Apache-2.0
"""What the relay refuses, and how it says so: problem documents (RFC 9457) in two languages."""

from __future__ import annotations

import json
from typing import Any

from card.errors import CardError, CardRemoved, NoCard

PROBLEM_TYPE = "application/problem+json"


class Refusal(Exception):
    """An answer other than success: HTTP status, stable kind, one sentence in each language.

    >>> Refusal(401, "not-paired", "尚未配对", "not paired").document()["type"]
    'urn:yika:problem:not-paired'
    """

    def __init__(self, status: int, kind: str, zh: str, en: str, **facts: Any) -> None:
        super().__init__(en)
        self.status = status
        self.kind = kind
        self.zh = zh
        self.en = en
        self.facts = facts

    def document(self) -> dict[str, Any]:
        """Return the members of the problem document."""
        return {
            "type": f"urn:yika:problem:{self.kind}",
            "title": self.kind.replace("-", " "),
            "status": self.status,
            "detail": self.en,
            "detail_zh": self.zh,
            **self.facts,
        }

    def to_json(self) -> bytes:
        """Return the document as UTF-8 JSON."""
        return json.dumps(self.document(), ensure_ascii=False).encode()


def of_card(error: CardError) -> Refusal:
    """Say what went wrong at the reader: 410 when the card left, 404 without one, else 502."""
    status = 502
    if isinstance(error, CardRemoved):
        status = 410
    elif isinstance(error, NoCard):
        status = 404
    kind = {410: "card-removed", 404: "no-card"}.get(status, "reader-failed")
    meaning, advice = error.meaning, error.advice
    return Refusal(
        status, kind, f"{meaning.zh}；{advice.zh}", f"{meaning.en}; {advice.en}", code=error.code
    )


def malformed(field: str) -> Refusal:
    """Refuse a request whose field does not fit."""
    return Refusal(422, "malformed", f"字段 {field} 不合要求", f"{field} does not fit", field=field)
