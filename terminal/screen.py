# SPDX-License-Identifier: Apache-2.0
"""The customer display: a buffer of 4 lines with 20 columns, a light and a tone.

A Hanzi takes two columns, as GB18030 takes two bytes; the words stand in `wording_table`. Colour
never stands alone: every state has words, a light and a tone of its own.

Frame on the serial line: 0C, four lines of exactly 20 columns each with CR LF, ESC ``L`` light,
ESC ``B`` tone, 03.
"""

from __future__ import annotations

import enum
import unicodedata
from dataclasses import dataclass

from terminal.policy import Mode, Say
from terminal.wording_table import (
    ACCEPTED_WORDS,
    MODE_WORDS,
    NO_UNDO_ADVICE,
    SHEETS,
    UNDO_ADVICE,
)

COLUMNS = 20
LINES = 4
ENCODING = "gb18030"
AGE_SHOWN_S = 60  # younger than a minute is being sent just now
CLEAR, ESCAPE, END = b"\x0c", b"\x1b", b"\x03"


class Led(enum.Enum):
    """The light, by the letter of the serial frame."""

    WHITE = "w"
    BLUE = "b"
    GREEN = "g"
    GREEN_TWICE = "G"
    AMBER = "a"
    RED = "r"
    RED_BLINK = "R"


class Tone(enum.Enum):
    """The tone pattern, by the letter of the serial frame; IN and OUT differ in pitch."""

    IN = "i"
    OUT = "o"
    DUPLICATE = "d"
    AGAIN = "a"
    REFUSED = "x"
    SIREN = "s"
    TICK = "t"  # soft ticks from 120 ms on, until the next frame
    KEY = "k"  # a short click: the key was taken
    NONE = "n"


@dataclass(frozen=True, slots=True)
class Screen:
    """What is shown and heard at one moment; lines are padded to 20 columns."""

    lines: tuple[str, str, str, str]
    led: Led
    tone: Tone

    def to_frame(self) -> bytes:
        """Return the bytes for the serial display."""
        text = b"".join(line.encode(ENCODING, "replace") + b"\r\n" for line in self.lines)
        light = ESCAPE + b"L" + self.led.value.encode()
        return CLEAR + text + light + ESCAPE + b"B" + self.tone.value.encode() + END

    def __str__(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the idle screen tells: unsent events with the age of the oldest, and the link.

    A problem with the server keeps the third line for itself, the Chinese and the English words of
    "中文|ENGLISH" in turn; otherwise the site's name and `lines` take it in turn.
    """

    clock: str
    mode: Mode
    site: str
    unsent: int = 0
    oldest_s: int = 0
    online: bool = False
    problem: str = ""
    lines: tuple[str, ...] = ()
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """The changing parts of a message: time, name, place, stay, a code, if key 2 undoes it."""

    clock: str = ""
    name: str = ""
    place: str = ""
    stay_s: int | None = None
    code: str = ""
    direction: Mode = Mode.AUTO
    may_undo: bool = False


def width(text: str) -> int:
    """Count columns: two for a Hanzi and other wide characters, one for the rest.

    >>> width("签到 IN")
    7
    """
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def fit(text: str, columns: int = COLUMNS) -> str:
    """Cut or pad a text to exactly that many columns.

    What is neither ASCII nor wide has no sure width on such displays and is shown as a full stop.

    >>> fit("请刷卡", 5)
    '请刷 '
    >>> fit("阿依·古丽", 9)
    '阿依.古丽'
    """
    out, used = [], 0
    for char in text:
        wide = width(char)
        shown = char if wide == 2 or " " <= char <= "~" else "."
        if used + wide > columns:
            break
        out.append(shown)
        used += wide
    return "".join(out) + " " * (columns - used)


def row(left: str, right: str = "") -> str:
    """Put one text left and one right on a line; the right one is never cut.

    >>> row("签到 IN", "09:02")
    '签到 IN        09:02'
    """
    free = COLUMNS - width(right)
    return fit(left, free) + right if right and free >= 0 else fit(left or right)


def idle(standing: Standing) -> Screen:
    """Compose the waiting screen."""
    zh, en = MODE_WORDS[standing.mode]
    link = "在线 ON" if standing.online else "离线 OFF"
    waiting = f"待传{standing.unsent}"
    if standing.unsent and standing.oldest_s >= AGE_SHOWN_S:
        waiting += f" {age(standing.oldest_s)}"
    third = (standing.site, *standing.lines)[standing.turn % (len(standing.lines) + 1)]
    lines = (
        row("请刷卡", "TAP CARD"),
        row(f"{zh} {en}", standing.clock),
        fit(_in_turn(standing.problem, standing.turn) or third),
        row(waiting, link),
    )
    return Screen(lines, Led.AMBER if standing.problem else Led.WHITE, Tone.NONE)


def _in_turn(words: str, turn: int) -> str:
    """Return the Chinese or the English half, by turns."""
    halves = words.split("|")
    return halves[turn % len(halves)]


def reading() -> Screen:
    """Compose what is shown while the card is at work; it ticks if that takes over 120 ms."""
    lines = (fit("请勿移开"), fit("HOLD STILL"), fit(""), fit(""))
    return Screen(lines, Led.BLUE, Tone.TICK)


def message(say: Say, note: Note) -> Screen:
    """Compose the answer to a tap or a key."""
    if say in ACCEPTED_WORDS:
        return _accepted(say, note)
    if say is Say.DUPLICATE:
        return _duplicate(note)
    sheet = SHEETS[say]
    lines = (
        row(sheet.zh, _way(note.direction, COLUMNS - width(sheet.zh) - 1)),
        row(sheet.en, _name(say, note, COLUMNS - width(sheet.en) - 1)),
        fit(sheet.advice_zh or note.place),
        row(sheet.advice_en, note.code or sheet.code),
    )
    return Screen(lines, Led(sheet.led), Tone(sheet.tone))


def mode_changed(mode: Mode) -> Screen:
    """Compose the answer to a mode key."""
    zh, en = MODE_WORDS[mode]
    lines = (fit(f"模式 {zh}"), fit(f"MODE {en}"), fit(""), fit(""))
    return Screen(lines, Led.WHITE, Tone.NONE)


def _accepted(say: Say, note: Note) -> Screen:
    words = ACCEPTED_WORDS[say]
    third = note.place
    if say is Say.OUT and note.stay_s is not None:
        third = row("本次 TIME", stay(note.stay_s))
    lines = (row(words.title, note.clock), fit(note.name), fit(third), fit(words.parting))
    return Screen(lines, Led(words.led), Tone(words.tone))


def _way(direction: Mode, free: int) -> str:
    """Return the direction in both languages if there is room for it."""
    words = "" if direction is Mode.AUTO else " ".join(MODE_WORDS[direction])
    return words if width(words) <= free else ""


def _name(say: Say, note: Note, free: int) -> str:
    """Return whose tap was undone, as far as there is room; other answers bear no name."""
    return fit(note.name, free).rstrip() if say is Say.VOIDED else ""


def _duplicate(note: Note) -> Screen:
    title = "已签退 OUT" if note.direction is Mode.OUT else "已签到 IN"
    advice = UNDO_ADVICE if note.may_undo else NO_UNDO_ADVICE
    lines = (row(title, note.clock), fit("ALREADY RECORDED"), fit(advice[0]), fit(advice[1]))
    return Screen(lines, Led.AMBER, Tone.DUPLICATE)


def stay(seconds: int) -> str:
    """Write a length of stay in hours and minutes.

    >>> stay(12_599)
    '3:29'
    """
    minutes = max(0, seconds) // 60
    return f"{minutes // 60}:{minutes % 60:02}"


def age(seconds: int) -> str:
    """Write an age in its largest unit.

    >>> age(300), age(7300), age(200_000)
    ('5m', '2h', '2d')
    """
    for unit, length in (("d", 86_400), ("h", 3600)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds // 60}m"
