# SPDX-License-Identifier: Apache-2.0
"""The operating modes as a state machine: panel, key or card, and facts in; panel and act out.

Pure: no clock, no I/O, no randomness. Whoever holds the panel carries the acts out and tells how
they ended. Three rules stand above all stages:

1. A card is a tap, except for the one card that a key has just asked for (query, sign-on, sheet),
   and that wish is forgotten after `WISH_S`.
2. Typing is never disturbed by a tap, and no digit of a PIN is shown or kept once it was taken.
3. Only key 2 in service undoes; only key 9 and the menu close a period.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from datetime import date

from terminal.keypad import Key
from terminal.modes.sheet_policy import FIELDS, Form, Slot
from terminal.policy import GROUP_MAX_S, CardView, Mode, Say

EMPTY = Form()
WISH_S = 30  # how long a key's wish, or half-typed digits, wait for what comes next
GUARDIAN_S = 60  # how long key 4 waits for the guardian's card
READ_S = 60  # how long settlement, status and messages stay to be read
CODE_DIGITS_MAX = 16
PIN_DIGITS_MAX = 8
PIN_TRIES_MAX = 3  # wrong PINs in a row before there is a wait between tries
PIN_LOCK_S = 900  # with four digits and four tries an hour, a guess takes months


JOURNAL_EVENTS_MAX = 1_000_000  # what the journal is built and tested for; it takes more
JOURNAL_WARN_PERCENT = 80
UNSENT_WARN_S = 7 * 86_400  # a week without the server: somebody should look


class Stage(enum.Enum):
    """Where the panel stands."""

    SERVICE = enum.auto()
    SWITCH = enum.auto()
    QUERY = enum.auto()
    GUARDIAN = enum.auto()
    GROUP = enum.auto()
    CODE = enum.auto()
    SIGN_ON = enum.auto()
    PIN = enum.auto()
    MENU = enum.auto()
    SETTLED = enum.auto()
    STATUS = enum.auto()
    MESSAGES = enum.auto()
    VOLUME = enum.auto()
    RETIRE = enum.auto()
    SHEET = enum.auto()


class Use(enum.Enum):
    """What the next card is for."""

    TAP = enum.auto()
    SWITCH = enum.auto()
    QUERY = enum.auto()
    OPERATOR = enum.auto()
    SHEET = enum.auto()


class Do(enum.Enum):
    """What is to be done outside the panel."""

    NOTHING = enum.auto()
    SAY = enum.auto()
    MODE = enum.auto()
    VOID = enum.auto()
    GUARDIAN = enum.auto()
    CHOOSE = enum.auto()
    CHECK_PIN = enum.auto()
    SETTLE = enum.auto()
    HURRY = enum.auto()
    SIGN_OFF = enum.auto()
    ENTER = enum.auto()
    EXPORT = enum.auto()
    PRINT_TEST = enum.auto()
    VOLUME = enum.auto()
    RETIRE = enum.auto()


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be done, with what belongs to it; what was typed is not in the representation."""

    do: Do = Do.NOTHING
    say: Say | None = None
    mode: Mode = Mode.AUTO
    typed: str = field(default="", repr=False)
    asn: bytes = b""
    form: Form | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """Where the panel stands and what was typed so far; the stage's own things beside it."""

    stage: Stage = Stage.SERVICE
    since_ms: int = 0
    began_ms: int = 0
    typed: str = field(default="", repr=False)
    asn: bytes = b""
    form: Form = EMPTY
    page: int = 0
    minors: frozenset[int] = frozenset()  # numbers of the taps of a group


@dataclass(frozen=True, slots=True)
class Facts:
    """What a transition may look at besides the panel."""

    now_ms: int
    operator: bytes = b""
    must_sign_on: bool = False
    may_choose: bool = True  # activities may be chosen by code here
    training: bool = False
    guardian_s: int = 120

    @property
    def operator_missing(self) -> bool:
        """Say whether an operator has to sign on first."""
        return self.must_sign_on and not self.operator


@dataclass(frozen=True, slots=True)
class Tapped:
    """How a presentation that was a tap ended."""

    decided: bool  # the journal keeps it
    guardian: bool = False  # a guardian's word was taken
    minor: int = 0  # number of a minor's tap with the guardian present


Step = tuple[Panel, Act]

_MODES = {Key.AUTO: Mode.AUTO, Key.IN: Mode.IN, Key.OUT: Mode.OUT}
_WISHES = {Key.SWITCH: Stage.SWITCH, Key.QUERY: Stage.QUERY, Key.OPERATOR: Stage.SIGN_ON}
_USES = {
    Stage.SWITCH: Use.SWITCH,
    Stage.QUERY: Use.QUERY,
    Stage.SIGN_ON: Use.OPERATOR,
}
_READ = frozenset({Stage.SETTLED, Stage.STATUS, Stage.MESSAGES})
_TYPED_MAX = {Stage.CODE: CODE_DIGITS_MAX, Stage.PIN: PIN_DIGITS_MAX}
VOLUMES = {Key.IN: 1, Key.UNDO: 2}  # quiet, normal
NOTHING = Act()


def expire(panel: Panel, facts: Facts) -> Panel:
    """Give up what has waited too long; training, mode and sign-on are no wishes and stay."""
    if panel.stage is Stage.SERVICE:
        return panel
    waited_s = (facts.now_ms - panel.since_ms) / 1000
    group_s = (facts.now_ms - panel.began_ms) / 1000
    over = panel.stage is Stage.GROUP and group_s >= GROUP_MAX_S
    return Panel() if over or waited_s >= _patience(panel.stage, facts) else panel


def press(panel: Panel, key: Key, facts: Facts) -> Step:
    """Take one key."""
    panel = expire(panel, facts)
    if panel.stage in _TYPED_MAX:
        return _typing(panel, key, facts)
    if panel.stage is Stage.SHEET:
        return _sheet(panel, key, facts)
    if panel.stage is Stage.MENU:
        return _menu(panel, key, facts)
    if panel.stage in (Stage.VOLUME, Stage.RETIRE):
        return _choice(panel, key, facts)
    return _service(panel, key, facts)


def use(panel: Panel, facts: Facts) -> Use:
    """Say what a card laid down now is for."""
    panel = expire(panel, facts)
    if panel.stage is Stage.SHEET and panel.form.slot is Slot.CARD:
        return Use.SHEET
    return _USES.get(panel.stage, Use.TAP)


def tapped(panel: Panel, how: Tapped, facts: Facts) -> Panel:
    """Go on after a presentation that was a tap."""
    panel = expire(panel, facts)
    now = facts.now_ms
    if panel.stage is Stage.GUARDIAN and how.guardian:
        return Panel(Stage.GROUP, now, now)
    if panel.stage is Stage.GROUP and how.minor:
        return replace(panel, since_ms=now, minors=panel.minors | {how.minor})
    if panel.stage in _READ or (panel.stage is Stage.SWITCH and how.decided):
        return Panel()
    if panel.stage is Stage.SIGN_ON and how.decided:  # a volunteer's card: it was a tap
        return Panel()
    return panel


def undone(panel: Panel, seq: int) -> Panel:
    """Count the tap that key 2 has undone no longer."""
    return replace(panel, minors=panel.minors - {seq})


def queried(panel: Panel) -> Panel:
    """Go back to service after a card was asked about: a query is for one card."""
    return Panel() if panel.stage is Stage.QUERY else panel


def recognised(asn: bytes, facts: Facts) -> Panel:
    """Ask for the PIN of an operator whose card was read."""
    return Panel(Stage.PIN, facts.now_ms, asn=asn)


def signed_on(*, supervisor: bool, facts: Facts) -> Panel:
    """Go on after a right PIN: the supervisor into the menu, anybody else into service."""
    return Panel(Stage.MENU, facts.now_ms) if supervisor else Panel()


def is_locked(wrong: int, age_s: float) -> bool:
    """Say whether a PIN may not be tried, so many wrong ones in a row, the last so long ago.

    A clock that seems to have run back since tells nothing: the wait is not over.

    >>> is_locked(2, 0), is_locked(3, 899), is_locked(3, 900), is_locked(4, -1)
    (False, True, False, True)
    """
    return wrong >= PIN_TRIES_MAX and age_s < PIN_LOCK_S


def journal_percent(events: int) -> int:
    """Return how full the journal is, of what it is built for.

    >>> journal_percent(800_000)
    80
    """
    return events * 100 // JOURNAL_EVENTS_MAX


def may_sign_on(card: CardView, today: date) -> bool:
    """Say whether a card is good enough to ask for its PIN."""
    begun = card.valid_from is None or card.valid_from <= today
    over = card.valid_to is not None and card.valid_to < today
    return card.enabled and begun and not over


def sheet_card(panel: Panel, asn: bytes, facts: Facts) -> Step:
    """Take the volunteer of a paper sheet from a card."""
    if asn == facts.operator:
        return panel, Act(Do.SAY, Say.BAD_ENTRY)
    form = panel.form.taken(asn.hex())
    return replace(panel, form=form, typed="", since_ms=facts.now_ms), NOTHING


def _patience(stage: Stage, facts: Facts) -> float:
    if stage is Stage.GUARDIAN:
        return GUARDIAN_S
    if stage is Stage.GROUP:
        return facts.guardian_s
    return READ_S if stage in _READ else WISH_S


def _leave(stage: Stage) -> Step:
    """Go back to service."""
    if stage is Stage.SERVICE:
        return Panel(), NOTHING
    return Panel(), Act(Do.SAY, Say.GROUP_CLOSED if stage is Stage.GROUP else Say.LEFT)


def _service(panel: Panel, key: Key, facts: Facts) -> Step:
    """Take a key where each has its own meaning."""
    confirms_page = key is Key.CONFIRM and panel.stage is not Stage.SERVICE
    if key is Key.CANCEL or confirms_page:
        return _leave(panel.stage)
    if key in _MODES:
        return Panel(), Act(Do.MODE, mode=_MODES[key])
    if key is Key.UNDO:
        return (panel if panel.stage is Stage.GROUP else Panel()), Act(Do.VOID)
    if key is Key.GUARDIAN:
        return Panel(Stage.GUARDIAN, facts.now_ms), Act(Do.GUARDIAN)
    if key in _WISHES:
        return Panel(_WISHES[key], facts.now_ms), NOTHING
    return _leaders(panel, key, facts)


def _leaders(panel: Panel, key: Key, facts: Facts) -> Step:
    """Take a key that is the leader's: settle, sheet, code."""
    now = facts.now_ms
    if key is Key.SETTLE and panel.stage is Stage.SETTLED:
        return replace(panel, since_ms=now), Act(Do.HURRY)
    if facts.operator_missing or (key is Key.SHEET and not facts.operator):
        return Panel(), Act(Do.SAY, Say.SIGN_ON_FIRST)
    if key is Key.SETTLE:
        return Panel(Stage.SETTLED, now), Act(Do.SETTLE)
    if key is Key.SHEET:
        return Panel(Stage.SHEET, now), NOTHING
    if not facts.may_choose:
        return Panel(), Act(Do.SAY, Say.NO_CODE_HERE)
    return Panel(Stage.CODE, now), NOTHING


def _typing(panel: Panel, key: Key, facts: Facts) -> Step:
    """Take a digit of a code or PIN; what is longer than any can be is not taken."""
    if key is Key.CANCEL:
        return _leave(panel.stage)
    panel = replace(panel, since_ms=facts.now_ms)
    if key is not Key.CONFIRM:
        room = len(panel.typed) < _TYPED_MAX[panel.stage]
        return (replace(panel, typed=panel.typed + key.digit) if room else panel), NOTHING
    if not panel.typed:
        return _leave(panel.stage)
    if panel.stage is Stage.CODE:
        return Panel(), Act(Do.CHOOSE, typed=panel.typed)
    return Panel(), Act(Do.CHECK_PIN, typed=panel.typed, asn=panel.asn)


def _menu(panel: Panel, key: Key, facts: Facts) -> Step:
    """Take a line of the supervisor's menu; the numbers stand on the screen."""
    now = facts.now_ms
    if key is Key.AUTO:
        return replace(panel, page=1 - panel.page, since_ms=now), NOTHING
    if key in (Key.CANCEL, Key.CONFIRM):
        return _leave(panel.stage)
    after, act = _menu_lines(facts)[key]
    return Panel(after, now) if after is not Stage.SERVICE else Panel(), act


def _menu_lines(facts: Facts) -> dict[Key, tuple[Stage, Act]]:
    other = Mode.AUTO if facts.training else Mode.TRAINING
    return {
        Key.IN: (Stage.SETTLED, Act(Do.SETTLE)),
        Key.UNDO: (Stage.SERVICE, Act(Do.MODE, mode=other)),
        Key.OUT: (Stage.MESSAGES, NOTHING),
        Key.GUARDIAN: (Stage.STATUS, NOTHING),
        Key.SWITCH: (Stage.VOLUME, NOTHING),
        Key.QUERY: (Stage.SERVICE, Act(Do.EXPORT)),
        Key.OPERATOR: (Stage.SERVICE, Act(Do.PRINT_TEST)),
        Key.SHEET: (Stage.SERVICE, Act(Do.SIGN_OFF)),
        Key.SETTLE: (Stage.RETIRE, NOTHING),
    }


def _choice(panel: Panel, key: Key, facts: Facts) -> Step:
    """Take the answer to the menu's two questions: how loud, and whether to retire."""
    if panel.stage is Stage.RETIRE and key is Key.CONFIRM:
        return Panel(), Act(Do.RETIRE)
    if panel.stage is Stage.VOLUME and key in VOLUMES:
        return Panel(), Act(Do.VOLUME, typed=str(VOLUMES[key]))
    if key in (Key.CANCEL, Key.CONFIRM):
        return _leave(panel.stage)
    return replace(panel, since_ms=facts.now_ms), NOTHING


def _sheet(panel: Panel, key: Key, facts: Facts) -> Step:
    """Take a key of a paper sheet: one slot after the other, then ✓ for the whole."""
    if key is Key.CANCEL:
        return _leave(panel.stage)
    form = panel.form
    panel = replace(panel, since_ms=facts.now_ms)
    if form.slot is Slot.CHECK:
        return (Panel(), Act(Do.ENTER, form=form)) if key is Key.CONFIRM else (panel, NOTHING)
    if key is not Key.CONFIRM:
        room = len(panel.typed) < FIELDS[form.slot].digits_max
        return (replace(panel, typed=panel.typed + key.digit) if room else panel), NOTHING
    if not FIELDS[form.slot].accepts(panel.typed):
        return replace(panel, typed=""), Act(Do.SAY, Say.BAD_ENTRY)
    return replace(panel, form=form.taken(panel.typed), typed=""), NOTHING
