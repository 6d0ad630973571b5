# SPDX-License-Identifier: Apache-2.0
"""The audit log chains its lines; what breaks the chain is named by its line."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keys.audit import GENESIS, TALLY_MAX, AuditHead, AuditLog
from keys.errors import AuditBroken, AuditUnwritable

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    """Give a log with five lines."""
    made = AuditLog(tmp_path / "audit", "issuer", lambda: NOON)
    for number in range(1, 6):
        made.record("tac/1", "derive", number)
    return made


def test_a_line_says_who_what_why_and_how_often(log: AuditLog) -> None:
    """The first line is as the module says; each next one carries the hash of the one before."""
    first, second = log.path.read_bytes().splitlines(keepends=True)[:2]

    assert json.loads(first) == {
        "n": 1,
        "time": "2026-11-21T12:00:00Z",
        "who": "issuer",
        "key": "tac/1",
        "purpose": "derive",
        "count": 1,
        "prev": GENESIS,
    }
    assert json.loads(second)["prev"] == hashlib.sha256(first).hexdigest()
    assert log.verify().lines == 5


@pytest.mark.parametrize("line", range(4))
def test_a_changed_line_breaks_the_chain_behind_it(log: AuditLog, line: int) -> None:
    """A count made smaller is found at the line after, whose hash it was."""
    lines = log.path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b'"who":"issuer"', b'"who":"nobody"')
    log.path.write_bytes(b"".join(lines))

    with pytest.raises(AuditBroken, match=f"line {line + 2} does not follow"):
        AuditLog(log.path).verify()


@pytest.mark.parametrize("line", range(1, 4))
def test_dropped_moved_and_doubled_lines_are_named(log: AuditLog, line: int) -> None:
    """Each is found at the first line that does not follow."""
    lines = log.path.read_bytes().splitlines(keepends=True)
    dropped = lines[:line] + lines[line + 1 :]
    doubled = [*lines[: line + 1], *lines[line:]]
    moved = [*lines[: line - 1], lines[line], lines[line - 1], *lines[line + 1 :]]

    for changed, broken in ((dropped, line + 1), (doubled, line + 2), (moved, line)):
        log.path.write_bytes(b"".join(changed))
        with pytest.raises(AuditBroken) as caught:
            AuditLog(log.path).verify()
        assert caught.value.line == broken


def test_rubbish_is_named(log: AuditLog) -> None:
    """A line of something else is not skipped."""
    with log.path.open("ab") as file:
        file.write(b"hello\n")

    with pytest.raises(AuditBroken, match="line 6 is not a line of this log"):
        AuditLog(log.path).verify()
    with pytest.raises(AuditBroken):
        AuditLog(log.path).record("tac/1", "derive")


def test_a_cut_end_shows_against_a_noted_head(log: AuditLog) -> None:
    """The chain alone does not show its end cut off; a head noted earlier does."""
    noted = log.verify()
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(b"".join(lines[:3]))

    assert AuditLog(log.path).verify().lines == 3
    with pytest.raises(AuditBroken, match="line 4 is missing"):
        AuditLog(log.path).verify(noted)
    with pytest.raises(AuditBroken, match="line 3 is not the line noted"):
        AuditLog(log.path).verify(AuditHead(3, GENESIS))
    with pytest.raises(AuditBroken, match="cut off"):
        log.record("tac/1", "derive")


def test_half_a_line_of_a_power_cut_is_taken_away(log: AuditLog) -> None:
    """The use that half a line announced never came: the next line takes its place."""
    with log.path.open("ab") as file:
        file.write(b'{"n":6,"time":"20')
    with pytest.raises(AuditBroken, match="line 6 is cut in the middle"):
        AuditLog(log.path).verify()

    AuditLog(log.path, "issuer").record("tac/1", "derive", 60)

    assert AuditLog(log.path).verify().lines == 6
    assert list(log.entries())[-1]["count"] == 60


def test_small_uses_are_summed(tmp_path: Path) -> None:
    """Seals and openings are counted and written with the next line, or when there are many."""
    log = AuditLog(tmp_path / "audit", "desk")
    for _ in range(3):
        log.tally("personal-data/1", "open")
    assert not log.path.exists()
    log.record("tac/1", "derive")
    for _ in range(TALLY_MAX):
        log.tally("personal-data/1", "open")

    counts = [(line["purpose"], line["count"]) for line in log.entries()]
    assert counts == [("open", 3), ("derive", 1), ("open", TALLY_MAX)]


def _write(path: Path) -> None:
    log = AuditLog(path, "program")
    for _ in range(50):
        log.record("tac/1", "derive")


def test_programs_and_threads_share_a_log(tmp_path: Path) -> None:
    """Two programs and four threads of this one append at once, and the chain holds."""
    path = tmp_path / "audit"
    context = multiprocessing.get_context("spawn")
    programs = [context.Process(target=_write, args=(path,)) for _ in range(2)]
    log = AuditLog(path, "thread")
    threads = [
        threading.Thread(target=lambda: [log.record("tac/1", "derive") for _ in range(25)])
        for _ in range(4)
    ]
    for worker in [*programs, *threads]:
        worker.start()
    for worker in [*programs, *threads]:
        worker.join(60)

    assert [program.exitcode for program in programs] == [0, 0]
    assert log.verify().lines == 200


def test_an_unwritable_log_is_named(tmp_path: Path) -> None:
    """A folder that is not there ends in a named error."""
    with pytest.raises(AuditUnwritable, match="so it is not used"):
        AuditLog(tmp_path / "none" / "audit").record("tac/1", "derive")
