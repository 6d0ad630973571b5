# SPDX-License-Identifier: Apache-2.0
"""What the door of ingest refuses before it computes anything over it."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from keys.sm2 import SM2_EVENTS_MAX
from server.errors import Problem
from server.ingest.checks import check_sm2
from server.serving import say_how_sm2_is_verified
from swipe import arrays
from tests.factories import make_event, make_identity

ED25519_KEY, SM2_KEY = bytes(32), bytes(64)


def _events(count: int, key_id: int) -> arrays.EventArray:
    one = make_event(make_identity()).to_bytes()
    events = arrays.view(one * count).copy()
    events["key_id"] = key_id
    return events


def test_a_large_sm2_batch_waits_for_a_library() -> None:
    """One SM2 event more than the limit is refused with 413, which makes the terminal halve."""
    keys = {1: ED25519_KEY, 2: SM2_KEY}
    check_sm2(_events(SM2_EVENTS_MAX, 2), keys, fast=False)

    with pytest.raises(Problem) as caught:
        check_sm2(_events(SM2_EVENTS_MAX + 1, 2), keys, fast=False)

    assert (caught.value.status, caught.value.kind) == (413, "sm2-batch-length")
    assert caught.value.facts == {"most": SM2_EVENTS_MAX}


def test_the_limit_is_for_slow_sm2_only() -> None:
    """A fast library lifts it, and events of an Ed25519 key do not count."""
    keys = {1: ED25519_KEY, 2: SM2_KEY}
    mixed = np.concatenate([_events(500, 1), _events(SM2_EVENTS_MAX, 2)])

    check_sm2(_events(1000, 2), keys, fast=True)
    check_sm2(_events(1000, 1), keys, fast=False)
    check_sm2(mixed, keys, fast=False)


@pytest.mark.parametrize(
    ("library", "level", "event"), [(None, "warning", "sm2_slow"), ("X", "info", "sm2_fast")]
)
def test_the_server_says_how_it_verifies_sm2(
    library: str | None, level: str, event: str, capsys: pytest.CaptureFixture[str],
    log_as_server: Callable[[], None],
) -> None:
    """At start one line names the library, or warns and tells the limit where there is none."""
    log_as_server()
    say_how_sm2_is_verified(library)

    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["event"]) == (level, event)
    assert line.get("library") == library
