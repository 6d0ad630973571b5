# SPDX-License-Identifier: Apache-2.0
"""Waiting, handing over work, and what the errors tell people."""

from __future__ import annotations

import random
import threading
import time as steady

import pytest

from swipe.kinds import BatchKind
from terminal.clock import Earlier, TerminalTime
from terminal.courier import BACK_OFF_MAX_MS, BackOff, Courier, Mailbox, Stopped
from terminal.errors import (
    AlreadyRunning,
    BadAnswer,
    ConfigError,
    FormerJournal,
    IdentityLost,
    JournalForeign,
    JournalMissing,
    NoticeRefused,
    NotProvisioned,
    NotSaved,
    ProvisionUnfinished,
    ReceiptRefused,
    Refused,
    SuccessionLost,
    TerminalError,
    Unreachable,
)
from terminal.screen import COLUMNS, width
from terminal.transport import RETRY_AFTER_MAX_S, problem_title, retry_after_s
from tests.unit.terminal.clocks import HandClock


def test_waits_double_up_to_the_ceiling() -> None:
    """Each failure doubles the wait, by a random half, and never passes the ceiling."""
    back_off = BackOff(random.Random(1))
    waits = [back_off.failure(BACK_OFF_MAX_MS) for _ in range(40)]

    assert all(500 <= wait <= BACK_OFF_MAX_MS for wait in waits)
    assert 1000 <= waits[2] * 2 <= 8000
    assert all(wait >= BACK_OFF_MAX_MS // 2 for wait in waits[9:])


def test_success_forgets_the_failures() -> None:
    """After one success the shortest wait comes first again."""
    back_off = BackOff(random.Random(1))
    for _ in range(10):
        back_off.failure(BACK_OFF_MAX_MS)
    back_off.success()

    assert back_off.failure(BACK_OFF_MAX_MS) <= 1000


def test_terminals_do_not_knock_at_once() -> None:
    """Two terminals that failed together wait for different times."""
    waits = {BackOff(random.Random(seed)).failure(BACK_OFF_MAX_MS) for seed in range(50)}

    assert len(waits) > 30


def test_wait_the_server_asks_for_is_kept() -> None:
    """Retry-After is a least wait."""
    assert BackOff(random.Random(1)).failure(BACK_OFF_MAX_MS, 42.0) >= 42_000


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        (None, None),
        ("0", 0.0),
        (" 15 ", 15.0),
        ("999999", RETRY_AFTER_MAX_S),
        ("-5", None),
        ("1e3", None),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_MAX_S),
        ("tomorrow", None),
    ],
)
def test_retry_after_has_both_forms(value: str | None, wait: float | None) -> None:
    """Seconds or a date, within an hour; nonsense is no wait at all."""
    assert retry_after_s(value, 20.0) == wait


@pytest.mark.parametrize("body", [b"", b"[]", b'{"title": 5}', b"\xff", b"null"])
def test_problem_without_title(body: bytes) -> None:
    """An error body that is no problem document has no title."""
    assert problem_title(body) == ""


def test_long_titles_are_cut() -> None:
    """A server cannot flood the terminal's log."""
    assert len(problem_title(b'{"title": "' + b"x" * 5000 + b'"}')) == 120


def test_posted_work_is_done_by_the_owner() -> None:
    """The thread waits; the job runs in the thread that empties the mailbox."""
    mailbox = Mailbox()
    done: list[str] = []
    thread = threading.Thread(
        target=lambda: mailbox.post(lambda: done.append(threading.current_thread().name))
    )
    thread.start()
    while not done:
        mailbox.empty()
    thread.join()

    assert done == [threading.main_thread().name]


def test_refused_work_is_told_to_the_thread() -> None:
    """What the journal's owner could not save is raised where it was posted."""
    mailbox = Mailbox()
    caught: list[Exception] = []

    def job() -> None:
        raise NotSaved("full")

    def post() -> None:
        try:
            mailbox.post(job)
        except NotSaved as exc:
            caught.append(exc)

    thread = threading.Thread(target=post)
    thread.start()
    while not caught:
        mailbox.empty()
    thread.join()

    assert str(caught[0]) == "未保存 · not saved (full)"


def test_nobody_waits_for_a_closed_mailbox() -> None:
    """When the program ends, the thread ends too."""
    mailbox = Mailbox()
    mailbox.close()

    with pytest.raises(Stopped):
        mailbox.post(lambda: None)


ERRORS: list[TerminalError] = [
    ConfigError("terminal.toml", "unknown key"),
    NotProvisioned("/data"),
    AlreadyRunning("/data"),
    NotSaved("No space left on device"),
    JournalForeign("/data/journal", "terminal 7"),
    FormerJournal("/data", "terminal 7"),
    JournalMissing("/data/journal"),
    ProvisionUnfinished("/data/journal"),
    IdentityLost("identity.pem"),
    SuccessionLost("succession.json"),
    Unreachable("Connection refused"),
    BadAnswer("IncompleteRead"),
    ReceiptRefused("its time runs back"),
    NoticeRefused("hotlist", "version 3 is older than 4"),
    *(Refused(status, "title") for status in (401, 403, 404, 409, 413, 422, 429, 500, 503)),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{type(error).__name__} {error}"[:30])
def test_every_error_speaks_both_languages(error: TerminalError) -> None:
    """Each error says in Chinese and English what happened and what to do, and fits a line."""
    text = error.diagnostics()

    assert any("一" <= char <= "鿿" for char in text)
    assert any("a" <= char <= "z" for char in text)
    assert all(width(half) <= COLUMNS for half in error.short.split("|"))


class Flaky:
    """An exchanger whose first round meets a dead line; it keeps what each round was asked."""

    def __init__(self) -> None:
        self.rounds: list[tuple[BatchKind, bool]] = []
        self.asked = threading.Semaphore(0)

    def is_due(self) -> bool:
        """Say that there is always something to send."""
        return True

    def round(self, kind: BatchKind, *, everything: bool) -> int:
        """Fail the first time."""
        self.rounds.append((kind, everything))
        self.asked.release()
        if len(self.rounds) == 1:
            raise Unreachable("no route")
        return 1


def test_a_settlement_stays_one_until_it_is_through() -> None:
    """A settlement on a dead line is repeated as a settlement of everything, then taps go on."""
    clock, flaky = HandClock(), Flaky()
    time = TerminalTime(clock, 50, Earlier())
    courier = Courier(flaky, time, random.Random(1), 3600)  # type: ignore[arg-type]
    courier._urgent.set()
    courier.start()
    try:
        for _ in range(3):
            deadline = steady.monotonic() + 20
            while not flaky.asked.acquire(timeout=0.05):
                clock.advance(400)
                assert steady.monotonic() < deadline
    finally:
        courier.stop(20)

    assert flaky.rounds[:3] == [
        (BatchKind.SETTLEMENT, True),
        (BatchKind.SETTLEMENT, True),
        (BatchKind.LIVE, False),
    ]
