# SPDX-License-Identifier: Apache-2.0
"""Problem documents."""

from __future__ import annotations

import json

from server.errors import Problem, Refused


def test_problem_document_has_both_languages_and_facts() -> None:
    """A problem document carries kind, status, both texts and the facts, as UTF-8."""
    problem = Problem(409, "batch-number-reused", "批次号已用", "number used", batch=7)

    document = json.loads(problem.to_json().decode())

    assert document == {
        "type": "urn:yika:problem:batch-number-reused",
        "title": "batch number reused",
        "status": 409,
        "detail": "number used",
        "detail_zh": "批次号已用",
        "batch": 7,
    }
    assert "批次号已用".encode() in problem.to_json()


def test_refusal_reads_in_both_languages() -> None:
    """A refusal shown on one line has both texts."""
    assert str(Refused("x", "不行", "no")) == "不行 · no"
