# SPDX-License-Identifier: Apache-2.0
"""The background exchange: when to talk to the server, how long to wait, what to fetch.

The thread never touches the journal. What must be written is posted to the `Mailbox`, which the
owner of the journal empties while no card is at work; the thread waits for it.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from swipe.kinds import BatchKind
from terminal.clock import TerminalTime
from terminal.errors import (
    NoticeRefused,
    NotSaved,
    ReceiptRefused,
    Refused,
    ServerError,
    TerminalError,
    Unreachable,
)
from terminal.journal import Journal
from terminal.policy import wants_anchor
from terminal.uplink import Uplink

_LOG = logging.getLogger(__name__)

# First wait after a failure, its ceiling, and the ceiling where only people can help.
BACK_OFF_FIRST_MS = 1_000
BACK_OFF_MAX_MS = 300_000
BACK_OFF_REFUSED_MAX_MS = 3_600_000
# How often the thread looks up; the waits themselves are counted by the terminal's own clock.
LOOK_S = 0.05
# More batches than this in one go: a million events.
BATCHES_MAX = 1_000
# A new number or a smaller batch is tried at once, but not for ever.
AT_ONCE_MAX = 4
AT_ONCE = frozenset({409, 413})
UNAUTHORIZED = 401
PEOPLE_NEEDED = frozenset({401, 403, 404, 422})

ANY_VERSION = (1 << 32, 1 << 32)  # above every version: fetch whatever there is

Job = Callable[[], None]


class Stopped(Exception):
    """Tell the thread that nobody will empty the mailbox any more."""


class Mailbox:
    """Hand work to the thread that owns the journal and wait until it is done."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Posted] = queue.SimpleQueue()
        self._closed = threading.Event()

    def post(self, job: Job) -> None:
        """Wait until the owner has done the job; raise what the job raised.

        Raises:
            Stopped: The owner is gone; the job will not be done.
        """
        posted = _Posted(job)
        self._jobs.put(posted)
        while not posted.done.wait(LOOK_S):
            if self._closed.is_set():
                raise Stopped
        if posted.error is not None:
            raise posted.error

    def empty(self) -> None:
        """Do every job that waits; called by the owner only."""
        while True:
            try:
                posted = self._jobs.get_nowait()
            except queue.Empty:
                return
            posted.run()

    def close(self) -> None:
        """Let nobody wait any more."""
        self._closed.set()


@dataclass(slots=True)
class _Posted:
    job: Job
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    def run(self) -> None:
        try:
            self.job()
        except (NotSaved, NoticeRefused) as exc:
            self.error = exc
        finally:
            self.done.set()


class BackOff:
    """Wait longer after each failure, by a random part, so that terminals do not knock at once."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0

    def success(self) -> None:
        """Begin again with the shortest wait."""
        self._failures = 0

    def failure(self, ceiling_ms: int, asked_s: float | None = None) -> int:
        """Return how long to wait, in milliseconds.

        A wait the server asked for is kept, and a little more.
        """
        exponential = min(ceiling_ms, BACK_OFF_FIRST_MS << min(self._failures, 20))
        self._failures += 1
        wait = self._rng.randint(exponential // 2, exponential)
        if asked_s is not None:
            wait = max(wait, round(asked_s * 1000) + self._rng.randint(0, BACK_OFF_FIRST_MS))
        return wait


@dataclass(frozen=True, slots=True)
class Standing:
    """What the screen and `status` tell about the link."""

    online: bool = False
    problem: str = ""
    short: str = ""
    waiting_until_ms: int = 0


# Given the newest versions there are: fetch what is newer, return what the owner must do with it.
Fetch = Callable[[int, int], list[Job]]


class Exchanger:
    """One round of talk: send what is due, settle receipts, fetch newer notices.

    `post` does a job in the thread that owns the journal; without threads it just does it.
    `stored` is told each batch the server has stored.
    """

    def __init__(
        self,
        uplink: Uplink,
        journal: Journal,
        fetch: Fetch,
        post: Callable[[Job], None],
        stored: Callable[[bytes], None] | None = None,
    ) -> None:
        self._stored = stored
        self._uplink = uplink
        self._journal = journal
        self._fetch = fetch
        self._post = post
        self._time_helps_not = False

    def is_due(self) -> bool:
        """Say whether something more than book-keeping waits to be sent."""
        kinds = self._journal.state.kinds[self._uplink.sent_up_to : self._journal.durable_seq]
        return wants_anchor(filter(None, kinds))

    def round(self, kind: BatchKind, *, everything: bool) -> int:
        """Exchange until nothing is due, or with `everything` until nothing is unsent.

        Who is refused notices may have a clock that is a day off: one more receipt sets it.

        Returns:
            How many batches were settled.

        Raises:
            ServerError, ReceiptRefused, NotSaved, NoticeRefused, Stopped.
        """
        settled = self._send(kind, everything=everything)
        try:
            fetched = self._fetch_notices(call_anyway=everything and not settled)
        except Refused as exc:
            if exc.status != UNAUTHORIZED or self._time_helps_not or not self._uplink.ask_time():
                raise
            settled += self._send(kind, everything=True)
            self._time_helps_not = True  # unless the next call goes through
            fetched = self._fetch_notices(call_anyway=everything)
        self._time_helps_not = False
        if fetched and everything:
            settled += self._send(kind, everything=everything)
        return settled

    def _send(self, kind: BatchKind, *, everything: bool) -> int:
        settled = 0
        at_once = 0
        while settled < BATCHES_MAX and (everything or self.is_due()):
            outgoing = self._uplink.plan(kind)
            if outgoing is None:
                break
            try:
                incoming = self._uplink.exchange(outgoing)
            except Refused as exc:
                at_once += 1
                if exc.status not in AT_ONCE or at_once > AT_ONCE_MAX:
                    raise
                continue
            self._post(partial(self._uplink.settle, incoming))
            if self._stored is not None:
                self._stored(outgoing.body)
            settled += 1
        return settled

    def _fetch_notices(self, *, call_anyway: bool) -> int:
        """Fetch the notices the last receipt spoke of; with nothing to send, just call.

        Returns:
            How many were fetched.
        """
        receipt = self._journal.state.receipt
        newest = (0, 0) if receipt is None else (receipt.cfg_ver, receipt.hot_ver)
        jobs = self._fetch(*(ANY_VERSION if call_anyway else newest))
        for job in jobs:
            self._post(job)
        return len(jobs)


class Courier:
    """The thread: looks up now and then, talks when something is due and the wait is over."""

    def __init__(
        self, exchanger: Exchanger, time: TerminalTime, rng: random.Random, keep_alive_s: int
    ) -> None:
        self._exchanger = exchanger
        self._time = time
        self._back_off = BackOff(rng)
        self._keep_alive_ms = keep_alive_s * 1000
        self._ended = threading.Event()
        self._urgent = threading.Event()
        self._settling = False
        self._last_contact_ms = time.uptime_ms()
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)
        self.standing = Standing()

    def start(self) -> None:
        """Begin to look after the uplink."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Ask the thread to end and wait that long for it."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def hurry(self) -> None:
        """Send everything now, whatever the waits: the leader settles.

        What cannot be sent now stays a settlement until it is: its batches say so, and everything
        goes, book-keeping too.
        """
        self._urgent.set()

    def _run(self) -> None:
        while not self._ended.wait(LOOK_S):
            urgent = self._urgent.is_set()
            if not urgent and not self._may_talk():
                continue
            self._urgent.clear()
            self._settling |= urgent
            kind = BatchKind.SETTLEMENT if self._settling else BatchKind.LIVE
            overdue = self._silence_ms() >= self._keep_alive_ms
            try:
                self._talk(kind, everything=self._settling or overdue)
            except Exception:  # noqa: BLE001 - the loop of this thread must go on, and tell
                _LOG.exception("uplink")
                self._wait(TerminalError("uplink"), BACK_OFF_REFUSED_MAX_MS)

    def _may_talk(self) -> bool:
        if self._time.uptime_ms() < self.standing.waiting_until_ms:
            return False
        overdue = self._silence_ms() >= self._keep_alive_ms
        return self._settling or overdue or self._exchanger.is_due()

    def _silence_ms(self) -> int:
        return self._time.uptime_ms() - self._last_contact_ms

    def _talk(self, kind: BatchKind, *, everything: bool) -> None:
        try:
            self._exchanger.round(kind, everything=everything)
        except Stopped:
            self._ended.set()
        except Refused as exc:
            ceiling = BACK_OFF_REFUSED_MAX_MS if exc.status in PEOPLE_NEEDED else BACK_OFF_MAX_MS
            self._wait(exc, ceiling, exc.retry_after_s)
        except (ServerError, NoticeRefused) as exc:
            self._wait(exc, BACK_OFF_MAX_MS)
        except (ReceiptRefused, NotSaved) as exc:
            self._wait(exc, BACK_OFF_REFUSED_MAX_MS)
        else:
            self._back_off.success()
            self._settling = False
            self._last_contact_ms = self._time.uptime_ms()
            self.standing = Standing(online=True)

    def _wait(self, error: TerminalError, ceiling_ms: int, asked_s: float | None = None) -> None:
        wait = self._back_off.failure(ceiling_ms, asked_s)
        if str(error) != self.standing.problem:
            _LOG.warning("%s", error)
        online = not isinstance(error, Unreachable)
        until = self._time.uptime_ms() + wait
        self.standing = Standing(online, str(error), error.short, until)
