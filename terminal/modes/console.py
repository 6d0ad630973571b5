# SPDX-License-Identifier: Apache-2.0
"""Carry out what the panel decides: the one place where keys and cards meet desk and display."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from card.errors import CardError, ReaderError
from card.operation import Connection, run
from card.volunteer import CardFace, select
from swipe.event import Event
from terminal import actions
from terminal.announce import Announcer, clock_text, oldest_s
from terminal.courier import Standing
from terminal.desk import Desk, card_view
from terminal.errors import NotSaved
from terminal.keypad import Key
from terminal.modes import policy
from terminal.modes.comparison import Comparison
from terminal.modes.enquiry import Enquiry
from terminal.modes.pins import Verdict, check_pin, lock_state
from terminal.modes.policy import Act, Do, Facts, Panel, Stage, Tapped, Use
from terminal.modes.screens import Health, Totals, View, stage_screen, wrapped
from terminal.modes.sheet_policy import Form, Sheet, sheet_of
from terminal.phone_token import present_token
from terminal.policy import Mode, Say
from terminal.screen import Screen, age
from terminal.station import Station
from terminal.tap import Outcome, card_failed, present
from terminal.wording_table import PARTS, WARNINGS

_LOG = logging.getLogger(__name__)

QUIET = 1
WELL = frozenset({"ok", "paper-low", "busy"})  # states of a part that need nobody


@dataclass(slots=True)
class Services:
    """What the console asks of the rest of the program; each may be missing."""

    hurry: Callable[[], None] = lambda: None
    export: Callable[[], Say] = lambda: Say.EXPORT_FAILED
    print_test: Callable[[], bool] = lambda: False
    print_last: Callable[[CardFace, Event], None] = lambda _face, _event: None
    parts: Callable[[], tuple[tuple[str, str], ...]] = tuple
    enquiry: Enquiry | None = None
    comparison: Comparison | None = None


class Console:
    """The panel with everything that its acts reach."""

    def __init__(
        self, station: Station, desk: Desk, announcer: Announcer, services: Services
    ) -> None:
        self._station = station
        self._desk = desk
        self._announcer = announcer
        self._services = services
        self._last_sheet: Sheet | None = None
        self.panel = Panel()

    def key(self, key: Key) -> None:
        """Take one key and show what it led to."""
        before = self.panel.stage
        self.panel, act = policy.press(self.panel, key, self._facts())
        try:
            say = self._do(act)
        except NotSaved as exc:
            _LOG.error("%s", exc)
            self.panel, say = Panel(), Say.NOT_SAVED
        self._forget(before)
        self._show(say)

    def _forget(self, before: Stage) -> None:
        """Let a word, or the wait for one, end with its stage: next comes another family."""
        if self.panel.stage is before:
            return
        if before is Stage.GUARDIAN:
            self._desk.guardian_key_ms = None
        if before is Stage.GROUP:
            self._desk.guardian_ms = None

    def use(self) -> Use:
        """Say what a card laid down now is for."""
        return policy.use(self.panel, self._facts())

    def present(self, connection: Connection) -> Outcome | Screen:
        """Answer one card: as a tap, or as what a key has just asked for.

        Raises:
            ReaderError: The reader or its service is gone.
        """
        wish = self.use()
        if wish in (Use.QUERY, Use.OPERATOR, Use.SHEET):
            try:
                answer = self._asked(wish, connection)
            except ReaderError:
                raise
            except CardError as exc:
                return card_failed(exc)
            if answer is not None:
                return answer
        self._desk.switch_key = wish is Use.SWITCH
        try:
            outcome = present(self._desk, connection)
        finally:
            self._desk.switch_key = False
        self.tapped(outcome)
        return outcome

    def present_code(self, code: bytes) -> Outcome:
        """Answer a code that the scanner read, as a card is answered; a wish for a card stays."""
        self._desk.switch_key = self.use() is Use.SWITCH
        try:
            outcome = present_token(self._desk, code)
        finally:
            self._desk.switch_key = False
        self.tapped(outcome)
        return outcome

    def tapped(self, outcome: Outcome) -> None:
        """Let the panel know how a presentation ended."""
        minor = outcome.seq if outcome.attended else 0
        how = Tapped(outcome.decided, outcome.say is Say.GUARDIAN, minor)
        self.panel = policy.tapped(self.panel, how, self._facts())

    def screen(self, link: Standing) -> Screen | None:
        """Return what stands on the display besides answers; None for the idle screen."""
        self.panel = policy.expire(self.panel, self._facts())
        return stage_screen(self.panel, self._view(link))

    def lines(self) -> tuple[str, ...]:
        """Return what the idle screen tells in turn: warnings, failed parts, messages."""
        state = self._station.journal.state
        percent = policy.journal_percent(len(state.kinds))
        told: list[str] = []
        if percent >= policy.JOURNAL_WARN_PERCENT:
            told += WARNINGS["full"].format(percent, percent).split("|")
        now = self._station.chain.time.now()
        if not now.known:
            told += WARNINGS["clock"].split("|")
        if state.unsent and oldest_s(self._station, now.utc_s) >= policy.UNSENT_WARN_S:
            told += WARNINGS["unsent"].split("|")
        for name, how in self._services.parts():
            if how not in WELL:
                told += [f"{PARTS[name][0]}故障 {how}", f"{PARTS[name][1]} {how}"]
        return (*told, *self._messages())

    def _facts(self) -> Facts:
        state, config = self._station.journal.state, self._station.notices.config
        return Facts(
            now_ms=self._station.chain.time.uptime_ms(),
            operator=state.operator,
            must_sign_on=config.require_sign_on,
            may_choose=config.activity_choice != "fixed",
            training=state.mode is Mode.TRAINING,
            guardian_s=config.rules.guardian_s,
        )

    def _show(self, say: Say | None) -> None:
        place = self._place() if say is Say.ACTIVITY_CHOSEN else ""
        if say is not None:
            answered = self._desk.answered
            name = answered.masked_name if say is Say.VOIDED and answered is not None else ""
            self._announcer.key(say, self._station, place, name)
            return
        shown = stage_screen(self.panel, self._view(Standing()))
        self._announcer.prompt(shown, self._station)

    def _place(self) -> str:
        activity = self._desk.activity(self._station.chain.time.now())
        return "" if activity is None else activity.name_zh

    def _do(self, act: Act) -> Say | None:
        """Carry an act out and return what to say of it; None where the stage's screen says it."""
        simple: dict[Do, Callable[[], Say | None]] = {
            Do.NOTHING: lambda: None,
            Do.SAY: lambda: act.say,
            Do.MODE: partial(self._mode, act.mode),
            Do.VOID: self._void,
            Do.GUARDIAN: partial(actions.press, self._desk, Key.GUARDIAN),
            Do.CHOOSE: lambda: actions.choose_activity(self._desk, act.typed),
            Do.CHECK_PIN: partial(self._pin, act),
            Do.SETTLE: self._settle,
            Do.HURRY: self._hurry,
            Do.SIGN_OFF: self._sign_off,
            Do.ENTER: partial(self._enter, act.form),
            Do.EXPORT: self._services.export,
            Do.PRINT_TEST: lambda: Say.PRINTED if self._services.print_test() else Say.NO_PRINTER,
            Do.VOLUME: partial(self._volume, act.typed),
            Do.RETIRE: lambda: Say.ASK_OFFICE,
        }
        return simple[act.do]()

    def _mode(self, mode: Mode) -> Say:
        actions.set_mode(self._desk, mode)
        return Say.MODE

    def _void(self) -> Say:
        say, answered = actions.press(self._desk, Key.UNDO), self._desk.answered
        if say is Say.VOIDED and answered is not None:
            self.panel = policy.undone(
                self.panel, self._station.journal.state.trace(answered.asn).seq
            )
        return say

    def _settle(self) -> Say:
        actions.close_period(self._desk.chain)
        self._hurry()
        return Say.SETTLING

    def _hurry(self) -> None:
        self._station.uplink.retry_gap()
        self._services.hurry()

    def _sign_off(self) -> Say:
        self._settle()
        return Say.SIGNED_OFF

    def _volume(self, level: str) -> Say:
        self._announcer.quiet = int(level) == QUIET
        return Say.VOLUME

    def _pin(self, act: Act) -> Say:
        verdict, supervisor = check_pin(self._desk, act.asn, act.typed)
        if verdict is not Verdict.RIGHT:
            return verdict.say
        self.panel = policy.signed_on(supervisor=supervisor, facts=self._facts())
        return Say.SIGNED_ON

    def _enter(self, form: Form | None) -> Say:
        if not self._station.journal.state.operator:  # a failing disk took the sign-on back
            return Say.SIGN_ON_FIRST
        now_s = self._station.chain.time.now().utc_s
        sheet = None
        if form is not None:
            sheet = sheet_of(form, now_s, self._station.chain.around.tz_q)
        if sheet is None or sheet.asn == self._station.journal.state.operator:
            return Say.BAD_ENTRY
        if self._desk.rules.training:
            return Say.SHEET_PRACTISED
        if sheet == self._last_sheet:
            return Say.SHEET_TWICE
        actions.enter_sheet(self._desk, sheet)
        self._last_sheet = sheet
        return Say.SHEET_SAVED

    def _asked(self, wish: Use, connection: Connection) -> Outcome | Screen | None:
        """Answer a card that a key has asked for; None if it is to be a tap after all."""
        self._desk.answered = None
        face = self._desk.answered = run(select(), connection)
        facts = self._facts()
        if wish is Use.OPERATOR:
            return self._operator(face, facts)
        if wish is Use.SHEET:
            self.panel, act = policy.sheet_card(self.panel, face.asn, facts)
            if act.say is not None:
                return Outcome(act.say, face=face)
            return stage_screen(self.panel, self._view(Standing()))
        self.panel = policy.queried(self.panel)
        if self._services.enquiry is None:
            return None
        answer = self._services.enquiry.answer(face, connection)
        last = self._services.enquiry.last(face.asn)
        if last is not None:
            self._services.print_last(face, last)
        return answer

    def _operator(self, face: CardFace, facts: Facts) -> Outcome | Screen | None:
        """Ask an operator for the PIN; anybody else's card, or a listed one, makes a tap."""
        operator = self._station.notices.config.operator(face.asn)
        today = self._desk.today(self._station.chain.time.now())
        if operator is None or self._desk.notices.is_listed(face.asn):
            return None
        if not policy.may_sign_on(card_view(face), today):
            return None
        hindrance = Verdict.NO_PIN if operator.pin is None else lock_state(self._desk, face.asn)
        if hindrance is not Verdict.RIGHT:
            self.panel = Panel()
            return Outcome(hindrance.say, face=face)
        self.panel = policy.recognised(face.asn, facts)
        return stage_screen(self.panel, View())

    def _view(self, link: Standing) -> View:
        if self.panel.stage is Stage.SETTLED:
            return View(totals=self._totals())
        if self.panel.stage is Stage.STATUS:
            return View(health=self._health(link))
        if self.panel.stage is Stage.MESSAGES:
            return View(messages=self._messages())
        return View(training=self._desk.rules.training)

    def _totals(self) -> Totals | None:
        state = self._station.journal.state
        if state.closed is None:
            return None
        seq, n_in, n_out, n_rej = state.closed
        comparison = self._services.comparison
        found = None if comparison is None else comparison.found(seq)
        if found is None:
            return Totals(n_in, n_out, n_rej, unsent=state.unsent)
        differs = "" if found.equal else f"服务器{found.n_in}/{found.n_out}/{found.n_rej}"
        return Totals(n_in, n_out, n_rej, found.state, state.unsent, differs)

    def _health(self, link: Standing) -> Health:
        state, time = self._station.journal.state, self._station.chain.time
        unsent = state.unsent
        waits = oldest_s(self._station, time.now().utc_s) if unsent else 0
        parts = (("network", "ok" if link.online else "offline"), *self._services.parts())
        clock = clock_text(time.now().utc_s, self._station)
        return Health(unsent, age(waits) if waits else "", state.last_seq, clock, parts)

    def _messages(self) -> tuple[str, ...]:
        now_s = self._station.chain.time.now().utc_s
        shown = self._station.notices.config.messages_at(now_s)
        return tuple(line for message in shown for line in wrapped(f"{message.zh} {message.en}"))
