# SPDX-License-Identifier: Apache-2.0
"""A volunteer's code on a phone, checked off line by a terminal with a real journal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swipe.event import verify_event
from swipe.hotlist import CardSet, HotlistBitmap
from swipe.kinds import CardKind, CgType, EventType, Flag, RejectReason, Result
from swipe.payloads import parse
from swipe.phone_token import MINOR, SEEN_LAYOUT, PhoneToken, seen_digest, token_code
from terminal.actions import set_mode, void_last
from terminal.clock import Earlier, Reading, TerminalTime
from terminal.errors import NotSaved
from terminal.journal import Journal
from terminal.phone_token import is_fresh, present_token
from terminal.policy import Mode, Say
from terminal.tap import Outcome
from tests.factories import UTC_S, make_identity
from tests.integration.terminal.bench import Bench, issue

ASN = bytes.fromhex("00005949000000007001")
TOKEN = PhoneToken(ASN, bytes(range(8)), UTC_S - 10, key_id=9)


def code_of(bench: Bench, token: PhoneToken = TOKEN) -> bytes:
    """Return what a scanner reads of a token that the bench's server signed."""
    return token_code(token.to_bytes(bench.server)).encode()


def show(bench: Bench, token: PhoneToken = TOKEN) -> Outcome:
    """Show a token at the terminal."""
    return present_token(bench.desk, code_of(bench, token))


def fresh(bench: Bench, number: int, **changes: int) -> PhoneToken:
    """Return another token of the same electronic card, signed now."""
    now_s = bench.clock.utc_ms() // 1000
    return replace(TOKEN, token_id=number.to_bytes(8), issued_s=now_s, **changes)


def test_a_first_code_is_recorded_with_its_traces(bench: Bench) -> None:
    """The event says token twice, carries its digest, and is signed and durable."""
    outcome = show(bench)
    event = bench.events()[-1]
    seen = SEEN_LAYOUT.unpack(event.payload)

    assert outcome.say is Say.RECORDED
    assert outcome.event == event
    assert (event.type, event.card_kind, event.cg_type) == (
        EventType.AUTO,
        CardKind.TOKEN,
        CgType.TOKEN,
    )
    assert (event.card_asn, event.psam_no, event.dpk_idx) == (ASN, bytes(6), 0)
    assert (seen["token_id"], seen["issued_s"]) == (TOKEN.token_id, TOKEN.issued_s)
    assert seen["seen"] == seen_digest(TOKEN.to_bytes(bench.server))
    assert verify_event(event, bench.identity.public_key)


def test_mode_keys_give_the_direction(bench: Bench) -> None:
    """With key 1 a code is an IN; the OUT that follows by itself tells the stay."""
    set_mode(bench.desk, Mode.IN)
    entered = show(bench)
    set_mode(bench.desk, Mode.AUTO)
    bench.clock.advance(3 * 3600)
    left = show(bench, fresh(bench, 2))

    assert (entered.say, left.say) == (Say.IN, Say.OUT)
    assert left.stay_s == 3 * 3600
    assert (bench.events()[-1].n_in, bench.events()[-1].n_out) == (1, 0)


def test_a_code_shown_twice_in_a_minute_is_a_duplicate(bench: Bench) -> None:
    """The nervous second look is never an OUT and never a void."""
    first = show(bench)
    again = show(bench)
    event = bench.events()[-1]

    assert (first.say, again.say) == (Say.RECORDED, Say.DUPLICATE)
    assert (event.type, event.result) == (EventType.REJECTED, Result.SUPPRESSED)
    assert first.event is not None
    assert parse(event.type, event.payload)["of_seq"] == first.event.seq


def test_a_code_counts_once(bench: Bench) -> None:
    """The same token after a minute, others in between, is refused as used and recorded."""
    long_lived = replace(TOKEN, life_s=600)
    show(bench, long_lived)
    bench.clock.advance(61)
    show(bench, fresh(bench, 2))
    bench.clock.advance(61)
    used = show(bench, long_lived)
    event = bench.events()[-1]

    assert used.say is Say.CODE_USED
    assert parse(event.type, event.payload)["reason"] == RejectReason.DUPLICATE


def test_the_journal_is_the_memory(bench: Bench) -> None:
    """A restart does not make a used code fresh."""
    show(bench)
    bench.clock.advance(61)
    bench.desk.chain.journal.close()
    bench.start()

    assert show(bench).say is Say.CODE_USED


@pytest.mark.parametrize("shift_s", [-700, -140, 20])
def test_a_stale_or_future_code_is_refused(bench: Bench, shift_s: int) -> None:
    """Outside its life the code is refused, and the refusal is recorded."""
    now_s = bench.clock.utc_ms() // 1000
    outcome = show(bench, replace(TOKEN, issued_s=now_s + shift_s))
    event = bench.events()[-1]

    assert outcome.say is Say.CODE_STALE
    assert (event.type, event.card_asn) == (EventType.REJECTED, ASN)
    assert parse(event.type, event.payload)["reason"] == RejectReason.EXPIRED


@pytest.mark.parametrize(
    ("reading", "fresh_now"),
    [
        (Reading((TOKEN.expires_s + 5) * 1000, 0, 0, known=True), True),
        (Reading((TOKEN.expires_s + 6) * 1000, 0, 0, known=True), False),
        (Reading((TOKEN.expires_s + 60) * 1000, 0, 60_000, known=True), True),
        (Reading((TOKEN.issued_s - 6) * 1000, 0, 0, known=True), False),
        (Reading((TOKEN.issued_s - 60) * 1000, 0, 60_000, known=True), True),
        (Reading(0, 0, 0, known=False), True),
        (Reading((TOKEN.expires_s + 700) * 1000, 0, 700_000, known=True), True),
        (Reading((TOKEN.expires_s + 706) * 1000, 0, 700_000, known=True), False),
    ],
)
def test_the_clock_s_own_uncertainty_counts(reading: Reading, *, fresh_now: bool) -> None:
    """A code is fresh if some instant the clock may mean is; an unknown clock refuses nobody."""
    assert is_fresh(TOKEN, reading) is fresh_now


def test_a_listed_phone_is_recorded_and_told(bench: Bench) -> None:
    """A lost phone's code makes an event with the flag, and the screen says whom to see."""
    bench.desk.notices.hotlist = HotlistBitmap(1, 0, CardSet.of([ASN]))
    outcome = show(bench)

    assert outcome.say is Say.HOTLISTED
    assert bench.events()[-1].flags & Flag.HOTLISTED


def test_a_minor_alone_is_held(bench: Bench) -> None:
    """The token carries that the rules for minors apply."""
    assert show(bench, replace(TOKEN, flags=MINOR)).say is Say.MINOR_ALONE
    assert bench.events()[-1].flags & Flag.MINOR


def test_another_server_s_code_leaves_no_event(bench: Bench) -> None:
    """A code that our server did not sign is not ours, as a foreign card is not."""
    before = len(bench.events())
    other = token_code(TOKEN.to_bytes(make_identity("other"))).encode()

    assert present_token(bench.desk, other).say is Say.CODE_FOREIGN
    assert len(bench.events()) == before


def test_key_2_undoes_a_code(bench: Bench) -> None:
    """Within ten seconds the tap by phone is undone like any other."""
    show(bench)
    bench.clock.advance(3)

    assert void_last(bench.desk) is Say.VOIDED
    assert show(bench, fresh(bench, 2)).say is not Say.DUPLICATE


def test_a_card_after_a_code_is_its_own_tap(bench: Bench) -> None:
    """The PSAM's numbers go on undisturbed: a code uses none."""
    show(bench)
    outcome = bench.tap(issue(bench.store, 71))

    assert outcome.say is Say.IN
    assert not any(event.type == EventType.TAMPER for event in bench.events())


class FullJournal:
    """A journal on a disk without room."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def add_event(self, *_: object, **__: object) -> None:
        """Refuse."""
        raise NotSaved("no room")


def test_a_full_disk_is_said(bench: Bench) -> None:
    """A code whose event is not durable is never green."""
    bench.desk.chain.journal = cast("Journal", FullJournal(bench.desk.chain.journal))

    assert show(bench).say is Say.NOT_SAVED


def test_a_torn_tap_keeps_its_number(bench: Bench) -> None:
    """A tap whose event found no room is written before the code that comes after it."""
    bench.tap(issue(bench.store, 2))
    journal = bench.desk.chain.journal
    bench.desk.chain.journal = cast("Journal", FullJournal(journal))
    assert bench.tap(issue(bench.store, 1)).say is Say.NOT_SAVED
    intent = journal.state.intent
    bench.desk.chain.journal = journal
    outcome = show(bench)
    torn = bench.events()[-2]

    assert intent is not None
    assert outcome.say is Say.RECORDED
    assert (torn.signed_bytes, torn.result) == (intent, Result.TORN)
    assert bench.events()[-1].seq == torn.seq + 1


def test_a_code_counts_once_where_nobody_knows_the_time(bench: Bench) -> None:
    """Without a clock any code may be fresh: one that was taken hours ago is still known."""
    bench.desk.chain.time = TerminalTime(bench.clock, 50, Earlier(0))
    first = show(bench)
    for number in range(2, 5):
        bench.clock.advance(3600)
        show(bench, fresh(bench, number))
    bench.clock.advance(3600)

    assert first.say is Say.RECORDED
    assert show(bench).say is Say.CODE_USED


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_no_scan_stops_the_terminal(bench: Bench, code: bytes) -> None:
    """Whatever is scanned that is no token, the answer is "not our code"."""
    assert present_token(bench.desk, code).say is Say.CODE_FOREIGN
