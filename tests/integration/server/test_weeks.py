# SPDX-License-Identifier: Apache-2.0
"""Days without a network end in the same hours as days with one."""

from __future__ import annotations

from pathlib import Path

from keys.store import FileKeyStore
from tests.integration.server.weeks import compare


def test_offline_days_give_the_online_result(tmp_path: Path, key_store: FileKeyStore) -> None:
    """Three days of taps, uploaded once at the end: every tap and interval as on line."""
    found = compare(tmp_path, key_store, (10, 120, 3), seed=1)

    assert found["identical"], found
    assert (found["taps"], found["intervals"]) == (120, 60)
    assert found["taps_differ"] == found["intervals_differ"] == 0
