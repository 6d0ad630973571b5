# SPDX-License-Identifier: Apache-2.0
"""Minors and the guardian's word at one terminal: what is counted, said and left open."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from keys.store import FileKeyStore
from swipe.kinds import EventType, Flag
from tests.integration.terminal.bench import Bench, issue, software_psam
from tests.integration.terminal.post import VOLUNTEER, Post, configure

BORN = dt.date(2014, 1, 1)
CHILD = 11


@pytest.fixture
def post(tmp_path: Path, store: FileKeyStore) -> Post:
    """Return a terminal whose site has operators and two activities."""
    post = Post(Bench(tmp_path / "terminal", store, software_psam(tmp_path, store)))
    configure(post)
    return post


def test_child_that_obeys_stays_in(post: Post, store: FileKeyStore) -> None:
    """Alone, key 4, the guardian, "children, tap now": the child is told so, counted, and in."""
    child = issue(store, CHILD, BORN)
    alone = post.tap(child, seconds=80)
    post.press("4")
    post.tap(issue(store, VOLUNTEER), seconds=10)
    behind = post.tap(child, seconds=5)
    again = post.tap(child, seconds=5)
    shown = post.turn()
    post.press("n")
    post.bench.clock.advance(7200)
    left = post.tap(child)

    assert "GUARDIAN NEEDED" in alone
    assert all("已签到 IN" in text and "GUARDIAN OK" in text for text in (behind, again))
    assert "TAPPED 1" in shown
    assert "签退 OUT" in left
    assert [e.flags & Flag.GUARDIAN_PRESENT for e in post.events(EventType.IN)] == [0]
    assert len(post.events(EventType.OUT)) == 1
