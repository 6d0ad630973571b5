# SPDX-License-Identifier: Apache-2.0
"""What the display shows in each stage; the digits of a PIN are stars."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from terminal.modes.policy import Panel, Stage
from terminal.modes.sheet_policy import Form, Slot, serial
from terminal.policy import Mode
from terminal.screen import COLUMNS, Led, Screen, Tone, fit, row, stay, width
from terminal.wording_table import (
    MENU_ENGLISH,
    MODE_WORDS,
    PARTS,
    PRACTICE,
    PROMPTS,
    SLOTS,
    VERDICTS,
    Prompt,
)


@dataclass(frozen=True, slots=True)
class Totals:
    """A settlement: our totals, the server's verdict if there is one, and what waits."""

    n_in: int
    n_out: int
    n_rej: int
    verdict: str = ""
    unsent: int = 0
    differs: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """The menu's status: what waits, how full the journal is, and how the parts are."""

    unsent: int
    age: str
    last_seq: int
    clock: str
    parts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What a volunteer who asks is told; without the server only what is known here."""

    name: str
    today_min: int
    total_min: int | None = None
    level: int = 0
    coins: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """What a stage's screen shows besides the panel."""

    totals: Totals | None = None
    health: Health | None = None
    messages: tuple[str, ...] = field(default=())
    training: bool = False


def stage_screen(panel: Panel, view: View) -> Screen | None:
    """Compose the screen of a stage; None in service, where the idle screen stands."""
    if panel.stage is Stage.SERVICE:
        return None
    if panel.stage is Stage.SHEET:
        return _slot(panel, training=view.training)
    if panel.stage is Stage.MENU and panel.page:
        return Screen(tuple4(MENU_ENGLISH), Led.BLUE, Tone.NONE)
    if panel.stage is Stage.SETTLED and view.totals is not None:
        return settled(view.totals)
    if panel.stage is Stage.STATUS and view.health is not None:
        return status(view.health)
    if panel.stage is Stage.MESSAGES and view.messages:
        return Screen(tuple4((*view.messages, "", "", "", "")[:4]), Led.BLUE, Tone.NONE)
    return _prompt(PROMPTS[panel.stage], _typed(panel))


def settled(totals: Totals) -> Screen:
    """Compose a settlement as both sides count it.

    >>> print(settled(Totals(12, 11, 1, "equal")))
    结算 平        EQUAL
    签到12 签退11
    拒刷1
    待传0 UNSENT 0
    """
    zh, en = VERDICTS[totals.verdict]
    lines = (
        row(f"结算 {zh}", en),
        f"签到{totals.n_in} 签退{totals.n_out}",
        totals.differs or f"拒刷{totals.n_rej}",
        f"待传{totals.unsent} UNSENT {totals.unsent}",
    )
    led = {"equal": Led.GREEN, "unequal": Led.RED}.get(totals.verdict, Led.AMBER)
    return Screen(tuple4(lines), led, Tone.NONE)


def status(health: Health) -> Screen:
    """Compose the menu's status.

    >>> print(status(Health(3, "2h", 1204, "14:20", (("printer", "paper-out"),))))
    状态 STATUS    #1204
    待传3 2h       14:20
    打印机          故障
    PRINTER    paper-out
    """
    bad = [(PARTS[name], state) for name, state in health.parts if state != "ok"]
    shown = [row(zh, state) for (zh, _), state in bad[:2]] or ["各部件正常 PARTS OK"]
    if len(bad) == 1:
        (((zh, en), state),) = bad
        shown = [row(zh, "故障"), row(en, state)]
    waiting = row(f"待传{health.unsent} {health.age}".rstrip(), health.clock)
    lines = (row("状态 STATUS", f"#{health.last_seq}"), waiting, *shown, "")[:4]
    return Screen(tuple4(lines), Led.AMBER if bad else Led.BLUE, Tone.NONE)


def inquiry(found: Inquiry) -> Screen:
    """Compose the answer to a volunteer who asks.

    >>> print(inquiry(Inquiry("林**", 209, 7710, 3, "12.5")))
    林**
    今日 TODAY      3:29
    累计 TOTAL    128:30
    级别3  时间币 12.5
    >>> print(inquiry(Inquiry("林**", 209, last="签到 IN 09:02")))
    林**
    今日 TODAY      3:29
    签到 IN 09:02
    离线 本机记录 LOCAL
    """
    today = row("今日 TODAY", stay(found.today_min * 60))
    if found.total_min is None:
        lines = (found.name, today, found.last, "离线 本机记录 LOCAL")
    else:
        total = row("累计 TOTAL", stay(found.total_min * 60))
        lines = (found.name, today, total, f"级别{found.level}  时间币 {found.coins}")
    return Screen(tuple4(lines), Led.BLUE, Tone.KEY)


def checked(part: str, *, passed: bool) -> Screen:
    """Compose one result of the self-test.

    >>> print(checked("psam", passed=False))
    开机自检   SELF-TEST
    密钥模块        故障
    KEY MODULE    FAILED
    <BLANKLINE>
    """
    zh, en = PARTS[part]
    said_zh, said_en = ("正常", "OK") if passed else ("故障", "FAILED")
    lines = (row("开机自检", "SELF-TEST"), row(zh, said_zh), row(en, said_en), "")
    return Screen(tuple4(lines), Led.WHITE if passed else Led.AMBER, Tone.NONE)


def last_tap(kind: Mode, clock: str) -> str:
    """Return what the card says of its last tap, for one line."""
    zh, en = MODE_WORDS[kind]
    return f"上次{zh} {en} {clock}" if kind is not Mode.AUTO else ""


def tuple4(lines: tuple[str, ...]) -> tuple[str, str, str, str]:
    """Return exactly four lines of exactly twenty columns."""
    first, second, third, fourth = (fit(line) for line in lines)
    return first, second, third, fourth


def wrapped(text: str) -> list[str]:
    """Cut a text into lines that fit the display, wherever they end.

    >>> wrapped("明天停电 请早到 谢谢大家配合")
    ['明天停电 请早到 谢谢', '大家配合']
    """
    lines, line = [], ""
    for char in " ".join(text.split()):
        if width(line + char) > COLUMNS:
            lines.append(line.rstrip())
            line = ""
        line += char
    return [*lines, line.rstrip()] if line.strip() else lines


def _prompt(prompt: Prompt, typed: str) -> Screen:
    lines = (prompt.zh.format(typed), prompt.en, prompt.third.format(typed), prompt.last)
    return Screen(tuple4(lines), Led(prompt.led), Tone.NONE)


def _typed(panel: Panel) -> str:
    if panel.stage is Stage.PIN:
        return "*" * len(panel.typed)
    return str(len(panel.minors)) if panel.stage is Stage.GROUP else panel.typed


def _slot(panel: Panel, *, training: bool) -> Screen:
    words = SLOTS[panel.form.slot]
    if panel.form.slot is Slot.CHECK:
        times, card = _summary(panel.form)
        told = PRACTICE if training else words.en
        return Screen(tuple4((words.zh, told, times, card)), Led.BLUE, Tone.NONE)
    return _prompt(replace(words, last=PRACTICE) if training else words, panel.typed)


def _summary(form: Form) -> tuple[str, str]:
    """Return the sheet in two lines: day and times; the end of the card's number and the sheet's.

    >>> _summary(Form(("17", "1120", "0900", "1130", "", "42")))
    ('1120 0900-1130', '..00000017 #42')
    """
    card, day, start, end, planned, number = form.typed
    length = f" {planned}'" if planned else ""
    return f"{day or '今天'} {start}-{end}{length}", f"..{(serial(card) or '')[-8:]} #{number or 0}"
