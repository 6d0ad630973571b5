# SPDX-License-Identifier: Apache-2.0
"""The programs of the day are started, watched and ended."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hardware_mocks.day.programs import ProgramEnded, Programs

SLEEPER = [sys.executable, "-c", "import time; print('ready'); time.sleep(60)"]


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _start_two_and_fail(programs: Programs) -> None:
    with programs.running():
        for name in ("one", "two"):
            programs.start(name, SLEEPER)
        raise KeyboardInterrupt


def test_every_program_ends_with_the_block(tmp_path: Path) -> None:
    """Leaving the block, by an error too, leaves no process behind."""
    programs = Programs(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        _start_two_and_fail(programs)

    assert [_is_alive(program.process.pid) for program in programs.started] == [False, False]


def test_program_that_ends_by_itself_is_named_with_its_log(tmp_path: Path) -> None:
    """The end of the log says why, without a search."""
    with Programs(tmp_path).running() as programs:
        program = programs.start("broken", [sys.executable, "-c", "import sys; sys.exit('why')"])
        program.process.wait(30)

        with pytest.raises(ProgramEnded, match=r"broken ended with status 1(.|\n)*why"):
            program.check()


def test_killed_program_is_gone_at_once(tmp_path: Path) -> None:
    """A power cut does not wait for anybody."""
    with Programs(tmp_path).running() as programs:
        program = programs.start("terminal", SLEEPER)
        program.kill()

        assert program.process.returncode == -9
