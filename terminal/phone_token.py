# SPDX-License-Identifier: Apache-2.0
"""A volunteer's code on a phone, checked without a network: signature, time, list, first use.

The code is a token that the server signed for two minutes. What it cannot prove, that its holder
stands here, no code can; the event says that it was a token, and the server grades it so.
"""

from __future__ import annotations

from dataclasses import replace

from card.layouts import NO_TAP, Composite
from card.volunteer import CardFace
from swipe.errors import BadSignature, SwipeError
from swipe.event import CORE_SIZE, EVENT_LAYOUT, Event, sign
from swipe.kinds import PROVEN_TYPES, CardKind, CgType, EventType, RejectReason, Result
from swipe.phone_token import LIFE_MAX_S, SEEN_LAYOUT, PhoneToken, payload_of, read_code
from terminal.clock import Reading
from terminal.desk import Desk
from terminal.errors import NotSaved
from terminal.opening import open_period
from terminal.policy import Decision, Mode, Say, decide
from terminal.recover import close_open_intent
from terminal.tap import Outcome, accepted_tap

# Server and terminal each tell the time a little differently.
SKEW_S = 5
# A clock worse than this cannot tell a fresh token from an old one; it counts as unknown.
UNC_MAX_S = LIFE_MAX_S
# So long may one token look fresh to a clock that is wrong by no more than that, either way.
FRESH_MAX_S = LIFE_MAX_S + 2 * UNC_MAX_S
# A token lives ten minutes at most; nobody serves more people at one terminal in that time.
LOOK_BACK = 4_096
_BOOT, _UP_S = slice(*EVENT_LAYOUT.span("boot")), slice(*EVENT_LAYOUT.span("up_s"))
_TOKEN_ID = slice(*(CORE_SIZE + at for at in SEEN_LAYOUT.span("token_id")))


def present_token(desk: Desk, code: bytes) -> Outcome:
    """Answer one scanned code; a green answer has its event on the disk already."""
    outcome = _answer(desk, code)
    desk.answered = outcome.face
    return outcome


def _answer(desk: Desk, code: bytes) -> Outcome:
    try:
        raw = read_code(code)
        token = PhoneToken.from_bytes(raw, desk.notices.server_key.public_key)
    except (SwipeError, BadSignature):
        return Outcome(Say.CODE_FOREIGN)
    try:
        if desk.chain.journal.failed:
            desk.chain.journal.recover()
        close_open_intent(desk.chain)
        desk.write_notes()
        return _Showing(desk, token, raw).run()
    except NotSaved:
        return Outcome(Say.NOT_SAVED)


class _Showing:
    """The steps of one code that the server did sign."""

    def __init__(self, desk: Desk, token: PhoneToken, raw: bytes) -> None:
        self._desk = desk
        self._chain = desk.chain
        self._token = token
        self._raw = raw
        self._reading = desk.chain.time.now()
        self._face = face_of(token)

    def run(self) -> Outcome:
        """Refuse what is stale or used; else decide as for a card without a memory."""
        if not is_fresh(self._token, self._reading):
            event = self._reject(RejectReason.EXPIRED)
            return Outcome(Say.CODE_STALE, event, self._face)
        decision = self._decision()
        used = self._first_use()
        if decision.reason is not None:
            return self._refuse(decision)
        if used is not None:
            event = self._reject(RejectReason.DUPLICATE, of_seq=used.seq)
            return Outcome(Say.CODE_USED, event, self._face, kind=used.type, utc_s=used.utc_s)
        return self._tap(decision)

    def _decision(self) -> Decision:
        """Decide with the journal's memory in place of the card's.

        Where this terminal has not seen the electronic card before, it cannot know the direction:
        the server decides.
        """
        desk, asn = self._desk, self._token.asn
        situation = desk.situation(self._face, self._memory(), self._reading)
        decision = decide(situation, desk.rules)
        guessed = situation.mode is Mode.AUTO and not self._chain.journal.state.trace(asn).seq
        if guessed and decision.kind is EventType.IN:
            say = Say.RECORDED if decision.say is Say.IN else decision.say
            return replace(decision, kind=EventType.AUTO, say=say)
        return decision

    def _memory(self) -> Composite:
        trace = self._chain.journal.state.trace(self._token.asn)
        if not trace.seq:
            return NO_TAP
        own = self._desk.psam.number
        return replace(NO_TAP, kind=trace.kind, utc_s=trace.utc_s, psam_no=own)

    def _first_use(self) -> Event | None:
        """Find the event of this very token in the journal."""
        journal = self._chain.journal
        last = journal.state.last_seq
        kinds = journal.state.kinds_between(max(1, last - LOOK_BACK + 1), last)
        first = last - len(kinds) + 1
        for seq in range(last, first - 1, -1):
            if kinds[seq - first] in PROVEN_TYPES:
                raw = journal.event(seq)
                if self._too_old(raw):
                    return None
                if raw[_TOKEN_ID] == self._token.token_id:
                    event = Event.from_bytes(raw)
                    if event.card_kind == CardKind.TOKEN:
                        return event
        return None

    def _too_old(self, raw: bytes) -> bool:
        """Tell whether no token that is fresh now can have been shown at an event of this boot.

        With an unknown clock this one may be of any age, and be here for the second time.
        """
        if not tells_age(self._reading) or int.from_bytes(raw[_BOOT]) != self._chain.boot:
            return False
        passed_ms = self._reading.uptime_ms - 1000 * int.from_bytes(raw[_UP_S])
        return passed_ms > 1000 * (FRESH_MAX_S + 1)

    def _refuse(self, decision: Decision) -> Outcome:
        reason = decision.reason or RejectReason.FOREIGN
        event = self._reject(reason, of_seq=decision.of_seq, flags=int(decision.flags))
        outcome = Outcome(decision.say, event, self._face, seq=decision.of_seq)
        if decision.say is Say.GUARDED:
            outcome.attended = True
            self._desk.tapped(decision.kind, decision.flags, self._reading)
        earlier = self._chain.journal.recall(decision.of_seq)
        if earlier is not None:  # or nothing came before, or a bad sector has swallowed it
            outcome.kind, outcome.utc_s = earlier.type, earlier.utc_s
            outcome.may_undo = self._desk.undo_hindrance(event.card_asn) is None
        return outcome

    def _reject(self, reason: RejectReason, *, of_seq: int = 0, flags: int = 0) -> Event:
        duplicate = reason is RejectReason.DUPLICATE
        core = {"card_kind": CardKind.TOKEN, "card_asn": self._token.asn}
        if flags:
            core["flags"] = flags
        return self._chain.record(
            EventType.REJECTED,
            core,
            reason=reason,
            utc_s=self._token.issued_s,
            of_seq=of_seq,
            result=Result.SUPPRESSED if duplicate else Result.OK,
        )

    def _tap(self, decision: Decision) -> Outcome:
        desk, reading = self._desk, self._reading
        stay_s = self._stay_s(decision)
        self._open_service()
        activity = desk.activity(reading)
        draft = self._chain.core(
            decision.kind,
            reading,
            flags=int(decision.flags),
            card_kind=CardKind.TOKEN,
            cg_type=CgType.TOKEN,
            activity=0 if activity is None else activity.id,
            card_asn=self._token.asn,
        )
        shown = draft.with_payload(payload_of(self._token, self._raw))
        event = self._chain.put(sign(shown, self._chain.identity))
        desk.tapped(decision.kind, decision.flags, reading)
        return accepted_tap(decision, event, self._face, stay_s)

    def _stay_s(self, decision: Decision) -> int | None:
        trace = self._chain.journal.state.trace(self._token.asn)
        entered = trace.kind in (EventType.IN, EventType.SWITCH)
        if decision.kind is not EventType.OUT or not entered or not self._reading.known:
            return None
        return max(0, self._reading.utc_s - trace.utc_s)

    def _open_service(self) -> None:
        """Begin a service period with the first tap, as a card does."""
        if not self._chain.journal.state.service_open:
            open_period(self._chain, durable=False)


def is_fresh(token: PhoneToken, reading: Reading) -> bool:
    """Say whether some instant the clock may mean lies within the token's life.

    An unknown clock refuses nobody: the event carries CLOCK_UNKNOWN, and the server, which knows
    when it signed the token, bounds the time.
    """
    if not reading.known:
        return True
    unc_s = _unc_s(reading)
    return token.issued_s - unc_s <= reading.utc_s <= token.expires_s + unc_s


def tells_age(reading: Reading) -> bool:
    """Say whether the clock tells a fresh token from an old one."""
    return reading.known and _unc_s(reading) <= UNC_MAX_S


def _unc_s(reading: Reading) -> int:
    return -(-reading.unc_ms // 1000) + SKEW_S


def face_of(token: PhoneToken) -> CardFace:
    """Give the part of a card's face that a token stands for; it bears no name."""
    return CardFace(
        asn=token.asn,
        valid_from=None,
        valid_to=None,
        birth_date=None,
        masked_name="",
        enabled=True,
        key_version=0,
        flags=token.flags,
    )
