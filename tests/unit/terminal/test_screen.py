# SPDX-License-Identifier: Apache-2.0
"""The display: 4 lines of 20 columns, words for every state, and the serial frame."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware_mocks.lcd import FrameParser
from terminal import screen
from terminal.policy import Mode, Say
from terminal.screen import COLUMNS, Led, Note, Screen, Standing, Tone, fit, row, width
from terminal.wording_table import ACCEPTED_WORDS, SHEETS

NOTE = Note(clock="09:02", name="林**", place="公园导览 Park guide")
SPOKEN = [say for say in Say if say not in (Say.MODE,)]


def shown(say: Say, note: Note = NOTE) -> Screen:
    """Return the screen of a message."""
    return screen.message(say, note)


@pytest.mark.parametrize("say", SPOKEN, ids=lambda say: say.name)
def test_every_message_fills_four_lines(say: Say) -> None:
    """Whatever is said has four lines of exactly 20 columns."""
    lines = shown(say).lines

    assert [width(line) for line in lines] == [COLUMNS] * 4


@pytest.mark.parametrize("say", SPOKEN, ids=lambda say: say.name)
def test_every_message_reaches_the_display(say: Say) -> None:
    """The frame of every message is read by the other end as it was meant."""
    expected = shown(say)
    (frame,) = FrameParser().feed(expected.to_frame())

    assert frame.lines == expected.lines
    assert (frame.lamp, frame.tone) == (expected.led.value, expected.tone.value)


@pytest.mark.parametrize("say", list(SHEETS), ids=lambda say: say.name)
def test_no_word_is_cut(say: Say) -> None:
    """Chinese, English and advice of every sheet stand on the screen in full."""
    sheet = SHEETS[say]
    text = str(shown(say, Note(direction=Mode.OUT)))

    for words in (sheet.zh, sheet.en, sheet.advice_zh, sheet.advice_en, sheet.code):
        assert words in text


def test_everything_that_can_be_said_has_words() -> None:
    """No state is without its sheet."""
    assert set(Say) == set(SHEETS) | set(ACCEPTED_WORDS) | {Say.DUPLICATE, Say.MODE}


def test_refusals_have_codes_of_their_own() -> None:
    """Two refusals never show the same code."""
    codes = [sheet.code for sheet in SHEETS.values() if sheet.code]

    assert len(codes) == len(set(codes))


def test_words_are_in_the_common_character_set() -> None:
    """Small displays have the Hanzi of GB 2312, no others."""
    texts = [str(shown(say)) for say in SPOKEN]

    assert all(text.encode("gb2312") for text in texts)


def test_in_and_out_differ_in_light_and_tone() -> None:
    """Colour never stands alone: words, light and tone all tell the direction."""
    entered, left = shown(Say.IN), shown(Say.OUT)

    assert (entered.led, entered.tone) == (Led.GREEN, Tone.IN)
    assert (left.led, left.tone) == (Led.GREEN_TWICE, Tone.OUT)


def test_in_tells_how_to_leave() -> None:
    """Who tapped in reads time, name, activity and that leaving needs another tap."""
    assert shown(Say.IN).lines == (
        "签到 IN        09:02",
        "林**                ",
        "公园导览 Park guide ",
        "离开请再刷 TAP TO GO",
    )


def test_out_tells_the_length_of_stay() -> None:
    """Who tapped out reads how long it was."""
    lines = shown(Say.OUT, Note(clock="12:31", name="林**", stay_s=12_540)).lines

    assert lines[0] == "签退 OUT       12:31"
    assert lines[2] == "本次 TIME       3:29"


@pytest.mark.parametrize(
    ("direction", "title"), [(Mode.IN, "已签到 IN      09:02"), (Mode.OUT, "已签退 OUT     09:02")]
)
def test_duplicate_tells_what_was_recorded(direction: Mode, title: str) -> None:
    """The second tap is answered with the first one, and with key 2 only where that would do it."""
    answer = shown(Say.DUPLICATE, Note(clock="09:02", direction=direction, may_undo=True))
    late = shown(Say.DUPLICATE, Note(clock="09:02", direction=direction))

    assert answer.lines[0] == late.lines[0] == title
    assert "撤销请按2" in answer.lines[2]
    assert [line.rstrip() for line in late.lines[2:]] == ["不用再刷", "NO NEED TO TAP AGAIN"]
    assert (answer.led, answer.tone) == (Led.AMBER, Tone.DUPLICATE)


def test_undone_tap_is_named_as_far_as_there_is_room() -> None:
    """Who pressed key 2 reads whose tap it was; no name is too long, and no refusal bears one."""
    assert shown(Say.VOIDED).lines[1] == "UNDONE          林**"
    assert width(shown(Say.VOIDED, Note(name="阿卜杜热西提·**********")).lines[1]) == COLUMNS
    assert "林" not in str(shown(Say.HOTLISTED))


def test_recorded_but_refused_tells_the_direction() -> None:
    """A reported-lost card is red, low, recorded, and says which way it went."""
    answer = shown(Say.HOTLISTED, Note(direction=Mode.OUT))

    assert answer.lines[0] == "此卡已挂失  签退 OUT"
    assert "请找站长" in answer.lines[2]
    assert (answer.led, answer.tone) == (Led.RED, Tone.REFUSED)


def test_read_again_never_sounds_like_a_refusal() -> None:
    """People who learn that red is normal ignore it."""
    refused = {shown(say).tone for say in SHEETS if SHEETS[say].tone == "x"}

    assert shown(Say.AGAIN).tone not in refused


def test_only_an_unsaved_tap_sounds_the_siren() -> None:
    """The siren means one thing."""
    assert [say for say in SPOKEN if shown(say).tone is Tone.SIREN] == [Say.NOT_SAVED]


def test_code_of_a_card_error_replaces_ours() -> None:
    """The card's status word is what helps the desk."""
    assert shown(Say.CARD_FAULT, Note(code="6985")).lines[3].endswith("6985")


def test_idle_tells_what_waits() -> None:
    """The idle screen shows mode, time, site, unsent events with their age, and the link."""
    standing = Standing("09:02", Mode.AUTO, "莲花山公园", 12, 300, online=True)

    assert screen.idle(standing).lines == (
        "请刷卡      TAP CARD",
        "自动 AUTO      09:02",
        "莲花山公园          ",
        "待传12 5m    在线 ON",
    )


def test_idle_tells_a_problem_first() -> None:
    """A problem takes the site's line and turns the light amber."""
    standing = Standing("09:02", Mode.IN, "莲花山", problem="终端未获准|NOT ADMITTED")
    shown_idle = screen.idle(standing)

    assert shown_idle.lines[2].startswith("终端未获准")
    assert screen.idle(replace(standing, turn=1)).lines[2].startswith("NOT ADMITTED")
    assert shown_idle.lines[3] == "待传0       离线 OFF"
    assert (shown_idle.led, shown_idle.tone) == (Led.AMBER, Tone.NONE)


def test_mode_key_is_answered() -> None:
    """A mode key shows the mode in both languages."""
    assert str(screen.mode_changed(Mode.OUT)).splitlines()[:2] == ["模式 签退", "MODE OUT"]


def test_reading_asks_for_patience() -> None:
    """While the card works the light is blue and nothing sounds."""
    assert (screen.reading().led, screen.reading().tone) == (Led.BLUE, Tone.TICK)


@given(st.text(max_size=60), st.integers(0, 20))
def test_fit_fits_anything(text: str, columns: int) -> None:
    """Any text becomes exactly that many columns that the display can show."""
    fitted = fit(text, columns)

    assert width(fitted) == columns
    assert fitted.encode("gb18030").decode("gb18030") == fitted
    assert not any(char < " " for char in fitted)


@given(st.text(max_size=30), st.text(alphabet="0123456789:", max_size=5))
def test_row_never_cuts_the_right(left: str, right: str) -> None:
    """The right part of a line, a time or a code, is always whole."""
    assert width(row(left, right)) == COLUMNS
    assert row(left, right).endswith(right)


@pytest.mark.parametrize("say", sorted(ACCEPTED_WORDS, key=lambda one: one.name))
def test_a_title_never_touches_the_clock(say: Say) -> None:
    """Between the words of an accepted tap and the time stands at least one empty column."""
    assert width(ACCEPTED_WORDS[say].title) + len("09:02") < COLUMNS
