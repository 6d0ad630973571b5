# SPDX-License-Identifier: Apache-2.0
"""One presentation of a virtual card at a terminal with a real journal."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from card.errors import MuteCard, NoService
from card.operation import Connection
from hardware_mocks.cardos.cos import VirtualCard
from keys.errors import UnknownKey
from keys.psam import Mac2Rejected, PsamBlocked, PurchaseGrant, PurchaseRequest
from keys.store import FileKeyStore
from swipe import payloads
from swipe.event import Event, verify_event
from swipe.frames import FrameKind
from swipe.hotlist import CardSet, HotlistBitmap
from swipe.kinds import CardKind, CgType, EventType, Flag, OutageKind, RejectReason, Result
from swipe.notices import Config as ConfigNotice
from swipe.verify import verify_stream
from terminal.actions import close_period, set_mode, void_last
from terminal.policy import Mode, Say
from terminal.tap import present
from tests.factories import UTC_S, make_store
from tests.integration.terminal.bench import (
    HARD_NUMBER,
    SOFT_NUMBER,
    Bench,
    asn,
    connect,
    hardware_psam,
    issue,
    software_psam,
)
from tests.integration.terminal.proofs import all_hold

DEBIT, UPDATE_CAPP, INTERNAL_AUTHENTICATE = 0x54, 0xDC, 0x88


class Observed:
    """A connection that lets a test look or lie at single commands."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner
        self.commands: list[int] = []
        self.before: dict[int, object] = {}
        self.answers: dict[int, tuple[bytes, int]] = {}

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Pass a command on, unless the test has another answer for it."""
        ins = apdu[1]
        self.commands.append(ins)
        act = self.before.get(ins)
        if callable(act):
            act()
        data, sw = self._inner.transmit(apdu)
        return self.answers.get(ins, (data, sw))


class BrokenPsam:
    """A PSAM that fails where the test wants it to."""

    number = SOFT_NUMBER
    key_index = 2
    hardware = False

    def __init__(self, inner: object, init: Exception | None, credit: Exception | None) -> None:
        self._inner = inner
        self.init, self.credit = init, credit

    def init_purchase(self, request: PurchaseRequest) -> PurchaseGrant:
        """Fail, or ask the real one."""
        if self.init is not None:
            raise self.init
        grant: PurchaseGrant = self._inner.init_purchase(request)  # type: ignore[attr-defined]
        return grant

    def credit_purchase(self, mac2: bytes) -> None:
        """Fail, or ask the real one."""
        if self.credit is not None:
            raise self.credit
        self._inner.credit_purchase(mac2)  # type: ignore[attr-defined]


def last_event(bench: Bench) -> Event:
    """Return the newest event of the journal file."""
    return bench.events()[-1]


def test_first_tap_is_in(bench: Bench, store: FileKeyStore) -> None:
    """A card without an earlier tap taps in, with all three proofs and a valid signature."""
    outcome = bench.tap(issue(store, 1))
    event = last_event(bench)

    assert outcome.say is Say.IN
    assert outcome.event == event
    assert (event.type, event.result) == (EventType.IN, Result.OK)
    assert event.flags == Flag.NO_ACTIVITY | Flag.OFFLINE
    assert (event.card_kind, event.cg_type, event.dpk_idx) == (
        CardKind.PBOC_PURSE, CgType.DES3, 0x82,
    )  # fmt: skip
    assert (event.card_asn, event.psam_no, event.card_acc) == (asn(1), SOFT_NUMBER, 0)
    assert all_hold(store, event)
    assert verify_event(event, bench.identity.public_key)


def test_second_tap_is_out_and_points_at_the_first(bench: Bench, store: FileKeyStore) -> None:
    """Hours later the same card taps out; the event names the second of the tap before."""
    card = issue(store, 1)
    bench.tap(card)
    bench.clock.advance(3 * 3600 + 60)
    outcome = bench.tap(card)
    event = last_event(bench)

    assert (outcome.say, outcome.stay_s) == (Say.OUT, 3 * 3600 + 60)
    assert (event.type, event.card_acc, event.card_ctr) == (EventType.OUT, UTC_S, 1)
    assert (event.n_in, event.n_out) == (1, 0)
    assert all_hold(store, event)


def test_hardware_psam_is_told_from_software(tmp_path: Path, store: FileKeyStore) -> None:
    """With a PSAM card the key index is 1 and the number is the PSAM's."""
    bench = Bench(tmp_path, store, hardware_psam(store))
    bench.tap(issue(store, 1))
    event = last_event(bench)

    assert (event.dpk_idx, event.psam_no) == (1, HARD_NUMBER)
    assert all_hold(store, event)


def test_tap_takes_six_commands_and_two_syncs(bench: Bench, store: FileKeyStore) -> None:
    """A tap of a card that stays at its terminal costs six card commands and two syncs."""
    card = issue(store, 1)
    bench.tap(card)
    bench.clock.advance(3600)
    timings = bench.tap(card).timings

    assert (timings.commands, timings.syncs) == (6, 2)
    assert list(timings.phases) == [
        "select", "read", "decide", "presence", "initialize", "psam", "intent", "update", "debit",
        "check", "sign", "journal",
    ]  # fmt: skip
    assert 0 < timings.host_ns < timings.total_ns


def test_intent_is_durable_before_debit(bench: Bench, store: FileKeyStore) -> None:
    """When DEBIT leaves, the INTENT stands in the file and is the event but for the proof."""
    seen: list[bytes] = []
    connection = Observed(connect(issue(store, 1)))
    connection.before[DEBIT] = lambda: seen.extend(bench.frames(FrameKind.INTENT))
    connection.before[UPDATE_CAPP] = lambda: seen.extend(bench.frames(FrameKind.INTENT))
    present(bench.desk, connection)
    event = last_event(bench)
    intent = Event.from_signed_bytes(seen[-1])

    assert len(seen) == 2
    assert (intent.tac, intent.mac2, intent.result) == (bytes(4), bytes(4), Result.TORN)
    assert intent.cg2 == event.cg2
    assert intent.to_bytes()[:96] == event.to_bytes()[:96]
    assert connection.commands[-4:] == [INTERNAL_AUTHENTICATE, 0x50, UPDATE_CAPP, DEBIT]


def test_nervous_second_tap_costs_no_card_command(bench: Bench, store: FileKeyStore) -> None:
    """Within a minute the card is only read, and the duplicate names the tap it repeats."""
    card = issue(store, 1)
    first = bench.tap(card).event
    bench.clock.advance(15)
    outcome = bench.tap(card)
    event = last_event(bench)
    payload = payloads.parse(EventType.REJECTED, event.payload)

    assert first is not None
    assert (outcome.say, outcome.kind, outcome.utc_s) == (Say.DUPLICATE, EventType.IN, UTC_S)
    assert (outcome.timings.commands, outcome.timings.syncs) == (2, 1)
    assert (event.type, event.result) == (EventType.REJECTED, Result.SUPPRESSED)
    assert Flag.DUPLICATE in Flag(event.flags)
    assert (payload["reason"], payload["of_seq"]) == (RejectReason.DUPLICATE, first.seq)
    assert (payload["kind"], payload["utc_s"]) == (EventType.IN, UTC_S)


def test_duplicate_is_known_after_a_restart(bench: Bench, store: FileKeyStore) -> None:
    """The journal remembers the first tap over a restart of the program."""
    card = issue(store, 1)
    bench.tap(card)
    bench.clock.advance(15)
    bench.start()

    assert bench.tap(card).say is Say.DUPLICATE


def test_duplicate_of_a_tap_that_a_bad_sector_swallowed(bench: Bench, store: FileKeyStore) -> None:
    """What can no longer be read is still a tap: the second is a duplicate; key 2 undoes none."""
    card = issue(store, 1)
    tapped = bench.tap(card).event
    assert tapped is not None
    place = bench.desk.chain.journal.state.offsets[tapped.seq - 1]
    with bench.journal_path.open("r+b") as file:
        file.seek(place + 40)
        file.write(bytes(16))
    bench.clock.advance(5)

    assert void_last(bench.desk) is Say.NOTHING_TO_VOID
    again = bench.tap(card)
    assert again.say is Say.DUPLICATE
    assert again.event is not None
    assert again.event.type == EventType.REJECTED


def test_undone_tap_can_be_made_again(bench: Bench, store: FileKeyStore) -> None:
    """Key 2 within ten seconds undoes the tap, once, and the next tap is in again."""
    card = issue(store, 1)
    tapped = bench.tap(card).event
    bench.clock.advance(5)
    answers = [void_last(bench.desk), void_last(bench.desk)]
    event = last_event(bench)
    payload = payloads.parse(EventType.VOID_LAST, event.payload)
    again = bench.tap(card)

    assert tapped is not None
    assert answers == [Say.VOIDED, Say.NOTHING_TO_VOID]
    assert (event.card_asn, payload["voided_seq"]) == (asn(1), tapped.seq)
    assert again.say is Say.IN


def test_child_needs_the_guardian(bench: Bench, store: FileKeyStore) -> None:
    """A child alone is recorded with a flag; told to tap again behind the guardian, it stays in.

    The server credits the word to the tap that is there; an OUT would take the service away.
    """
    child, guardian = issue(store, 1, dt.date(2014, 5, 5)), issue(store, 2)
    alone = bench.tap(child)
    bench.clock.advance(120)
    bench.desk.guardian_key_ms = bench.clock.uptime
    attested = bench.tap(guardian)
    bench.clock.advance(60)
    accompanied = bench.tap(child)
    event = last_event(bench)
    payload = payloads.parse(EventType.REJECTED, event.payload)
    kinds = [(e.type, Flag(e.flags) & ~(Flag.OFFLINE | Flag.NO_ACTIVITY)) for e in bench.events()]

    assert alone.event is not None
    assert (alone.say, attested.say, accompanied.say) == (
        Say.MINOR_ALONE, Say.GUARDIAN, Say.GUARDED,
    )  # fmt: skip
    assert (accompanied.kind, accompanied.utc_s) == (EventType.IN, alone.utc_s)
    assert (payload["reason"], payload["of_seq"]) == (RejectReason.DUPLICATE, alone.event.seq)
    assert kinds[-3:] == [
        (EventType.IN, Flag.MINOR),
        (EventType.GUARDIAN, Flag(0)),
        (EventType.REJECTED, Flag.MINOR | Flag.GUARDIAN_PRESENT | Flag.DUPLICATE),
    ]


def test_word_too_late_for_the_entry_lets_the_child_leave(
    bench: Bench, store: FileKeyStore
) -> None:
    """Who is fetched hours later taps out, with the guardian beside."""
    child, guardian = issue(store, 1, dt.date(2014, 5, 5)), issue(store, 2)
    bench.tap(child)
    bench.clock.advance(7200)
    bench.desk.guardian_key_ms = bench.clock.uptime
    bench.tap(guardian)

    assert bench.tap(child).say is Say.OUT


def test_guardian_key_is_forgotten(bench: Bench, store: FileKeyStore) -> None:
    """A key pressed by mistake makes nobody a guardian a minute later."""
    bench.desk.guardian_key_ms = bench.clock.uptime
    bench.clock.advance(60)

    assert bench.tap(issue(store, 1)).say is Say.IN


def test_reported_lost_card_is_recorded_in_red(bench: Bench, store: FileKeyStore) -> None:
    """A card on the hotlist makes a full tap that says so."""
    bench.desk.notices.hotlist = HotlistBitmap(7, 0, CardSet.of([asn(1)]))
    outcome = bench.tap(issue(store, 1))
    event = last_event(bench)

    assert (outcome.say, outcome.kind) == (Say.HOTLISTED, EventType.IN)
    assert Flag.HOTLISTED in Flag(event.flags)
    assert all_hold(store, event)


def test_activity_of_the_hour_stands_in_the_tap(bench: Bench, store: FileKeyStore) -> None:
    """The tap names the activity that is on, and so does the record on the card."""
    document = {
        "version": 1,
        "site": {"id": 3, "name_zh": "莲花山", "name_en": "Lianhua", "tz_q": 32},
        "activities": [
            {"id": 31, "name_zh": "导览", "name_en": "Guide", "start": UTC_S, "end": UTC_S + 3600}
        ],
    }
    bench.configure(ConfigNotice(1, json.dumps(document).encode()))
    bench.clock.advance(600)
    bench.tap(issue(store, 1))
    event = last_event(bench)

    assert (event.activity, Flag(event.flags)) == (31, Flag.OFFLINE)


def test_fixed_mode_is_kept_over_a_restart(bench: Bench, store: FileKeyStore) -> None:
    """The mode key is an event, so it survives the program."""
    set_mode(bench.desk, Mode.OUT)
    bench.start()

    assert bench.tap(issue(store, 1)).say is Say.OUT


def test_blank_card_is_named(bench: Bench) -> None:
    """A card that was never issued gets its own answer and leaves no event."""
    before = len(bench.events())

    assert bench.tap(VirtualCard()).say is Say.BLANK
    assert len(bench.events()) == before


def test_foreign_card_is_named(bench: Bench) -> None:
    """A card of somebody else gets its own answer and leaves no event."""
    card = VirtualCard()
    connect(card).transmit(bytes.fromhex("80E03F000D38FFFFF0F001FFFFFFFFFFFFFF"))
    before = len(bench.events())

    assert bench.tap(card).say is Say.FOREIGN
    assert len(bench.events()) == before


class Silent:
    """A connection to a card that does not answer, or to a service that is gone."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Fail."""
        raise self._error


def test_mute_card_is_named(bench: Bench) -> None:
    """A card that does not answer gets its own answer."""
    assert present(bench.desk, Silent(MuteCard())).say is Say.MUTE


def test_lost_service_is_the_programs_matter(bench: Bench) -> None:
    """When the reader's service goes away there is nobody to answer to."""
    with pytest.raises(NoService):
        present(bench.desk, Silent(NoService()))


@pytest.mark.parametrize(
    ("sw", "say", "code"),
    [
        (0x6A80, Say.CARD_FAULT, "6A80"),
        (0x9402, Say.WORN_OUT, ""),
        (0x6983, Say.CARD_BLOCKED, ""),
        (0x9303, Say.CARD_BLOCKED, ""),
    ],
)
def test_card_that_refuses_is_named(
    bench: Bench, store: FileKeyStore, sw: int, say: Say, code: str
) -> None:
    """A refusal at INITIALIZE ends the tap before anything was promised.

    What is locked for good goes to the desk: trying again, as E14 says, helps nobody.
    """
    connection = Observed(connect(issue(store, 1)))
    connection.answers[0x50] = (b"", sw)
    outcome = present(bench.desk, connection)

    assert (outcome.say, outcome.code) == (say, code)
    assert bench.frames(FrameKind.INTENT) == []


def test_purse_with_value_makes_no_tap(bench: Bench, store: FileKeyStore) -> None:
    """A card whose purse is not empty is no attendance card; nothing is begun."""
    connection = Observed(connect(issue(store, 1)))
    connection.answers[0x50] = (bytes.fromhex("00000001") + bytes(11), 0x9000)

    assert present(bench.desk, connection).say is Say.CARD_FAULT
    assert bench.frames(FrameKind.INTENT) == []


def test_debit_answered_by_an_error_leaves_a_torn_tap(bench: Bench, store: FileKeyStore) -> None:
    """A status word after DEBIT does not say that nothing was done: the card brings the proof."""
    card = issue(store, 1)
    connection = Observed(connect(card))
    connection.answers[DEBIT] = (b"", 0x6985)
    refused = present(bench.desk, connection)
    bench.clock.advance(10)
    repeated = bench.tap(card)

    assert (refused.say, refused.code, repeated.say) == (Say.CARD_FAULT, "6985", Say.IN)
    assert bench.frames(FrameKind.ABANDON) == []
    assert [(e.type, e.result) for e in bench.events()[-2:]] == [
        (EventType.IN, Result.TORN), (EventType.TORN_RESOLVED, Result.RESOLVED),
    ]  # fmt: skip


def test_psam_of_other_keys_is_refused_by_the_card(
    bench: Bench, store: FileKeyStore, tmp_path: Path
) -> None:
    """A wrong MAC1 is refused by the card; the tap is closed and the next one works."""
    (tmp_path / "other").mkdir()
    right = bench.desk.psam
    other = make_store(tmp_path / "other" / "keys")
    bench.desk.psam = software_psam(tmp_path / "other", other)
    card = issue(store, 1)
    refused = bench.tap(card)
    bench.desk.psam = right
    bench.clock.advance(61)
    accepted = bench.tap(card)

    assert (refused.say, accepted.say) == (Say.PSAM_FAILED, Say.IN)
    assert len(bench.frames(FrameKind.ABANDON)) == 1
    assert accepted.event is not None
    assert accepted.event.card_ctr == 0


@pytest.mark.parametrize(
    "error", [UnknownKey("purchase", 1), PsamBlocked("test"), OSError(28, "full")]
)
def test_failed_psam_is_an_outage(bench: Bench, store: FileKeyStore, error: Exception) -> None:
    """Without MAC1 the card is recorded as refused, and an OUTAGE encloses the time."""
    broken = BrokenPsam(bench.desk.psam, error, None)
    bench.desk.psam = broken
    card = issue(store, 1)
    refused = [bench.tap(card).say, bench.tap(card).say]
    bench.desk.write_notes()
    broken.init = None
    bench.clock.advance(90)
    accepted = bench.tap(card)
    bench.desk.write_notes()
    outages = [
        payloads.parse(EventType.OUTAGE, e.payload)
        for e in bench.events()
        if e.type == EventType.OUTAGE
    ]

    assert refused == [Say.PSAM_FAILED, Say.PSAM_FAILED]
    assert accepted.say is Say.IN
    assert [(outage["kind"], outage["started"], outage["ended"]) for outage in outages] == [
        (OutageKind.PSAM, UTC_S, 0),
        (OutageKind.PSAM, UTC_S, UTC_S + 90),
    ]


@pytest.mark.parametrize("error", [Mac2Rejected(9), PsamBlocked("test")])
def test_wrong_mac2_is_not_accepted(bench: Bench, store: FileKeyStore, error: Exception) -> None:
    """A card whose MAC2 the PSAM refuses gets red and a torn tap; a genuine one's proof comes."""
    broken = BrokenPsam(bench.desk.psam, None, error)
    bench.desk.psam = broken
    card = issue(store, 1)
    refused = bench.tap(card)
    broken.credit = None
    bench.clock.advance(3600)
    later = bench.tap(card)

    assert (refused.say, later.say) == (Say.NOT_GENUINE, Say.OUT)
    assert [(e.type, e.result) for e in bench.events()][-4:] == [
        (EventType.IN, Result.TORN), (EventType.REJECTED, Result.OK),
        (EventType.TORN_RESOLVED, Result.RESOLVED), (EventType.OUT, Result.OK),
    ]  # fmt: skip


def test_psam_lost_after_debit_loses_no_tap(bench: Bench, store: FileKeyStore) -> None:
    """When only the check of MAC2 fails to happen, the tap counts; the server checks it too."""
    bench.desk.psam = BrokenPsam(bench.desk.psam, None, OSError(5, "gone"))
    outcome = bench.tap(issue(store, 1))

    assert outcome.say is Say.IN
    assert all_hold(store, last_event(bench))


def test_hole_in_the_psam_numbers_is_reported(bench: Bench, store: FileKeyStore) -> None:
    """A PSAM that was used elsewhere shows by its number."""
    card = issue(store, 1)
    bench.tap(card)
    used = bench.tap(issue(store, 2)).event
    assert used is not None
    request = PurchaseRequest(bytes(4), 0, 0, 9, bytes(4), bytes(3), 1, 0, bytes(8))
    bench.desk.psam.init_purchase(request)
    bench.clock.advance(3600)
    bench.tap(card)
    bench.desk.write_notes()
    event = last_event(bench)

    assert event.type == EventType.TAMPER
    assert payloads.parse(EventType.TAMPER, event.payload) == {
        "kind": 1, "expected": used.psam_seq + 1, "found": used.psam_seq + 2,
    }  # fmt: skip


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_attestation_between_two_taps_makes_no_out(
    bench: Bench, store: FileKeyStore, *, restart: bool
) -> None:
    """IN, the same card as a guardian's, and again within the minute: a duplicate of the IN."""
    card = issue(store, 1)
    entered = bench.tap(card).event
    bench.clock.advance(20)
    bench.desk.guardian_key_ms = bench.clock.uptime
    attested = bench.tap(card)
    set_mode(bench.desk, Mode.OUT)
    if restart:
        bench.start()
    bench.clock.advance(20)
    second = bench.tap(card)
    bench.clock.advance(20)
    third = bench.tap(card)

    assert entered is not None
    assert (attested.say, second.say, third.say) == (Say.GUARDIAN, Say.DUPLICATE, Say.OUT)
    assert (second.kind, second.utc_s) == (EventType.IN, entered.utc_s)


def test_undone_tap_before_an_attestation_is_no_duplicate(
    bench: Bench, store: FileKeyStore
) -> None:
    """IN, undone, the same card as a guardian's: the next tap is made."""
    card = issue(store, 1)
    bench.tap(card)
    void_last(bench.desk)
    bench.desk.guardian_key_ms = bench.clock.uptime
    bench.tap(card)
    bench.clock.advance(10)
    set_mode(bench.desk, Mode.IN)

    assert bench.tap(card).say is Say.IN


def test_journal_of_a_day_verifies(bench: Bench, store: FileKeyStore) -> None:
    """After taps, refusals, undo, restart and settlement the offline verifier finds no fault."""
    cards = [issue(store, number) for number in (1, 2, 3)]
    for card in cards:
        bench.tap(card)
    bench.tap(cards[0])
    void_last(bench.desk)
    bench.clock.advance(7200)
    bench.start()
    for card in cards:
        bench.tap(card)
    close_period(bench.desk.chain)
    with bench.journal_path.open("rb") as file:
        report = verify_stream(file)

    assert report.findings == []
    assert last_event(bench).type == EventType.CLOSE
