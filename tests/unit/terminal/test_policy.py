# SPDX-License-Identifier: Apache-2.0
"""Every branch of the decision what a tap is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from swipe.kinds import EventType, Flag, RejectReason, Result
from terminal.policy import (
    CardView,
    Hint,
    LastTap,
    Mode,
    Rules,
    Say,
    Situation,
    accepted,
    completed,
    completes_presentation,
    decide,
    is_minor,
    may_void,
    must_recall,
    wants_anchor,
)

OWN = bytes.fromhex("880000000001")
OTHER = bytes.fromhex("880000000002")
NOW = 1_795_222_800
TODAY = date(2026, 11, 21)
RULES = Rules()
CARD = CardView(bytes(10), valid_from=date(2026, 1, 1), valid_to=date(2030, 12, 31))
CHILD = replace(CARD, birth_date=date(2014, 5, 5))
PLAIN = Situation(
    mode=Mode.AUTO,
    utc_s=NOW,
    clock_known=True,
    today=TODAY,
    card=CARD,
    hint=Hint(),
    own_psam_no=OWN,
)


def hint(kind: int, age_s: int, psam_no: bytes = OWN, psam_seq: int = 7) -> Hint:
    """Return a composite record of that age."""
    return Hint(kind, NOW - age_s, psam_no, psam_seq, 3)


def last(kind: int = EventType.IN, age_s: float = 3600.0, **fields: object) -> LastTap:
    """Return the card's last tap here."""
    values: dict[str, object] = {"seq": 12, "result": Result.OK, "psam_seq": 7}
    return LastTap(kind=kind, age_s=age_s, **(values | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "kind", "say"),
    [(Mode.IN, EventType.IN, Say.IN), (Mode.OUT, EventType.OUT, Say.OUT)],
)
def test_mode_key_gives_the_direction(mode: Mode, kind: EventType, say: Say) -> None:
    """In a fixed mode the composite record is not asked."""
    decision = decide(replace(PLAIN, mode=mode, hint=hint(EventType.IN, 3600)), RULES)

    assert (decision.kind, decision.say, decision.flags) == (kind, say, Flag(0))


@pytest.mark.parametrize(
    ("kind", "age_s", "refused"),
    [
        (EventType.IN, 59.9, True),
        (EventType.SWITCH, 59.9, True),
        (EventType.TRAINING, 59.9, True),
        (EventType.IN, 60.0, False),
    ],
)
def test_attestation_hides_no_earlier_tap(kind: int, age_s: float, *, refused: bool) -> None:
    """Where the last event is a guardian's, the card's own tap before it is what is repeated."""
    attested = last(EventType.GUARDIAN, 5, seq=14, psam_seq=8)
    situation = replace(PLAIN, mode=Mode.OUT, last=attested, presence=last(kind, age_s))
    decision = decide(situation, RULES)

    assert (decision.reason is RejectReason.DUPLICATE) == refused
    assert decision.of_seq == (12 if refused else 0)


def test_attestation_alone_is_no_tap_of_its_own() -> None:
    """Who only attested may tap at once."""
    attested = last(EventType.GUARDIAN, 5)

    assert decide(replace(PLAIN, last=attested, presence=attested), RULES).reason is None


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (Hint(), EventType.IN),
        (hint(EventType.OUT, 3600), EventType.IN),
        (hint(EventType.IN, 3600), EventType.OUT),
        (hint(EventType.SWITCH, 3600), EventType.OUT),
        (hint(EventType.IN, 16 * 3600 - 1), EventType.OUT),
        (hint(EventType.IN, 16 * 3600), EventType.IN),
        (hint(EventType.IN, -7200), EventType.OUT),  # entered at a terminal two hours fast
        (hint(EventType.IN, -16 * 3600), EventType.AUTO),
        (hint(EventType.AUTO, 3600), EventType.AUTO),
        (hint(EventType.GUARDIAN, 3600), EventType.AUTO),
        (hint(EventType.GUARDIAN, 17 * 3600), EventType.IN),
        (hint(EventType.IN, 30, OTHER), EventType.IN),  # the same tap, again, next door
        (hint(EventType.OUT, 30, OTHER), EventType.OUT),
        (hint(EventType.IN, 61, OTHER), EventType.OUT),
        (hint(EventType.OUT, 61, OTHER), EventType.IN),
    ],
)
def test_automatic_direction(record: Hint, kind: EventType) -> None:
    """In automatic mode an open IN is left, anything else is entered, and doubt is AUTO."""
    assert decide(replace(PLAIN, hint=record), RULES).kind == kind


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (Hint(), EventType.IN),
        (hint(EventType.OUT, 3600), EventType.IN),
        (hint(EventType.IN, 3600), EventType.AUTO),
    ],
)
def test_automatic_direction_without_a_clock(record: Hint, kind: EventType) -> None:
    """Without a clock the age of an IN is unknown, so the server decides."""
    decision = decide(replace(PLAIN, clock_known=False, hint=record), RULES)

    assert decision.kind == kind
    assert Flag.CLOCK_UNKNOWN in decision.flags


@pytest.mark.parametrize(
    ("undone", "kind"), [(EventType.IN, EventType.IN), (EventType.OUT, EventType.OUT)]
)
def test_undone_tap_does_not_turn_the_direction(undone: EventType, kind: EventType) -> None:
    """After key 2 the card still says the tap was made; the next tap makes it again."""
    situation = replace(PLAIN, hint=hint(undone, 20), last=last(undone, 20, voided=True))

    assert decide(situation, RULES).kind == kind


@pytest.mark.parametrize("switch", [False, True])
def test_undone_tap_of_unknown_direction_tells_nothing(*, switch: bool) -> None:
    """Behind an undone AUTO nobody knows more than before it: the server decides again."""
    undone = replace(
        PLAIN,
        hint=hint(EventType.AUTO, 3600),
        last=last(EventType.AUTO, voided=True),
        switch_key=switch,
    )

    assert decide(undone, RULES).kind is (EventType.SWITCH if switch else EventType.AUTO)


def test_age_of_the_open_in_is_a_rule() -> None:
    """A site may allow longer shifts."""
    situation = replace(PLAIN, hint=hint(EventType.IN, 20 * 3600))

    assert decide(situation, Rules(open_in_max_s=24 * 3600)).kind == EventType.OUT


@pytest.mark.parametrize("kind", [EventType.IN, EventType.OUT, EventType.AUTO, EventType.TRAINING])
def test_second_tap_within_a_minute_is_a_duplicate(kind: EventType) -> None:
    """Whatever direction it would have had, the second tap is refused and points at the first."""
    decision = decide(replace(PLAIN, mode=Mode.OUT, last=last(kind, 59.9)), RULES)

    assert decision.kind == EventType.REJECTED
    assert decision.reason is RejectReason.DUPLICATE
    assert (decision.of_seq, decision.say) == (12, Say.DUPLICATE)
    assert Flag.DUPLICATE in decision.flags


@pytest.mark.parametrize(
    "earlier",
    [
        last(age_s=60),
        last(age_s=-5),  # the clock went back: not provably a minute
        last(age_s=5, voided=True),
        last(age_s=5, result=Result.TORN),
        last(EventType.GUARDIAN, 5),
    ],
)
def test_not_a_duplicate(earlier: LastTap) -> None:
    """Older, undone, torn and attesting taps make nothing a duplicate."""
    assert decide(replace(PLAIN, last=earlier), RULES).reason is None


def test_resolved_tap_makes_a_duplicate() -> None:
    """A torn tap that was completed counts like any other."""
    situation = replace(PLAIN, last=last(age_s=5, result=Result.RESOLVED))

    assert decide(situation, RULES).reason is RejectReason.DUPLICATE


def test_disabled_card_is_refused() -> None:
    """A card whose application is switched off makes no tap."""
    decision = decide(replace(PLAIN, card=replace(CARD, enabled=False)), RULES)

    assert (decision.reason, decision.say) == (RejectReason.CARD_BLOCKED, Say.CARD_BLOCKED)


def test_card_before_its_first_day_is_refused() -> None:
    """A card that is not valid yet makes no tap, except when nobody knows the date."""
    early = replace(PLAIN, today=date(2025, 12, 31))

    assert decide(early, RULES).reason is RejectReason.NOT_YET_VALID
    assert decide(replace(early, clock_known=False), RULES).reason is None


def test_expired_card_is_recorded_and_told() -> None:
    """An expired card makes a full tap with a flag; with an unknown date it is not blamed."""
    late = replace(PLAIN, today=date(2031, 1, 1))
    decision = decide(late, RULES)

    assert (decision.kind, decision.say) == (EventType.IN, Say.EXPIRED)
    assert Flag.EXPIRED in decision.flags
    assert Flag.EXPIRED not in decide(replace(late, clock_known=False), RULES).flags
    assert decide(replace(PLAIN, today=date(2030, 12, 31)), RULES).say is Say.IN


def test_hotlisted_card_is_recorded_and_told() -> None:
    """A reported-lost card makes a full tap with a flag, and red tells whom to see."""
    decision = decide(replace(PLAIN, hotlisted=True, today=date(2031, 1, 1)), RULES)

    assert (decision.kind, decision.say) == (EventType.IN, Say.HOTLISTED)
    assert decision.flags == Flag.HOTLISTED | Flag.EXPIRED


def test_minor_alone_is_recorded_and_told() -> None:
    """A child without guardian makes a full tap with a flag; the server holds the minutes."""
    decision = decide(replace(PLAIN, card=CHILD), RULES)

    assert (decision.kind, decision.say, decision.flags) == (
        EventType.IN,
        Say.MINOR_ALONE,
        Flag.MINOR,
    )


@pytest.mark.parametrize(("age_s", "present"), [(0.0, True), (119.9, True), (120.0, False)])
def test_guardian_counts_for_two_minutes(age_s: float, *, present: bool) -> None:
    """A guardian who attested moments ago stands behind the child's tap."""
    decision = decide(replace(PLAIN, card=CHILD, guardian_age_s=age_s), RULES)

    assert (Flag.GUARDIAN_PRESENT in decision.flags) is present
    assert decision.say is (Say.IN if present else Say.MINOR_ALONE)


WAITING = last(age_s=90, flags=Flag.MINOR)
GUARDED = replace(
    PLAIN, card=CHILD, hint=hint(EventType.IN, 90), last=WAITING, guardian_age_s=5, word_age_s=5
)


@pytest.mark.parametrize("kind", [EventType.IN, EventType.SWITCH, EventType.AUTO])
def test_word_for_a_child_that_is_in_makes_no_out(kind: EventType) -> None:
    """A child that was told to bring the guardian obeys: its tap stands, and nothing is added."""
    decision = decide(replace(GUARDED, last=replace(WAITING, kind=kind)), RULES)

    assert (decision.reason, decision.say) == (RejectReason.DUPLICATE, Say.GUARDED)
    assert decision.of_seq == WAITING.seq
    assert decision.flags == Flag.MINOR | Flag.GUARDIAN_PRESENT | Flag.DUPLICATE


@pytest.mark.parametrize(
    "situation",
    [
        replace(GUARDED, guardian_age_s=None),  # nobody gave a word
        replace(GUARDED, guardian_age_s=120, word_age_s=120),  # it was long ago
        replace(GUARDED, last=replace(WAITING, age_s=605.0)),  # the server looks no further
        replace(GUARDED, last=replace(WAITING, flags=Flag.MINOR | Flag.GUARDIAN_PRESENT)),
        replace(GUARDED, last=replace(WAITING, kind=EventType.OUT)),
        replace(GUARDED, last=replace(WAITING, kind=EventType.TRAINING)),
        replace(GUARDED, last=replace(WAITING, result=Result.TORN)),
        replace(GUARDED, last=replace(WAITING, voided=True)),
        replace(GUARDED, card=CARD),
        replace(GUARDED, mode=Mode.OUT),  # the leader says that they leave
        replace(GUARDED, switch_key=True),
    ],
)
def test_when_a_child_beside_its_guardian_taps_anew(situation: Situation) -> None:
    """Only an entry that waited for this word is not left by the tap behind it."""
    assert decide(situation, RULES).reason is None


def test_word_counts_from_when_it_was_given() -> None:
    """Other children keep a group open; the guardian's own tap decides, as at the server."""
    long_queue = replace(GUARDED, last=replace(WAITING, age_s=1000.0), word_age_s=401)

    assert decide(long_queue, RULES).say is Say.GUARDED
    assert decide(replace(long_queue, word_age_s=400), RULES).say is Say.OUT


def test_word_given_in_training_is_not_promised() -> None:
    """The server counts no word of a training: the child's tap is a TRAINING as any."""
    training = replace(RULES, training=True)

    assert decide(GUARDED, training).kind is EventType.TRAINING
    assert decide(GUARDED, training).say is Say.TRAINING
    assert completed(WAITING, GUARDED, training) is not Say.GUARDED


def test_child_within_a_minute_hears_of_the_word() -> None:
    """Also a nervous second tap is told that the guardian is recorded."""
    assert decide(replace(GUARDED, last=replace(WAITING, age_s=30)), RULES).say is Say.GUARDED


def test_child_that_leaves_needs_no_guardian() -> None:
    """Only the start of a service waits for a word: an OUT is plain."""
    leaving = replace(PLAIN, card=CHILD, hint=hint(EventType.IN, 3600), last=last())

    assert decide(leaving, RULES).say is Say.OUT
    assert decide(leaving, RULES).flags == Flag.MINOR


def test_guardian_means_nothing_for_a_grown_up() -> None:
    """The flag stands on taps of minors only."""
    assert decide(replace(PLAIN, guardian_age_s=1.0), RULES).flags == Flag(0)


def test_guardian_key_makes_an_attestation() -> None:
    """After key 4 the tap is about somebody else, even moments after the guardian's own."""
    situation = replace(PLAIN, guardian_key=True, mode=Mode.OUT, last=last(age_s=5))
    decision = decide(situation, replace(RULES, require_open=True, require_activity=True))

    assert (decision.kind, decision.say) == (EventType.GUARDIAN, Say.GUARDIAN)


def test_child_is_no_guardian() -> None:
    """A minor's card behind key 4 is refused, so that its own direction stays on the card."""
    decision = decide(replace(PLAIN, card=CHILD, guardian_key=True), RULES)

    assert (decision.reason, decision.say) == (RejectReason.MINOR_ALONE, Say.NO_GUARDIAN)


@pytest.mark.parametrize(
    ("situation", "say"),
    [
        (replace(PLAIN, hotlisted=True), Say.HOTLISTED),
        (replace(PLAIN, today=date(2031, 1, 1)), Say.EXPIRED),
        (replace(PLAIN, card=CHILD, clock_known=False), Say.NO_GUARDIAN),
        (replace(PLAIN, card=CHILD, clock_known=False, guardian_age_s=5), Say.NO_GUARDIAN),
    ],
)
def test_word_that_counts_for_nothing_is_told_so(situation: Situation, say: Say) -> None:
    """A lost or expired card's word is recorded with its flag for the server, and not in green."""
    decision = decide(replace(situation, guardian_key=True), RULES)

    assert (decision.kind, decision.say) == (EventType.GUARDIAN, say)


def test_service_must_be_open_where_a_site_wants_it() -> None:
    """A site may ask for a key before the first tap."""
    closed = replace(PLAIN, service_open=False)

    assert decide(closed, RULES).reason is None
    assert decide(closed, Rules(require_open=True)).reason is RejectReason.NO_OPEN_SERVICE


def test_activity_may_be_required() -> None:
    """Without an activity the tap is flagged, or refused where a site wants it."""
    idle = replace(PLAIN, activity_known=False)

    assert decide(idle, RULES).flags == Flag.NO_ACTIVITY
    assert decide(idle, Rules(require_activity=True)).reason is RejectReason.NO_ACTIVITY


def test_training_counts_for_nobody() -> None:
    """In training mode every tap is a TRAINING tap with its flag."""
    decision = decide(PLAIN, Rules(training=True))

    assert (decision.kind, decision.say, decision.flags) == (
        EventType.TRAINING,
        Say.TRAINING,
        Flag.TRAINING_MODE,
    )


def test_terminal_flags() -> None:
    """What is known of link and clock stands on every tap."""
    decision = decide(replace(PLAIN, offline=True, clock_known=False), RULES)

    assert decision.flags == Flag.OFFLINE | Flag.CLOCK_UNKNOWN


@pytest.mark.parametrize(
    ("record", "earlier", "resolved", "answer"),
    [
        (Hint(), None, None, False),
        (hint(EventType.IN, 60, OTHER), None, None, True),
        (hint(EventType.IN, 60, OTHER), None, (OTHER, 7), False),
        (hint(EventType.IN, 60), None, None, True),  # our journal has lost it
        (hint(EventType.IN, 60), last(psam_seq=6), None, True),
        (hint(EventType.IN, 60), last(), None, False),
        (hint(EventType.IN, 60), last(result=Result.TORN), None, True),
        (hint(EventType.IN, 60), last(result=Result.TORN), (OWN, 7), False),
        (hint(EventType.IN, 60), last(result=Result.TORN, psam_seq=8), None, False),
        (hint(EventType.IN, 60), last(result=Result.RESOLVED), None, False),
    ],
)
def test_when_the_last_proof_is_fetched(
    record: Hint, earlier: LastTap | None, resolved: tuple[bytes, int] | None, *, answer: bool
) -> None:
    """The proof is fetched for taps elsewhere and for torn ones, once."""
    assert must_recall(record, OWN, earlier, resolved) is answer


@pytest.mark.parametrize(
    ("record", "age_s", "answer"),
    [
        (hint(EventType.IN, 20), 20, True),
        (hint(EventType.IN, 70), 70, False),
        (hint(EventType.IN, 20, OTHER), 20, False),
        (hint(EventType.IN, 20, psam_seq=6), 20, False),
    ],
)
def test_when_a_resolved_tap_is_this_one(record: Hint, age_s: float, *, answer: bool) -> None:
    """Only the tap made here a moment ago is the one the volunteer repeats."""
    torn = last(age_s=age_s, result=Result.TORN)

    assert completes_presentation(record, OWN, torn, RULES) is answer


@pytest.mark.parametrize(
    ("earlier", "answer"),
    [
        (None, False),
        (last(age_s=9.9), True),
        (last(EventType.OUT, 0), True),
        (last(age_s=10), False),
        (last(age_s=-1), False),
        (last(age_s=1, voided=True), False),
        (last(age_s=1, result=Result.TORN), False),
        (last(EventType.GUARDIAN, 1), False),
    ],
)
def test_when_key_two_undoes(earlier: LastTap | None, *, answer: bool) -> None:
    """The last accepted tap may be undone once, within ten seconds."""
    assert may_void(earlier, RULES) is answer


@pytest.mark.parametrize(
    ("kind", "flags", "say"),
    [
        (EventType.IN, Flag.OFFLINE, Say.IN),
        (EventType.OUT, Flag.MINOR, Say.OUT),
        (EventType.IN, Flag.HOTLISTED, Say.HOTLISTED),
        (EventType.IN, Flag.EXPIRED, Say.EXPIRED),
        (EventType.IN, Flag.MINOR, Say.MINOR_ALONE),
        (EventType.IN, Flag.MINOR | Flag.GUARDIAN_PRESENT, Say.IN),
        (EventType.TRAINING, Flag.TRAINING_MODE, Say.TRAINING),
    ],
)
def test_tap_made_good_is_told_as_it_was_made(kind: EventType, flags: Flag, say: Say) -> None:
    """The proof that comes late makes no plain tap of one that was not."""
    torn = last(kind, 20, result=Result.TORN, flags=flags)

    assert completed(torn, PLAIN, RULES) is say


@pytest.mark.parametrize(
    ("card", "minor"),
    [
        (replace(CARD, birth_date=date(2012, 11, 21)), False),
        (replace(CARD, birth_date=date(2012, 11, 22)), True),
        (replace(CARD, minor_flag=True), True),
        (CARD, False),
    ],
)
def test_who_is_a_minor(card: CardView, *, minor: bool) -> None:
    """The birthday decides; without one the card's flag does."""
    assert is_minor(card, TODAY, RULES) is minor


@pytest.mark.parametrize(
    ("kinds", "answer"),
    [
        ([], False),
        ([EventType.ACK_ANCHOR], False),
        ([EventType.ACK_ANCHOR, EventType.TIME_SET], False),
        ([EventType.ACK_ANCHOR, EventType.BOOT], True),
        ([EventType.IN], True),
    ],
)
def test_which_receipts_are_anchored(kinds: list[int], *, answer: bool) -> None:
    """A receipt for nothing but book-keeping gets no event of its own."""
    assert wants_anchor(kinds) is answer


@pytest.mark.parametrize("kind", [EventType.IN, EventType.OUT, EventType.AUTO, EventType.GUARDIAN])
def test_every_accepted_type_has_its_words(kind: EventType) -> None:
    """A completed tap is answered as it would have been the first time."""
    assert accepted(kind) in {Say.IN, Say.OUT, Say.RECORDED, Say.GUARDIAN}


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (Hint(), EventType.IN),
        (hint(EventType.OUT, 3600), EventType.IN),
        (hint(EventType.IN, 3600), EventType.SWITCH),
        (hint(EventType.SWITCH, 3600), EventType.SWITCH),
        (hint(EventType.IN, RULES.open_in_max_s), EventType.IN),
        (hint(EventType.AUTO, 3600), EventType.SWITCH),
    ],
)
def test_key_five_switches_who_is_in(found: Hint, kind: EventType) -> None:
    """Key 5 switches an open IN, enters who has none, and leaves doubt to the server."""
    decision = decide(replace(PLAIN, switch_key=True, hint=found), RULES)

    assert decision.kind is kind


def test_switch_with_an_unknown_clock_is_a_switch() -> None:
    """Without a time nobody knows how old the IN is; the server decides."""
    unsure = replace(PLAIN, switch_key=True, clock_known=False, hint=hint(EventType.IN, 10**6))

    assert decide(unsure, RULES).kind is EventType.SWITCH


def test_switch_within_a_minute_is_a_duplicate() -> None:
    """Key 5 makes no second tap out of a nervous one."""
    nervous = replace(PLAIN, switch_key=True, last=last(age_s=20))

    assert decide(nervous, RULES).reason is RejectReason.DUPLICATE


def test_training_is_no_switch() -> None:
    """In training key 5 makes a training record."""
    training = replace(RULES, training=True)

    assert decide(replace(PLAIN, switch_key=True), training).kind is EventType.TRAINING


def test_undone_switch_is_still_in() -> None:
    """After key 2 on a SWITCH the next tap leaves the activity before."""
    undone = replace(
        PLAIN,
        hint=hint(EventType.SWITCH, 3600),
        last=last(kind=EventType.SWITCH, voided=True),
    )

    assert decide(undone, RULES).kind is EventType.OUT


def test_missing_operator_refuses_with_a_reason() -> None:
    """Where an operator must be signed on, a tap without one is refused, recorded and explained."""
    decision = decide(replace(PLAIN, operator_missing=True), RULES)

    assert decision.reason is RejectReason.NO_OPERATOR
    assert decision.say is Say.NO_OPERATOR


def test_missing_operator_keeps_no_guardian_out() -> None:
    """A guardian's word may be taken before anybody signs on."""
    word = replace(PLAIN, operator_missing=True, guardian_key=True)

    assert decide(word, RULES).kind is EventType.GUARDIAN
