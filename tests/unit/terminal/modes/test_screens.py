# SPDX-License-Identifier: Apache-2.0
"""Every stage has its screen: four lines of twenty columns, in both languages."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swipe.kinds import OutageKind
from terminal.modes.policy import Panel, Stage
from terminal.modes.power_on import TESTED
from terminal.modes.screens import (
    Health,
    Inquiry,
    Totals,
    View,
    checked,
    inquiry,
    settled,
    stage_screen,
    status,
    wrapped,
)
from terminal.modes.sheet_policy import Form, Slot
from terminal.screen import COLUMNS, Led, Screen, width
from terminal.wording_table import (
    MENU_ENGLISH,
    PARTS,
    PROMPTS,
    SLOTS,
    VERDICTS,
    WARNINGS,
)

HAN, LATIN = re.compile(r"[\u4e00-\u9fff]"), re.compile(r"[A-Za-z]{2}")
FULL = Form(("17", "1120", "0900", "1130", "120", "42"))
VIEW = View(
    totals=Totals(12, 11, 1, "equal"),
    health=Health(12, "2d", 4711, "09:02", (("reader", "ok"), ("printer", "paper-out"))),
    messages=("明天停电", "No power tomorrow"),
)
STAGES = [stage for stage in Stage if stage is not Stage.SERVICE]


def panels() -> list[Panel]:
    """Return a panel for every stage and every slot of a sheet."""
    slots = [Panel(Stage.SHEET, form=Form(FULL.typed[:count])) for count in range(7)]
    return [Panel(stage) for stage in STAGES] + slots


def shown(panel: Panel, view: View = VIEW) -> Screen:
    """Return a panel's screen."""
    screen = stage_screen(panel, view)
    assert screen is not None
    return screen


@pytest.mark.parametrize("view", [View(), VIEW], ids=["bare", "full"])
@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel.stage.name)
def test_every_stage_fills_four_lines(panel: Panel, view: View) -> None:
    """Whatever is known of it, a stage has four lines of exactly twenty columns."""
    lines = shown(panel, view).lines

    assert [width(line) for line in lines] == [COLUMNS] * 4
    assert all(line.encode("gb2312") for line in lines)


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel.stage.name)
def test_every_stage_speaks_both_languages(panel: Panel) -> None:
    """Chinese and English stand on the same screen, but for the menu, which has one for each."""
    text = str(shown(panel))
    if panel.stage is Stage.MENU:
        text += str(shown(Panel(Stage.MENU, page=1)))

    assert HAN.search(text)
    assert LATIN.search(text)


def test_words_are_whole() -> None:
    """No prompt is cut, also with a number in it."""
    prompts = [*PROMPTS.values(), *SLOTS.values()]
    texts = [t for p in prompts for t in (p.zh, p.en, p.third, p.last)] + list(MENU_ENGLISH)
    texts += [half for warning in WARNINGS.values() for half in warning.format(100, 100).split("|")]

    assert [text for text in texts if width(text.format("12")) > COLUMNS] == []


def test_every_stage_and_slot_has_words() -> None:
    """Nothing can be reached that has no words."""
    assert set(PROMPTS) == set(Stage) - {Stage.SERVICE, Stage.SHEET}
    assert set(SLOTS) == set(Slot)


def test_service_shows_the_idle_screen() -> None:
    """In service the panel has no screen of its own."""
    assert stage_screen(Panel(), VIEW) is None


def test_pin_is_stars() -> None:
    """Nobody reads a PIN from the display."""
    text = str(shown(Panel(Stage.PIN, typed="602417")))

    assert "******" in text
    assert "602417" not in text


def test_settlement_differs_in_words_and_light() -> None:
    """Equal, unequal and waiting are told apart without colour."""
    screens = [settled(Totals(1, 1, 0, verdict)) for verdict in VERDICTS]

    assert len({screen.lines for screen in screens[:3]}) == 3
    assert [screen.led for screen in screens] == [Led.GREEN, Led.RED, Led.AMBER, Led.AMBER]


def test_unequal_settlement_shows_the_servers_totals() -> None:
    """Whoever settles sees both sides."""
    text = str(settled(Totals(12, 11, 1, "unequal", differs="服务器12/10/1")))

    assert "签到12 签退11" in text
    assert "服务器12/10/1" in text


def test_status_names_what_failed_first() -> None:
    """A failed part is named; without one all are well."""
    text = str(status(VIEW.health or Health(0, "", 0, "")))
    two = str(status(Health(0, "", 1, "09:02", (("printer", "paper-out"), ("psam", "offline")))))

    assert "打印机" in text
    assert "PRINTER" in text
    assert "paper-out" in two
    assert "密钥模块" in two
    assert "PARTS OK" in str(status(Health(0, "", 1, "09:02", (("reader", "ok"),))))


@pytest.mark.parametrize("part", list(TESTED))
def test_each_part_has_both_results(part: str) -> None:
    """Every tested part passes and fails in words."""
    good, bad = checked(part, passed=True), checked(part, passed=False)

    assert PARTS[part][0] in str(good)
    assert PARTS[part][1] in str(bad)
    assert good.lines != bad.lines
    assert TESTED[part] in OutageKind


@given(st.text(max_size=300))
def test_any_message_is_wrapped(text: str) -> None:
    """Whatever the server sends, each line fits."""
    assert all(width(line) <= COLUMNS for line in wrapped(text))


@given(name=st.text(max_size=40), coins=st.text(max_size=32), minutes=st.integers(0, 10**8))
def test_any_inquiry_fits(name: str, coins: str, minutes: int) -> None:
    """A long name, a great total and strange coins leave four lines of twenty columns."""
    screen = inquiry(Inquiry(name, 1440, minutes, 9, coins))

    assert [width(line) for line in screen.lines] == [COLUMNS] * 4
