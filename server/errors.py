# SPDX-License-Identifier: Apache-2.0
"""Errors of the server and their HTTP form, RFC 9457 problem documents in Chinese and English.

ServerError
├── ConfigError       the configuration cannot be used
├── Refused           a rule says no; the text is for the person who asked
└── Problem           an HTTP answer other than success
"""

from __future__ import annotations

import json
from typing import Any

PROBLEM_TYPE = "application/problem+json"


class ServerError(Exception):
    """Base of everything the server raises on purpose."""


class ConfigError(ServerError):
    """The configuration cannot be used; the text names section and key."""


class Refused(ServerError):
    """A rule refuses a request of a person; carries both languages and a stable code."""

    def __init__(self, code: str, zh: str, en: str) -> None:
        super().__init__(f"{zh} · {en}")
        self.code = code
        self.zh = zh
        self.en = en


class Problem(ServerError):
    """An RFC 9457 problem: HTTP status, stable kind, one sentence in each language, facts.

    >>> Problem(409, "batch-number-reused", "批次号已用", "batch number used", batch=7).document()
    ... # doctest: +NORMALIZE_WHITESPACE
    {'type': 'urn:yika:problem:batch-number-reused', 'title': 'batch number reused',
     'status': 409, 'detail': 'batch number used', 'detail_zh': '批次号已用', 'batch': 7}
    """

    def __init__(
        self, status: int, kind: str, zh: str, en: str, *, retry_after_s: int = 0, **facts: Any
    ) -> None:
        super().__init__(en)
        self.status = status
        self.kind = kind
        self.zh = zh
        self.en = en
        self.retry_after_s = retry_after_s
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
