# SPDX-License-Identifier: Apache-2.0
"""The exchange with a server on a real socket: batches, receipts, refusals, gaps, clocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keys.store import FileKeyStore
from swipe import payloads
from swipe.frames import FrameKind
from swipe.kinds import BatchFlag, BatchKind, EventType, Flag
from swipe.receipt import Receipt
from swipe.verify import verify_stream
from terminal.clock import Earlier, TerminalTime
from terminal.courier import Exchanger, Job
from terminal.errors import BadAnswer, NotSaved, ReceiptRefused, Refused, ServerError, Unreachable
from terminal.fetch import NoticeFetcher
from terminal.files import OUTBOX
from terminal.journal import Journal
from terminal.station import earlier_time
from terminal.transport import HttpTransport
from terminal.uplink import Uplink
from tests.factories import UTC_S
from tests.integration.terminal.bench import DRIFT_PPM, Bench, issue, software_psam
from tests.integration.terminal.office import Office, Refusal, lying
from tests.unit.terminal.clocks import HandClock

TIMEOUT_S = 5


class Wire:
    """A terminal of the bench, an office, and what stands between them."""

    def __init__(self, bench: Bench, office: Office) -> None:
        self.bench = bench
        self.office = office
        self.connect()

    def connect(self) -> None:
        """Begin to talk, as after a start of the program."""
        chain = self.bench.desk.chain
        transport = HttpTransport(self.office.url, TIMEOUT_S)
        self.uplink = Uplink(self.bench.folder, chain, self.bench.server_key, transport, bytes(8))
        fetcher = NoticeFetcher(chain, self.bench.desk.notices, transport)
        self.exchanger = Exchanger(self.uplink, chain.journal, fetcher, _do)

    def restart(self) -> None:
        """Kill the program and start it again."""
        self.bench.desk.chain.journal.close()
        self.bench.clock.advance(5)
        self.bench.start()
        self.connect()

    def sync(self, *, everything: bool = True) -> int:
        """Exchange what is due, or everything."""
        return self.exchanger.round(BatchKind.LIVE, everything=everything)

    @property
    def journal(self) -> Journal:
        """Return the journal."""
        return self.bench.desk.chain.journal

    def kinds(self) -> list[int]:
        """Return the types of all events."""
        return [event.type for event in self.bench.events()]


def _do(job: Job) -> None:
    job()


@pytest.fixture
def wire(bench: Bench) -> Iterator[Wire]:
    """A terminal with its server."""
    office = Office(bench.clock, bench.identity.public_key)
    with office.open():
        yield Wire(bench, office)


def settled(wire: Wire) -> bool:
    """Say whether both sides hold the same events and nothing is left to send."""
    mine = {event.seq: event.to_bytes() for event in wire.bench.events()}
    return wire.journal.state.unsent == 0 and wire.office.events == mine


def test_exchange_comes_to_rest(wire: Wire, store: FileKeyStore) -> None:
    """Taps are sent, the receipt is anchored, the anchor is sent, and that is all."""
    wire.bench.tap(issue(store, 1))
    batches = wire.sync()

    assert batches == 2
    assert settled(wire)
    assert wire.kinds()[-1] == EventType.ACK_ANCHOR
    assert wire.journal.state.receipts == 2
    assert wire.sync() == 0
    assert not wire.exchanger.is_due()


def test_book_keeping_waits_for_the_next_tap(wire: Wire, store: FileKeyStore) -> None:
    """An ACK_ANCHOR alone starts no exchange; it goes with the next tap."""
    wire.bench.tap(issue(store, 1))
    wire.sync(everything=False)

    assert wire.journal.state.unsent == 1
    assert not wire.exchanger.is_due()

    wire.bench.tap(issue(store, 2))
    wire.sync(everything=False)

    assert [header.count for header in wire.office.headers] == [4, 2]


def test_next_events_name_the_receipt(wire: Wire, store: FileKeyStore) -> None:
    """The receipt's hash stands whole in ACK_ANCHOR and in short in every event after it."""
    wire.bench.tap(issue(store, 1))
    wire.sync(everything=False)
    receipt = Receipt.from_bytes(wire.bench.frames(FrameKind.RECEIPT)[0])
    wire.bench.tap(issue(store, 2))
    anchor, tap = wire.bench.events()[-2:]

    assert payloads.parse(EventType.ACK_ANCHOR, anchor.payload) == {
        "receipt_hash": receipt.full_hash
    }
    assert anchor.anchor == tap.anchor == receipt.anchor


def test_long_queue_goes_in_batches_of_a_thousand(wire: Wire) -> None:
    """Weeks off line go up in full batches, each but the last saying that more follows."""
    chain = wire.bench.desk.chain
    for _ in range(2100):
        chain.record(EventType.OUTAGE, durable=False, kind=4)
    wire.journal.add()
    wire.sync(everything=False)
    headers = wire.office.headers

    assert [header.count for header in headers] == [1000, 1000, 104]
    assert [header.flags for header in headers] == [BatchFlag.MORE, BatchFlag.MORE, 0]
    assert [header.first_seq for header in headers] == [1, 1001, 2001]
    assert [header.batch_no for header in headers] == [1, 2, 3]


def test_only_durable_events_leave(wire: Wire) -> None:
    """What is not synced yet could still be lost, so it is not sent."""
    wire.bench.desk.chain.record(EventType.OUTAGE, durable=False, kind=4)
    wire.sync(everything=False)

    assert wire.office.headers[0].count == 2


def test_server_is_told_what_is_still_unsent(wire: Wire) -> None:
    """A header tells the staff's page how much the terminal still holds."""
    for _ in range(1500):
        wire.bench.desk.chain.record(EventType.OUTAGE, durable=False, kind=4)
    wire.journal.add()
    wire.sync(everything=False)
    unsent = [headers["Yika-Unsent"] for method, _, headers in wire.office.requests]

    assert unsent == ["502", "0"]


def test_lost_answer_brings_the_same_receipt(wire: Wire, store: FileKeyStore) -> None:
    """The same bytes go out again and the identical receipt comes back."""
    wire.bench.tap(issue(store, 1))
    wire.office.lose_answer = True
    with pytest.raises((Unreachable, BadAnswer)):
        wire.sync(everything=False)
    wire.office.lose_answer = False
    wire.bench.tap(issue(store, 2))
    wire.sync()

    assert wire.office.batches.keys() == {1, 2, 3}
    assert wire.bench.frames(FrameKind.RECEIPT)[0] == wire.office.receipts[1]
    assert settled(wire)


def test_restart_sends_the_same_bytes_again(wire: Wire, store: FileKeyStore) -> None:
    """The batch under way survives the program: no number is used for two contents."""
    wire.bench.tap(issue(store, 1))
    wire.office.lose_answer = True
    with pytest.raises((Unreachable, BadAnswer)):
        wire.sync(everything=False)
    wire.office.lose_answer = False
    wire.restart()
    wire.bench.tap(issue(store, 2))
    wire.sync()

    assert settled(wire)
    assert wire.bench.frames(FrameKind.RECEIPT)[0] == wire.office.receipts[1]


@pytest.mark.parametrize("damage", [b"", b"x" * 192, None])
def test_lost_outbox_is_survived(wire: Wire, store: FileKeyStore, damage: bytes | None) -> None:
    """When even the header of the batch under way is gone, the conflict leads to a new number."""
    wire.bench.tap(issue(store, 1))
    wire.office.lose_answer = True
    with pytest.raises((Unreachable, BadAnswer)):
        wire.sync(everything=False)
    wire.office.lose_answer = False
    outbox = wire.bench.folder / OUTBOX
    outbox.unlink() if damage is None else outbox.write_bytes(damage)
    wire.restart()
    wire.sync()

    assert settled(wire)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_refusal_changes_nothing(wire: Wire, store: FileKeyStore, status: int) -> None:
    """Whatever the server refuses with, events stay unsent and go up when it relents."""
    wire.bench.tap(issue(store, 1))
    unsent = wire.journal.state.unsent
    wire.office.script = [Refusal(status, "test", {"Retry-After": "7"})]
    with pytest.raises(Refused) as caught:
        wire.sync()

    assert (caught.value.status, caught.value.retry_after_s) == (status, 7.0)
    assert wire.journal.state.unsent == unsent
    assert "test" in str(caught.value)
    wire.sync()
    assert settled(wire)


def test_too_large_batch_is_halved(wire: Wire) -> None:
    """A 413 makes the batches smaller, at once."""
    for _ in range(98):
        wire.bench.desk.chain.record(EventType.OUTAGE, durable=False, kind=4)
    wire.journal.add()
    wire.office.script = [Refusal(413), Refusal(413), Refusal(413), Refusal(413)]
    wire.sync(everything=False)

    assert [header.count for header in wire.office.headers] == [62, 39]


def test_used_number_is_skipped(wire: Wire, store: FileKeyStore) -> None:
    """A 409 leads to the next number, at once."""
    wire.bench.tap(issue(store, 1))
    wire.office.script = [Refusal(409), Refusal(409)]
    wire.sync()

    assert [header.batch_no for header in wire.office.headers] == [3, 4]
    assert settled(wire)


def test_batch_that_fails_its_checks_is_sent_again(wire: Wire, store: FileKeyStore) -> None:
    """A bit flipped on the way: the same bytes go again, and after three times a new number."""
    wire.bench.tap(issue(store, 1))
    wire.office.script = [Refusal(422), Refusal(422), Refusal(422)]
    for _ in range(3):
        with pytest.raises(Refused):
            wire.sync()
    wire.sync()

    assert wire.office.headers[0].batch_no == 2
    assert settled(wire)


@pytest.mark.parametrize(
    "lie",
    [
        lying(head=bytes(32)),
        lying(up_to_seq=1000),
        lying(up_to_seq=0),
        lying(key_id=1),
    ],
)
def test_untrusted_receipt_moves_nothing(wire: Wire, store: FileKeyStore, lie: object) -> None:
    """A receipt that lies is not stored, and the batch goes again until an honest one comes."""
    wire.bench.tap(issue(store, 1))
    wire.office.lie = lie  # type: ignore[assignment]
    with pytest.raises(ReceiptRefused):
        wire.sync()

    assert wire.journal.state.covered == 0
    assert wire.bench.frames(FrameKind.RECEIPT) == []


def test_forged_receipt_moves_nothing(wire: Wire, store: FileKeyStore) -> None:
    """A receipt with a flipped bit is refused; the same batch then gets its true one."""
    wire.bench.tap(issue(store, 1))
    wire.office.forge = lambda raw: raw[:60] + bytes([raw[60] ^ 1]) + raw[61:]
    with pytest.raises(ReceiptRefused, match="signature"):
        wire.sync()

    assert wire.journal.state.covered == 0


def test_server_time_may_not_run_back(wire: Wire, store: FileKeyStore) -> None:
    """A second receipt from an earlier time is refused."""
    wire.bench.tap(issue(store, 1))
    wire.sync()
    wire.bench.tap(issue(store, 2))
    wire.office.lie = lying(srv_utc_ms=wire.bench.clock.utc - 1)
    with pytest.raises(ReceiptRefused, match="runs back"):
        wire.sync()

    assert wire.journal.state.receipts == 2


def test_server_that_lost_events_gets_them_again(wire: Wire, store: FileKeyStore) -> None:
    """A gap is filled with exactly the missing range, kind RESEND."""
    for number in range(1, 5):
        wire.bench.tap(issue(store, number))
    wire.sync()
    for seq in (3, 4):
        del wire.office.events[seq]
    wire.bench.tap(issue(store, 5))
    wire.sync()
    resent = wire.office.headers[3]

    assert (resent.kind, resent.first_seq, resent.count) == (BatchKind.RESEND, 3, 2)
    assert settled(wire)


def test_unfillable_gap_stops_nobody(wire: Wire, store: FileKeyStore) -> None:
    """A server that keeps asking for what it was given is not flooded; new taps still go up."""
    wire.bench.tap(issue(store, 1))
    wire.sync()
    del wire.office.events[2]
    kept = dict(wire.office.events)

    class Forgetful(dict[int, bytes]):
        """A store that never keeps number 2."""

        def setdefault(self, seq: int, raw: bytes = b"") -> bytes:
            """Keep everything else."""
            return raw if seq == 2 else super().setdefault(seq, raw)

    wire.office.events = Forgetful(kept)
    wire.bench.tap(issue(store, 2))
    wire.sync()
    tapped = wire.bench.tap(issue(store, 3)).event
    wire.sync(everything=False)

    assert tapped is not None
    assert wire.uplink.gap_unfilled
    assert tapped.seq in wire.office.events
    assert not wire.exchanger.is_due()
    assert len(wire.office.headers) < 12
    kept = dict(wire.office.events)
    wire.uplink.retry_gap()
    wire.office.events = dict(kept)
    wire.sync()
    assert settled(wire)


def test_fast_clock_is_set_by_the_first_receipt(wire: Wire, store: FileKeyStore) -> None:
    """Two hours fast after a restart: the tap claims it, TIME_SET corrects it, once."""
    wire.bench.tap(issue(store, 1))
    wire.sync()
    clock = wire.bench.clock
    true = clock.utc
    clock.utc += 7_200_000
    wire.restart()
    tapped = wire.bench.tap(issue(store, 2)).event
    wire.office.clock = Behind(clock, 7_200_000)
    wire.sync()
    set_event, anchor = wire.bench.events()[-2:]
    values = payloads.parse(EventType.TIME_SET, set_event.payload)

    assert tapped is not None
    assert tapped.utc_total_ms >= true + 7_200_000
    assert [set_event.type, anchor.type] == [EventType.TIME_SET, EventType.ACK_ANCHOR]
    assert Flag(set_event.flags) == Flag.CLOCK_STEPPED
    assert int(values["old_utc_ms"]) - int(values["new_utc_ms"]) == 7_200_000
    assert anchor.utc_total_ms == true + 5000
    assert settled(wire)

    # At the next start the device's clock is still wrong, and the terminal knows not to trust it.
    wire.restart()
    assert Flag.CLOCK_UNKNOWN in Flag(wire.bench.events()[-1].flags)


def test_attempts_without_a_connection_leave_the_time_sharp(
    wire: Wire, store: FileKeyStore
) -> None:
    """Ten minutes of no connection: no receipt can be that old, so the first one sets the clock."""
    wire.bench.tap(issue(store, 1))
    wire.sync()
    clock = wire.bench.clock
    clock.utc += 7_200_000
    wire.restart()
    wire.office.clock = Behind(clock, 7_200_000)
    wire.bench.tap(issue(store, 2))
    transport = wire.uplink._transport
    wire.uplink._transport = HttpTransport("http://127.0.0.1:1", TIMEOUT_S)
    with pytest.raises(Unreachable):
        wire.sync()
    clock.advance(600)
    wire.uplink._transport = transport
    wire.sync()
    set_event = wire.bench.events()[-2]
    values = payloads.parse(EventType.TIME_SET, set_event.payload)

    assert int(values["old_utc_ms"]) - int(values["new_utc_ms"]) == 7_200_000
    assert int(values["unc_ms"]) < 1000


class Behind:
    """A clock that runs behind another."""

    def __init__(self, clock: HandClock, by_ms: int) -> None:
        self._clock = clock
        self._by_ms = by_ms

    def utc_ms(self) -> int:
        """Return the earlier time."""
        return self._clock.utc_ms() - self._by_ms

    def uptime_ms(self) -> int:
        """Return the uptime."""
        return self._clock.uptime_ms()


def test_first_receipt_ends_not_knowing_the_time(tmp_path: Path, store: FileKeyStore) -> None:
    """A new terminal says that it does not know the time until the server has told it."""
    bench = Bench(tmp_path / "t", store, software_psam(tmp_path, store))
    chain = bench.desk.chain
    chain.time = TerminalTime(bench.clock, DRIFT_PPM, Earlier())
    office = Office(bench.clock, bench.identity.public_key)
    with office.open():
        wire = Wire(bench, office)
        before = bench.tap(issue(store, 1)).event
        wire.sync()
        after = bench.tap(issue(store, 2)).event

    assert before is not None
    assert after is not None
    assert Flag.CLOCK_UNKNOWN in Flag(before.flags)
    assert before.unc_ms == 0xFFFF_FFFF
    assert Flag.CLOCK_UNKNOWN not in Flag(after.flags)
    assert after.unc_ms < 1000
    assert earlier_time(chain.journal.state).receipt_ms == UTC_S * 1000


def test_receipt_that_is_not_saved_is_asked_for_again(wire: Wire, store: FileKeyStore) -> None:
    """A full disk at the receipt: nothing advances for good, and the replay brings it back."""
    wire.bench.tap(issue(store, 1))
    incoming = wire.uplink.exchange(wire.uplink.plan() or pytest.fail("nothing to send"))
    storage = wire.journal._storage
    wire.journal._storage = FullStorage()  # type: ignore[assignment]
    with pytest.raises(NotSaved):
        wire.uplink.settle(incoming)
    wire.journal._storage = storage

    assert wire.journal.state.covered == 0
    wire.sync()
    assert settled(wire)


class FullStorage:
    """A disk without room."""

    size = 0

    def append(self, data: bytes) -> None:
        """Refuse."""
        raise NotSaved("No space left on device")


def test_exchange_with_nobody_is_named(wire: Wire, store: FileKeyStore) -> None:
    """A server that does not listen is unreachable, and nothing else happens."""
    wire.bench.tap(issue(store, 1))
    wire.office.url = "http://127.0.0.1:1"
    wire.connect()

    with pytest.raises(Unreachable, match="连不上服务器"):
        wire.sync()


def test_journal_with_receipts_verifies(wire: Wire, store: FileKeyStore) -> None:
    """The offline verifier accepts chain, anchors and receipts of a day on line."""
    for number in range(1, 4):
        wire.bench.tap(issue(store, number))
        wire.sync(everything=False)
    wire.sync()
    with wire.bench.journal_path.open("rb") as file:
        report = verify_stream(file)

    assert [f for f in report.findings if f.kind.value != "not-checked"] == []


def test_receipt_that_never_came_is_counted_and_stops_nothing(
    wire: Wire, store: FileKeyStore
) -> None:
    """Somebody else uploads in the terminal's name: its own uploads go on, and status tells."""
    wire.bench.tap(issue(store, 1))
    wire.sync()
    wire.bench.tap(issue(store, 2))
    wire.office.lie = lying(prev_receipt=b"\x01" * 8)
    wire.sync(everything=False)

    assert wire.journal.state.unsent == 1, "the anchor of the last receipt"
    assert wire.uplink.unseen == 1


def test_lost_answers_are_no_receipts_of_somebody_else(wire: Wire, store: FileKeyStore) -> None:
    """What this terminal itself gave up or sent twice counts nothing as unseen."""
    wire.bench.tap(issue(store, 1))
    wire.office.lose_answer = True
    with pytest.raises(ServerError):
        wire.sync()
    wire.office.lose_answer = False
    wire.sync()
    wire.bench.tap(issue(store, 2))
    wire.sync()

    assert settled(wire)
    assert wire.uplink.unseen == 0
