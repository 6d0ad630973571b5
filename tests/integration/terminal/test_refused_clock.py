# SPDX-License-Identifier: Apache-2.0
"""Answers that come days late, and a server that refuses requests because of the clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keys.store import FileKeyStore
from swipe import payloads
from swipe.kinds import BatchKind, EventType, TimeSource
from terminal.clock import Earlier, TerminalTime
from terminal.courier import Exchanger, Job
from terminal.errors import Refused, Unreachable
from terminal.receipts import FIX_WAIT_MAX_MS
from terminal.transport import Request, Transport
from terminal.uplink import Uplink
from tests.integration.terminal.bench import DRIFT_PPM, Bench, issue
from tests.integration.terminal.office import Office
from tests.integration.terminal.test_uplink import Behind, Wire

DAY_MS = 86_400_000


class Slow:
    """A link on which the server's answer to the first request comes days after it."""

    def __init__(self, inner: Transport, bench: Bench, wait_ms: int) -> None:
        self._inner, self._bench, self._wait_ms = inner, bench, wait_ms

    def send(self, request: Request) -> bytes:
        """Pass a request on; the first time the answer is long under way."""
        answer = self._inner.send(request)
        self._bench.clock.advance(self._wait_ms // 1000)
        self._wait_ms = 0
        return answer


class Strict:
    """The notices of a server that looks at the time of a request, as the real one does."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.refusals = 0

    def __call__(self, cfg_ver: int, hot_ver: int) -> list[Job]:
        """Refuse a terminal whose clock is more than a day off."""
        off = self._wire.bench.desk.chain.time.now().utc_ms - self._wire.office.clock.utc_ms()
        if abs(off) > DAY_MS:
            self.refusals += 1
            raise Refused(401, "clock")
        return []


@pytest.fixture
def wire(bench: Bench) -> Iterator[Wire]:
    """A terminal that does not know the time, three days ahead, with its server."""
    bench.desk.chain.time = TerminalTime(bench.clock, DRIFT_PPM, Earlier())
    office = Office(bench.clock, bench.identity.public_key)
    office.clock = Behind(bench.clock, 3 * DAY_MS)
    with office.open():
        yield Wire(bench, office)


def slow(wire: Wire, wait_ms: int) -> tuple[Exchanger, Strict]:
    """Return the terminal's exchange over a slow link with a strict server."""
    bench = wire.bench
    link = Slow(wire.uplink._transport, bench, wait_ms)
    uplink = Uplink(bench.folder, bench.desk.chain, bench.server_key, link, bytes(8))
    notices = Strict(wire)
    return Exchanger(uplink, bench.desk.chain.journal, notices, lambda job: job()), notices


@pytest.mark.parametrize("everything", [False, True], ids=["due", "everything"])
def test_answer_two_days_late_sets_no_clock_and_locks_nobody_out(
    wire: Wire, store: FileKeyStore, *, everything: bool
) -> None:
    """The late receipt counts without its time; refused, the terminal gets another and its time."""
    wire.bench.tap(issue(store, 1))
    exchanger, notices = slow(wire, 2 * DAY_MS)
    exchanger.round(BatchKind.LIVE, everything=everything)
    now = wire.bench.desk.chain.time.now()

    assert notices.refusals == 1
    assert now.known
    assert abs(now.utc_ms - wire.office.clock.utc_ms()) <= now.unc_ms < 1000
    steps = [
        payloads.parse(EventType.TIME_SET, event.payload)
        for event in wire.bench.events()
        if event.type == EventType.TIME_SET
    ]

    assert [step["source"] for step in steps].count(TimeSource.RECEIPT) == 1
    assert wire.journal.state.covered >= wire.office.headers[0].last_seq


def test_answer_within_the_limit_sets_the_clock_as_far_as_the_wait_allows(
    wire: Wire, store: FileKeyStore
) -> None:
    """Hours of waiting leave half of them as uncertainty, which is true."""
    wire.bench.tap(issue(store, 1))
    exchanger, notices = slow(wire, FIX_WAIT_MAX_MS - 60_000)
    exchanger.round(BatchKind.LIVE, everything=False)
    now = wire.bench.desk.chain.time.now()

    assert notices.refusals == 0
    assert FIX_WAIT_MAX_MS // 3 < now.unc_ms < FIX_WAIT_MAX_MS
    assert abs(now.utc_ms - wire.office.clock.utc_ms()) <= now.unc_ms


def test_refusal_that_the_time_does_not_end_is_told_once_asked(
    wire: Wire, store: FileKeyStore
) -> None:
    """Who is refused for another reason asks for the time once, not at every call."""
    wire.bench.tap(issue(store, 1))
    exchanger, _ = slow(wire, 0)
    calls: list[int] = []

    def revoked(cfg_ver: int, hot_ver: int) -> list[Job]:
        calls.append(cfg_ver)
        raise Refused(401, "revoked")

    exchanger._fetch = revoked
    sent = []
    for _ in range(3):
        with pytest.raises(Refused):
            exchanger.round(BatchKind.LIVE, everything=False)
        sent.append(len(wire.office.headers))

    assert len(calls) == 4
    assert sent[0] == sent[1] == sent[2]
    assert wire.journal.state.unsent == 0


def test_with_nothing_left_to_send_the_last_event_goes_again(
    wire: Wire, store: FileKeyStore
) -> None:
    """A clock that is lost when all is sent gets its time from a repeated event."""
    wire.bench.tap(issue(store, 1))
    wire.sync()
    wire.bench.desk.chain.time = TerminalTime(wire.bench.clock, DRIFT_PPM, Earlier())
    exchanger, notices = slow(wire, 0)
    exchanger.round(BatchKind.LIVE, everything=False)

    assert (notices.refusals, wire.bench.desk.chain.time.now().known) == (1, True)
    assert wire.office.headers[-2].kind == BatchKind.RESEND
    assert wire.journal.state.unsent == 0


def test_nobody_there_is_no_refusal(wire: Wire, store: FileKeyStore) -> None:
    """Without an answer there is nothing to ask the time for."""
    wire.bench.tap(issue(store, 1))
    exchanger, _ = slow(wire, 0)

    def gone(cfg_ver: int, hot_ver: int) -> list[Job]:
        raise Unreachable("down")

    exchanger._fetch = gone
    with pytest.raises(Unreachable):
        exchanger.round(BatchKind.LIVE, everything=False)

    assert BatchKind.RESEND not in [header.kind for header in wire.office.headers]
