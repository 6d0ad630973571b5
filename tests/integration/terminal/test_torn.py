# SPDX-License-Identifier: Apache-2.0
"""Cards pulled off at every command, and disks that fail at every write."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from card.errors import CardError, CardRemoved, MuteCard
from card.protocol import T0Connection
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.tear import Moment, Tear
from keys.store import FileKeyStore
from swipe.event import Event
from swipe.frames import FrameKind
from swipe.kinds import PROVEN_TYPES, EventType, Result
from swipe.verify import verify_stream
from terminal.errors import NotSaved
from terminal.journal import Journal
from terminal.policy import Say
from terminal.storage import FileStorage
from terminal.tap import present
from tests.factories import UTC_S
from tests.integration.terminal.bench import (
    HARD_NUMBER,
    Bench,
    InProcess,
    connect,
    hardware_psam,
    issue,
    software_psam,
)
from tests.integration.terminal.proofs import all_hold, mac2_of, tac_of

# SELECT, READ RECORD, INTERNAL AUTHENTICATE, INITIALIZE, UPDATE CAPP and DEBIT, four of them with
# a GET RESPONSE; the last round is undisturbed.
COMMANDS_MAX = 11


def taps_of(bench: Bench) -> Counter[tuple[bytes, int]]:
    """Count for each card and counter how often it stands as made or resolved in the journal."""
    proven = [e for e in bench.events() if e.type in PROVEN_TYPES and e.result != Result.TORN]
    return Counter((e.card_asn, e.card_ctr) for e in proven)


def card_counter(card: VirtualCard) -> int:
    """Return the card's transaction counter."""
    connection = connect(card)
    connection.transmit(bytes.fromhex("00A4040006F059494B4101"))
    data, _ = connection.transmit(bytes.fromhex("805003020B02000000000000000000000F"))
    return int.from_bytes(data[4:6])


@pytest.mark.parametrize("moment", list(Moment), ids=lambda moment: moment.name)
def test_pulled_off_at_every_command(tmp_path: Path, store: FileKeyStore, moment: Moment) -> None:
    """Wherever the card is pulled, the next presentation completes or makes the tap, once."""
    for number in range(COMMANDS_MAX):
        folder = tmp_path / str(number)
        folder.mkdir()
        bench = Bench(folder, store, software_psam(folder, store))
        card = issue(store, 1)
        card.tear(Tear(commands=number, moment=moment))
        first = bench.tap(card)
        card.tear(None)
        bench.clock.advance(10)
        second = bench.tap(card)

        assert (first.say is Say.IN) == (number == COMMANDS_MAX - 1), number
        assert second.say is (Say.DUPLICATE if first.say is Say.IN else Say.IN), number
        assert set(taps_of(bench).values()) == {1}, number
        assert len(taps_of(bench)) == card_counter(card) == 1, number


def test_torn_tap_is_completed_at_the_second_presentation(
    bench: Bench, store: FileKeyStore
) -> None:
    """The card committed, its answer was lost: the repeated tap brings the proof and no second."""
    card = issue(store, 1)
    card.tear(Tear(ins=0x54, moment=Moment.BEFORE_ANSWER))
    first = bench.tap(card)
    bench.clock.advance(8)
    second = bench.tap(card)
    torn, resolved = bench.events()[-2:]

    assert (first.say, second.say) == (Say.AGAIN, Say.IN)
    assert (torn.type, torn.result, torn.tac, torn.mac2) == (
        EventType.IN, Result.TORN, bytes(4), bytes(4),
    )  # fmt: skip
    assert (resolved.type, resolved.result) == (EventType.TORN_RESOLVED, Result.RESOLVED)
    assert (resolved.utc_s, resolved.card_ctr, resolved.psam_seq) == (
        torn.utc_s, torn.card_ctr, torn.psam_seq,
    )  # fmt: skip
    assert resolved.up_total_ms - torn.up_total_ms == 8000
    assert (resolved.tac, resolved.mac2) == (tac_of(store, resolved), mac2_of(store, torn, 0x82))
    assert (resolved.card_acc, resolved.site, resolved.cg_type) == (EventType.IN << 24, 0, 0)
    assert (resolved.utc_ms, resolved.unc_ms) == (torn.utc_ms, torn.unc_ms)


class Chained:
    """A raw connection whose card carries DEBIT out; its GET RESPONSE goes as the test says."""

    def __init__(self, card: VirtualCard, answer: tuple[bytes, int] | CardError) -> None:
        card.power_on()
        self._inner, self._answer, self._after_debit = InProcess(card), answer, False

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Pass everything on but the GET RESPONSE behind DEBIT."""
        if apdu[1] != 0xC0:
            self._after_debit = apdu[1] == 0x54
        elif self._after_debit:
            if isinstance(self._answer, CardError):
                raise self._answer
            return self._answer
        return self._inner.transmit(apdu)


@pytest.mark.parametrize(
    ("answer", "say"),
    [
        ((b"", 0x6F00), Say.AGAIN),
        ((b"", 0x6985), Say.AGAIN),
        ((b"", 0x9302), Say.AGAIN),
        (MuteCard(), Say.AGAIN),
        (CardRemoved(), Say.AGAIN),
        ((bytes(3), 0x9000), Say.AGAIN),
        ((bytes(200), 0x9000), Say.AGAIN),
        ((b"", 0x0000), Say.AGAIN),
        ((bytes(8), 0x9000), Say.NOT_GENUINE),
    ],
    ids=["6F00", "6985", "9302", "mute", "gone", "short", "long", "no-status", "garbage"],
)
def test_committed_tap_whose_answer_cannot_be_fetched_is_torn(
    bench: Bench, store: FileKeyStore, answer: tuple[bytes, int] | CardError, say: Say
) -> None:
    """Whatever comes instead of DEBIT's answer, the tap stays torn and its proof is fetched.

    After an answer that the PSAM refused there is no green light: the server decides.
    """
    card = issue(store, 1)
    first = present(bench.desk, T0Connection(Chained(card, answer)))
    bench.clock.advance(8)
    second = bench.tap(card)
    taps = [(e.type, e.result) for e in bench.events() if e.type in PROVEN_TYPES]

    after = Say.TO_CHECK if say is Say.NOT_GENUINE else Say.IN
    assert (first.say, second.say) == (say, after)
    assert bench.frames(FrameKind.ABANDON) == []
    assert taps == [
        (EventType.IN, Result.TORN), (EventType.TORN_RESOLVED, Result.RESOLVED),
    ]  # fmt: skip
    assert card_counter(card) == 1


def test_torn_attestation_counts_when_it_is_completed(bench: Bench, store: FileKeyStore) -> None:
    """A guardian whose card was pulled off attests with the second presentation."""
    guardian, child = issue(store, 1), issue(store, 2, dt.date(2014, 5, 5))
    bench.desk.guardian_key_ms = bench.clock.uptime
    guardian.tear(Tear(ins=0x54, moment=Moment.BEFORE_ANSWER))
    bench.tap(guardian)
    bench.clock.advance(8)
    attested = bench.tap(guardian)
    bench.clock.advance(20)

    assert attested.say is Say.GUARDIAN
    assert bench.tap(child).say is Say.IN


def test_torn_tap_is_resolved_hours_later(bench: Bench, store: FileKeyStore) -> None:
    """Who walked away after a torn tap taps out later: first the proof, then the new tap."""
    card = issue(store, 1)
    card.tear(Tear(ins=0x54, moment=Moment.BEFORE_ANSWER))
    bench.tap(card)
    bench.clock.advance(3 * 3600)
    outcome = bench.tap(card)

    assert outcome.say is Say.OUT
    assert [e.type for e in bench.events()][-3:] == [
        EventType.IN, EventType.TORN_RESOLVED, EventType.OUT,
    ]  # fmt: skip
    assert (outcome.timings.commands, outcome.timings.syncs) == (7, 2)


def test_tap_the_card_never_committed_is_made_anew(bench: Bench, store: FileKeyStore) -> None:
    """When DEBIT never reached the card, nothing is resolved and the tap is simply made."""
    card = issue(store, 1)
    card.tear(Tear(ins=0x54, moment=Moment.BEFORE_COMMAND))
    bench.tap(card)
    bench.clock.advance(8)
    outcome = bench.tap(card)
    torn, made = bench.events()[-2:]

    assert outcome.say is Say.IN
    assert (torn.result, made.result) == (Result.TORN, Result.OK)
    assert torn.card_ctr == made.card_ctr == 0


def test_torn_tap_is_resolved_at_another_terminal(tmp_path: Path, store: FileKeyStore) -> None:
    """The other terminal rebuilds the tap from the card alone, and its proof is right."""
    there = Bench(tmp_path / "a", store, hardware_psam(store))
    here = Bench(tmp_path / "b", store, software_psam(tmp_path, store), terminal_id=8)
    card = issue(store, 1)
    there.tap(card)
    there.clock.advance(3 * 3600)
    card.tear(Tear(ins=0x54, moment=Moment.BEFORE_ANSWER))
    torn = there.tap(card).event
    here.clock.advance(4 * 3600)
    outcome = here.tap(card)
    resolved, _, entered = here.events()[-3:]

    assert torn is not None
    assert outcome.say is Say.IN
    assert (resolved.type, resolved.psam_no) == (EventType.TORN_RESOLVED, HARD_NUMBER)
    assert (resolved.utc_s, resolved.card_acc) == (UTC_S + 3 * 3600, EventType.OUT << 24)
    assert (resolved.tac, resolved.mac2) == (tac_of(store, resolved), mac2_of(store, torn, 1))
    assert all_hold(store, entered)
    assert outcome.timings.commands == 7


def test_resolved_tap_is_not_fetched_twice(tmp_path: Path, store: FileKeyStore) -> None:
    """When the tap after a fetched proof fails, the next one does not fetch it again."""
    there = Bench(tmp_path / "a", store, hardware_psam(store))
    here = Bench(tmp_path / "b", store, software_psam(tmp_path, store), terminal_id=8)
    card = issue(store, 1)
    there.tap(card)
    here.clock.advance(3600)
    card.tear(Tear(ins=0x88))
    here.tap(card)
    here.tap(card)

    assert [e.type for e in here.events()].count(EventType.TORN_RESOLVED) == 1


def test_repeat_at_another_terminal_keeps_the_direction(
    tmp_path: Path, store: FileKeyStore
) -> None:
    """Torn at one gate and tapped at the next within a minute: still in, not out."""
    there = Bench(tmp_path / "a", store, hardware_psam(store))
    here = Bench(tmp_path / "b", store, software_psam(tmp_path, store), terminal_id=8)
    card = issue(store, 1)
    card.tear(Tear(ins=0x54, moment=Moment.BEFORE_ANSWER))
    there.tap(card)
    here.clock.advance(30)

    assert here.tap(card).say is Say.IN


def test_crash_between_intent_and_event(bench: Bench, store: FileKeyStore) -> None:
    """A program killed after DEBIT finds the INTENT at its start and writes the torn event."""
    card = issue(store, 1)
    bench.tap(card)
    content = bench.journal_path.read_bytes()
    last = bench.frames(FrameKind.EVENT)[-1]
    bench.journal_path.write_bytes(content[: -len(last) - 9])
    bench.clock.advance(30)
    bench.start()
    torn, boot = bench.events()[-2:]
    outcome = bench.tap(card)

    assert (torn.type, torn.result) == (EventType.IN, Result.TORN)
    assert torn.to_bytes()[:96] == last[:96]
    assert boot.type == EventType.BOOT
    assert outcome.say is Say.IN
    assert set(taps_of(bench).values()) == {1}


def test_lost_journal_end_shows_on_the_card(bench: Bench, store: FileKeyStore) -> None:
    """A tap of ours that the journal has lost altogether comes back with its proof."""
    card = issue(store, 1)
    start = bench.journal_path.read_bytes()
    bench.tap(card)
    bench.journal_path.write_bytes(start)
    bench.clock.advance(3600)
    bench.start()
    outcome = bench.tap(card)

    assert outcome.say is Say.OUT
    assert [e.type for e in bench.events()][-3:] == [
        EventType.TORN_RESOLVED, EventType.OPEN, EventType.OUT,
    ]  # fmt: skip


@dataclass
class Faults:
    """A real file that refuses its n-th append or sync, once."""

    storage: FileStorage
    countdown: int
    at_sync: bool

    @property
    def size(self) -> int:
        """Return the length in bytes."""
        return self.storage.size

    def append(self, data: bytes) -> None:
        """Append, or fail as a full disk does."""
        if not self.at_sync:
            self._count(unknown_end=False)
        self.storage.append(data)

    def sync(self) -> None:
        """Sync, or fail as a broken disk does."""
        if self.at_sync:
            self._count(unknown_end=True)
        self.storage.sync()

    def _count(self, *, unknown_end: bool) -> None:
        self.countdown -= 1
        if self.countdown == 0:
            raise NotSaved("test", unknown_end=unknown_end)

    def __getattr__(self, name: str) -> object:
        return getattr(self.storage, name)


# A first tap appends OPEN, INTENT and event, the duplicate after it one more; OPEN has no sync.
@pytest.mark.parametrize(("at_sync", "writes"), [(False, 4), (True, 3)], ids=["append", "sync"])
def test_disk_that_fails_at_every_write(
    tmp_path: Path, store: FileKeyStore, writes: int, *, at_sync: bool
) -> None:
    """Whichever write fails: no green without a record, and in the end there is one tap."""
    unsaved = 0
    for countdown in range(1, writes + 1):
        folder = tmp_path / str(countdown)
        folder.mkdir()
        bench = Bench(folder, store, software_psam(folder, store))
        journal = bench.desk.chain.journal
        journal.close()
        storage = Faults(FileStorage(bench.journal_path), countdown + at_sync, at_sync)
        bench.desk.chain.journal = Journal(storage, journal.header)  # type: ignore[arg-type]
        card = issue(store, 1)
        says = []
        for _ in range(3):
            says.append(bench.tap(card).say)
            saved = len(taps_of(bench))
            bench.clock.advance(10)
            assert says.count(Say.IN) <= saved <= 1, countdown
        unsaved += Say.NOT_SAVED in says

        assert set(says) <= {Say.IN, Say.DUPLICATE, Say.NOT_SAVED}, countdown
        assert says[-1] is Say.DUPLICATE, countdown
        assert set(taps_of(bench).values()) == {1}, countdown
        assert len(taps_of(bench)) == card_counter(card), countdown
        with bench.journal_path.open("rb") as file:
            assert verify_stream(file).findings == [], countdown

    assert unsaved == writes


def test_damaged_intent_is_recorded_without_credit(bench: Bench, store: FileKeyStore) -> None:
    """Of an INTENT that can no longer be trusted only card and PSAM number are told."""
    card = issue(store, 1)
    bench.tap(card)
    content = bytearray(bench.journal_path.read_bytes())
    last = Event.from_bytes(bench.frames(FrameKind.EVENT)[-1])
    del content[-(224 + 9) :]
    content[-40] ^= 0x10
    bench.journal_path.write_bytes(bytes(content))
    bench.start()
    lost, boot = bench.events()[-2:]

    assert (lost.type, lost.result, lost.card_asn) == (EventType.TORN, Result.TORN, last.card_asn)
    assert (lost.psam_seq, lost.cg_type, lost.seq) == (last.psam_seq, 0, last.seq)
    assert boot.type == EventType.BOOT


@pytest.mark.parametrize(
    ("at", "name"), [(62, "psam_no"), (102, "psam_seq")], ids=["psam_no", "psam_seq"]
)
def test_damaged_number_of_an_intent_is_told_as_none(
    bench: Bench, store: FileKeyStore, at: int, name: str
) -> None:
    """A PSAM number that is not the next one is the damage itself: nobody counts on from it."""
    bench.tap(issue(store, 1))
    bench.clock.advance(90)
    bench.tap(issue(store, 2))
    content = bytearray(bench.journal_path.read_bytes())
    last = Event.from_bytes(bench.frames(FrameKind.EVENT)[-1])
    del content[-(224 + 9) :]
    content[len(content) - 160 + at] ^= 0x80
    bench.journal_path.write_bytes(bytes(content))
    bench.start()
    state = bench.desk.chain.journal.state
    lost = bench.events()[-2]

    assert (lost.type, lost.psam_seq, lost.psam_no) == (EventType.TORN, 0, last.psam_no), name
    assert state.psam_last == last.psam_seq - 1
