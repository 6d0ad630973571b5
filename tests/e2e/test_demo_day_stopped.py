# SPDX-License-Identifier: Apache-2.0
"""A demonstration day that is cut short: it plays on beside a second one, and ends clean."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.e2e.day import END_TIMEOUT_S, STEP_TIMEOUT_S, playing

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]


def test_second_run_is_refused_and_a_stopped_day_leaves_nothing_behind(tmp_path: Path) -> None:
    """A second run in the folder is refused in words; the first plays on till SIGTERM ends all."""
    with playing(tmp_path, "--exit") as day:
        day.wait_for("数据库", STEP_TIMEOUT_S)
        with playing(tmp_path, "--exit") as second:
            second.process.communicate(timeout=STEP_TIMEOUT_S)
            words = second.said.read_text(encoding="utf-8")
        day.wait_for("08:54:10", STEP_TIMEOUT_S)
        running = day.survivors()
        day.process.send_signal(signal.SIGTERM)
        day.process.communicate(timeout=END_TIMEOUT_S)

    assert second.process.returncode == 1
    assert "another demonstration" in words
    assert any("pcscd" in command for command in running)
    assert day.process.returncode == 130
    assert day.survivors() == []
