# SPDX-License-Identifier: Apache-2.0
"""The panel: every transition of the operating modes, without a terminal."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.keypad import Key
from terminal.modes.policy import (
    GUARDIAN_S,
    PIN_DIGITS_MAX,
    READ_S,
    WISH_S,
    Act,
    Do,
    Facts,
    Panel,
    Stage,
    Tapped,
    Use,
    expire,
    may_sign_on,
    press,
    queried,
    recognised,
    sheet_card,
    signed_on,
    tapped,
    undone,
    use,
)
from terminal.modes.sheet_policy import Form, Slot
from terminal.policy import GROUP_MAX_S, CardView, Mode, Say

ASN = bytes.fromhex("59490000000000000017")
OTHER = bytes.fromhex("59490000000000000018")
FACTS = Facts(now_ms=1_000_000)
SIGNED = replace(FACTS, operator=ASN)
STAGES = list(Stage)
DIGITS = [key for key in Key if key.digit]


def at(stage: Stage, facts: Facts = FACTS) -> Panel:
    """Return a panel that has just come to a stage."""
    return Panel(stage, facts.now_ms, facts.now_ms, asn=ASN)


def later(facts: Facts, seconds: float) -> Facts:
    """Return the facts some seconds later."""
    return replace(facts, now_ms=facts.now_ms + round(seconds * 1000))


def typed(panel: Panel, digits: str, facts: Facts = FACTS) -> tuple[Panel, Act]:
    """Type digits and ✓; return where that led."""
    for digit in digits:
        panel, act = press(panel, Key(digit.encode()), facts)
        assert act.do is Do.NOTHING
    return press(panel, Key.CONFIRM, facts)


@pytest.mark.parametrize(
    ("key", "mode"), [(Key.AUTO, Mode.AUTO), (Key.IN, Mode.IN), (Key.OUT, Mode.OUT)]
)
def test_mode_keys_choose_the_mode(key: Key, mode: Mode) -> None:
    """In service keys 0, 1 and 3 choose what the next taps are."""
    assert press(Panel(), key, FACTS) == (Panel(), Act(Do.MODE, mode=mode))


@pytest.mark.parametrize(
    ("key", "stage", "wish"),
    [
        (Key.SWITCH, Stage.SWITCH, Use.SWITCH),
        (Key.QUERY, Stage.QUERY, Use.QUERY),
        (Key.OPERATOR, Stage.SIGN_ON, Use.OPERATOR),
    ],
)
def test_a_wish_is_for_the_next_card(key: Key, stage: Stage, wish: Use) -> None:
    """Keys 5, 6 and 7 ask for one card, and are forgotten when it does not come."""
    panel, act = press(Panel(), key, FACTS)

    assert (panel.stage, act.do) == (stage, Do.NOTHING)
    assert use(panel, later(FACTS, WISH_S - 1)) is wish
    assert use(panel, later(FACTS, WISH_S)) is Use.TAP


@pytest.mark.parametrize(
    "stage", [s for s in STAGES if s not in (Stage.SWITCH, Stage.QUERY, Stage.SIGN_ON, Stage.SHEET)]
)
def test_a_card_is_a_tap_everywhere_else(stage: Stage) -> None:
    """Typing, menu, pages, guardian and group leave a card what it is: a tap."""
    assert use(at(stage), FACTS) is Use.TAP


def test_a_sheet_wants_a_card_only_first() -> None:
    """After the volunteer of a sheet is known, a card laid down is a tap."""
    panel, act = press(Panel(), Key.SHEET, SIGNED)
    filled, _ = sheet_card(panel, OTHER, SIGNED)

    assert act.do is Do.NOTHING
    assert use(panel, SIGNED) is Use.SHEET
    assert use(filled, SIGNED) is Use.TAP


def test_undo_is_one_key_in_service() -> None:
    """Key 2 undoes in service, on a page and in a group; where digits are typed it is a digit."""
    for stage in (Stage.SERVICE, Stage.GROUP, Stage.SETTLED, Stage.QUERY):
        assert press(at(stage), Key.UNDO, FACTS)[1].do is Do.VOID
    for stage in (Stage.CODE, Stage.PIN, Stage.SHEET, Stage.MENU, Stage.VOLUME, Stage.RETIRE):
        assert press(at(stage), Key.UNDO, FACTS)[1].do is not Do.VOID


def test_a_group_stays_open_for_an_undo() -> None:
    """Undoing one minor's tap does not send the others away."""
    panel, _ = press(at(Stage.GROUP), Key.UNDO, FACTS)

    assert panel.stage is Stage.GROUP


def test_an_undone_tap_is_no_longer_counted() -> None:
    """The tap that key 2 took back is taken off the group; any other is not in it."""
    group = replace(at(Stage.GROUP), minors=frozenset({7, 9}))

    assert undone(group, 9).minors == {7}
    assert undone(group, 8) == group


def test_the_guardian_opens_a_group() -> None:
    """Key 4, the guardian's card, then the minors' taps are counted, each once."""
    panel, act = press(Panel(), Key.GUARDIAN, FACTS)
    group = tapped(panel, Tapped(decided=True, guardian=True), FACTS)
    one = tapped(group, Tapped(decided=True, minor=7), later(FACTS, 100))
    same = tapped(one, Tapped(decided=True, minor=7), later(FACTS, 150))
    two = tapped(same, Tapped(decided=True, minor=9), later(FACTS, 200))

    assert act.do is Do.GUARDIAN
    assert (group.stage, two.stage) == (Stage.GROUP, Stage.GROUP)
    assert same.minors == {7}
    assert two.minors == {7, 9}


def test_a_group_ends_by_itself() -> None:
    """A pause as long as a guardian's word lasts ends it, and so does its longest time."""
    group = at(Stage.GROUP)
    pausing = later(FACTS, FACTS.guardian_s)
    busy = later(FACTS, GROUP_MAX_S)

    assert expire(group, later(FACTS, FACTS.guardian_s - 1)).stage is Stage.GROUP
    assert expire(group, pausing) == Panel()
    assert expire(replace(group, since_ms=busy.now_ms - 1), busy) == Panel()


def test_an_adult_leaves_the_group_as_it_is() -> None:
    """Somebody who needs no guardian may tap in between."""
    assert tapped(at(Stage.GROUP), Tapped(decided=True), FACTS) == at(Stage.GROUP)


def test_a_guardian_who_does_not_come_is_not_waited_for() -> None:
    """Key 4 waits for a minute."""
    assert expire(at(Stage.GUARDIAN), later(FACTS, GUARDIAN_S - 1)).stage is Stage.GUARDIAN
    assert expire(at(Stage.GUARDIAN), later(FACTS, GUARDIAN_S)).stage is Stage.SERVICE


def test_a_switch_is_for_one_tap_that_was_decided() -> None:
    """A card pulled off too early may come again; a decided tap ends the wish."""
    torn = tapped(at(Stage.SWITCH), Tapped(decided=False), FACTS)

    assert torn.stage is Stage.SWITCH
    assert tapped(torn, Tapped(decided=True), FACTS) == Panel()


def test_a_query_is_for_one_card() -> None:
    """After one card was asked about, the next one is a tap."""
    assert queried(at(Stage.QUERY)) == Panel()
    assert queried(at(Stage.MENU)) == at(Stage.MENU)


def test_a_code_is_typed_and_confirmed() -> None:
    """✓, digits, ✓ choose an activity."""
    panel, _ = press(Panel(), Key.CONFIRM, FACTS)
    after, act = typed(panel, "1024")

    assert (after, act.do, act.typed) == (Panel(), Do.CHOOSE, "1024")


def test_no_code_where_the_activity_is_fixed() -> None:
    """✓ says that there is nothing to choose."""
    _, act = press(Panel(), Key.CONFIRM, replace(FACTS, may_choose=False))

    assert act.say is Say.NO_CODE_HERE


def test_a_pin_is_checked_once_and_forgotten() -> None:
    """✓ hands the PIN over; the panel keeps no digit of it, and no representation shows one."""
    panel = recognised(ASN, FACTS)
    half = replace(panel, typed="6024")
    after, act = typed(panel, "602417")

    assert (act.do, act.typed, act.asn) == (Do.CHECK_PIN, "602417", ASN)
    assert after == Panel()
    assert "602417" not in repr(act)
    assert "6024" not in repr(half)


@pytest.mark.parametrize("stage", [Stage.CODE, Stage.PIN, Stage.SHEET])
def test_twenty_digits_do_no_harm(stage: Stage) -> None:
    """What is longer than any code, PIN or number can be is not taken."""
    panel = at(stage)
    for _ in range(50):
        panel, act = press(panel, Key.SETTLE, FACTS)
        assert act.do is Do.NOTHING

    assert len(panel.typed) <= 20
    assert stage is not Stage.PIN or len(panel.typed) == PIN_DIGITS_MAX


def test_typing_goes_on_after_a_tap() -> None:
    """A volunteer who taps while somebody types disturbs nothing."""
    half = replace(at(Stage.PIN), typed="60")

    assert tapped(half, Tapped(decided=True), FACTS) == half


@pytest.mark.parametrize("stage", [Stage.SETTLED, Stage.STATUS, Stage.MESSAGES])
def test_a_page_is_left_by_a_tap(stage: Stage) -> None:
    """Whoever taps sees the idle screen again; a page also ends by itself."""
    assert tapped(at(stage), Tapped(decided=True), FACTS) == Panel()
    assert expire(at(stage), later(FACTS, READ_S)) == Panel()


def test_supervisor_comes_to_the_menu() -> None:
    """After a right PIN a supervisor has the menu, an operator the service."""
    assert signed_on(supervisor=True, facts=FACTS).stage is Stage.MENU
    assert signed_on(supervisor=False, facts=FACTS).stage is Stage.SERVICE


@pytest.mark.parametrize(
    ("key", "stage", "do"),
    [
        (Key.IN, Stage.SETTLED, Do.SETTLE),
        (Key.UNDO, Stage.SERVICE, Do.MODE),
        (Key.OUT, Stage.MESSAGES, Do.NOTHING),
        (Key.GUARDIAN, Stage.STATUS, Do.NOTHING),
        (Key.SWITCH, Stage.VOLUME, Do.NOTHING),
        (Key.QUERY, Stage.SERVICE, Do.EXPORT),
        (Key.OPERATOR, Stage.SERVICE, Do.PRINT_TEST),
        (Key.SHEET, Stage.SERVICE, Do.SIGN_OFF),
        (Key.SETTLE, Stage.RETIRE, Do.NOTHING),
        (Key.CONFIRM, Stage.SERVICE, Do.SAY),
        (Key.CANCEL, Stage.SERVICE, Do.SAY),
        (Key.AUTO, Stage.MENU, Do.NOTHING),
    ],
)
def test_every_line_of_the_menu(key: Key, stage: Stage, do: Do) -> None:
    """Each number of the supervisor's menu leads where the screen says."""
    panel, act = press(at(Stage.MENU), key, SIGNED)

    assert (panel.stage, act.do) == (stage, do)


def test_menu_switches_training_on_and_off() -> None:
    """Line 2 begins training, and the same line ends it."""
    _, begun = press(at(Stage.MENU), Key.UNDO, SIGNED)
    _, ended = press(at(Stage.MENU), Key.UNDO, replace(SIGNED, training=True))

    assert (begun.mode, ended.mode) == (Mode.TRAINING, Mode.AUTO)


def test_volume_and_retirement_are_asked_for() -> None:
    """Volume has two answers; retiring needs ✓ and is the office's to do."""
    assert press(at(Stage.VOLUME), Key.IN, FACTS)[1] == Act(Do.VOLUME, typed="1")
    assert press(at(Stage.VOLUME), Key.SETTLE, FACTS)[0].stage is Stage.VOLUME
    assert press(at(Stage.RETIRE), Key.CONFIRM, FACTS)[1].do is Do.RETIRE
    assert press(at(Stage.RETIRE), Key.CANCEL, FACTS)[1].say is Say.LEFT
    assert press(at(Stage.RETIRE), Key.IN, FACTS)[1].do is Do.NOTHING


def test_settling_twice_closes_once() -> None:
    """Key 9 on the settlement's page asks again; it closes no second period."""
    panel, first = press(Panel(), Key.SETTLE, FACTS)
    _, second = press(panel, Key.SETTLE, FACTS)

    assert (first.do, second.do) == (Do.SETTLE, Do.HURRY)


@pytest.mark.parametrize("key", [Key.SETTLE, Key.SHEET, Key.CONFIRM])
def test_leaders_keys_need_an_operator_where_the_site_says_so(key: Key) -> None:
    """Settlement, sheets and codes wait for the sign-on; a sheet does everywhere."""
    strict = replace(FACTS, must_sign_on=True)

    assert press(Panel(), key, strict)[1].say is Say.SIGN_ON_FIRST
    assert press(Panel(), key, replace(strict, operator=ASN))[1].say is None
    assert (press(Panel(), key, FACTS)[1].say is Say.SIGN_ON_FIRST) is (key is Key.SHEET)


def test_a_sheet_is_filled_slot_by_slot() -> None:
    """Card number, day, times, planned minutes, number, ✓: then it is entered as a whole."""
    panel, _ = press(Panel(), Key.SHEET, SIGNED)
    for digits in ("17", "1120", "0900", "1130", "120", "42"):
        panel, act = typed(panel, digits, SIGNED)
        assert act.do is Do.NOTHING
    after, act = press(panel, Key.CONFIRM, SIGNED)

    assert panel.form.slot is Slot.CHECK
    assert (after, act.do) == (Panel(), Do.ENTER)
    assert act.form == Form(("17", "1120", "0900", "1130", "120", "42"))


@pytest.mark.parametrize(
    ("filled", "digits"),
    [
        ((), "0"),
        (("17",), "1332"),
        (("17",), "11"),
        (("17", ""), "2460"),
        (("17", ""), "930"),
        (("17", "", "0900", "1000"), "1441"),
        (("17", "", "0900", "1000"), "0"),
    ],
)
def test_a_slot_refuses_what_cannot_be(filled: tuple[str, ...], digits: str) -> None:
    """A card, day, time or length that does not exist is asked for again."""
    panel = replace(at(Stage.SHEET, SIGNED), form=Form(filled))
    after, act = typed(panel, digits, SIGNED)

    assert act.say is Say.BAD_ENTRY
    assert (after.form, after.typed) == (Form(filled), "")


def test_nobody_enters_the_own_sheet() -> None:
    """The operator's own card is refused as the volunteer of a sheet."""
    panel, act = sheet_card(at(Stage.SHEET, SIGNED), ASN, SIGNED)

    assert act.say is Say.BAD_ENTRY
    assert panel.form.slot is Slot.CARD


@pytest.mark.parametrize("stage", [s for s in STAGES if s is not Stage.SERVICE])
def test_the_red_key_leads_home_from_everywhere(stage: Stage) -> None:
    """✗ leaves every stage, says so, and does nothing else."""
    panel, act = press(at(stage), Key.CANCEL, FACTS)

    assert panel == Panel()
    assert (act.do, act.say) == (
        Do.SAY,
        Say.GROUP_CLOSED if stage is Stage.GROUP else Say.LEFT,
    )


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_ends_by_itself(stage: Stage) -> None:
    """Nobody has to touch a terminal that was left alone."""
    assert expire(at(stage), later(FACTS, GROUP_MAX_S)).stage is Stage.SERVICE


@pytest.mark.parametrize(
    ("card", "may"),
    [
        (CardView(ASN), True),
        (CardView(ASN, enabled=False), False),
        (CardView(ASN, valid_to=date(2026, 11, 20)), False),
        (CardView(ASN, valid_from=date(2026, 11, 22)), False),
    ],
)
def test_only_a_valid_card_signs_on(card: CardView, *, may: bool) -> None:
    """A blocked, expired or early card is not asked for a PIN."""
    assert may_sign_on(card, date(2026, 11, 21)) is may


@given(
    keys=st.lists(st.tuples(st.sampled_from(list(Key)), st.integers(0, 90_000)), max_size=60),
    strict=st.booleans(),
    operator=st.sampled_from([b"", ASN]),
)
def test_no_keys_lead_astray(keys: list[tuple[Key, int]], *, strict: bool, operator: bytes) -> None:
    """Whatever is pressed: acts are known, digits bounded, and ✗ twice is always service."""
    facts = Facts(1_000_000, operator=operator, must_sign_on=strict)
    panel = Panel()
    for key, wait_ms in keys:
        facts = replace(facts, now_ms=facts.now_ms + wait_ms)
        panel, act = press(panel, key, facts)
        assert (act.do is Do.SAY) == (act.say is not None)
        assert len(panel.typed) <= 20
        assert act.do is not Do.ENTER or operator
        assert act.do is not Do.SETTLE or not facts.operator_missing or panel.stage is Stage.SETTLED
    panel, _ = press(panel, Key.CANCEL, facts)

    assert panel == Panel()
