# SPDX-License-Identifier: Apache-2.0
"""One presentation of a card: who is it, what was its last tap, what is this one, and the answer.

Every end of it is an `Outcome`; a green one has its event on the disk already.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from card.errors import (
    BlankCard,
    Blocked,
    CardError,
    CardRemoved,
    CounterExhausted,
    ForeignCard,
    MuteCard,
    ReaderError,
    StatusError,
)
from card.layouts import Composite
from card.operation import Connection, run
from card.tap import prove
from card.volunteer import CardFace, read_composite, select
from swipe.event import Event
from swipe.kinds import CardKind, EventType, Flag, RejectReason, Result
from terminal.clock import Reading
from terminal.desk import Desk
from terminal.errors import NotSaved
from terminal.opening import open_period
from terminal.policy import (
    Decision,
    Say,
    Situation,
    accepted,
    completed,
    completes_presentation,
    decide,
    must_recall,
)
from terminal.proof import Transaction, Unproven
from terminal.recover import close_open_intent, resolved_event
from terminal.timing import Stopwatch, Timings

_FAILED: tuple[tuple[type[CardError], Say], ...] = (
    (BlankCard, Say.BLANK),
    (ForeignCard, Say.FOREIGN),
    (Blocked, Say.CARD_BLOCKED),
    (CounterExhausted, Say.WORN_OUT),
    (CardRemoved, Say.AGAIN),
    (MuteCard, Say.MUTE),
)
# Somebody was turned away before the card could be read to the end: with the next notes.
_TURNED_AWAY = {
    Say.FOREIGN: RejectReason.FOREIGN,
    Say.CARD_BLOCKED: RejectReason.CARD_BLOCKED,
}


@dataclass(slots=True)
class Outcome:
    """What a presentation came to: what to say, to whom, and the event that is durable.

    `kind` is the type of the tap spoken of: this one, or the earlier one of a duplicate, whose
    number is `seq` and whose second is `utc_s`. `stay_s` is the time since the IN that an OUT
    closes. `attended` says that it counts as a minor's beside the guardian, `may_undo` that key 2
    would undo it.
    """

    say: Say
    event: Event | None = None
    face: CardFace | None = None
    kind: int = 0
    utc_s: int = 0
    stay_s: int | None = None
    code: str = ""
    seq: int = 0
    attended: bool = False
    may_undo: bool = False
    timings: Timings = field(default_factory=Timings)

    @property
    def decided(self) -> bool:
        """Say whether the presentation reached a decision that the journal keeps."""
        return self.event is not None


def present(desk: Desk, connection: Connection) -> Outcome:
    """Carry one presentation through; every end but a lost reader has its answer.

    Raises:
        ReaderError: The reader or its service is gone.
    """
    watch = Stopwatch(desk.chain.journal, desk.ticks)
    desk.answered = None
    steps = _Presentation(desk, watch.connection(connection), watch)
    try:
        outcome = steps.run()
    except NotSaved:
        outcome = Outcome(Say.NOT_SAVED, face=steps.face)
    except ReaderError:
        raise
    except CardError as exc:
        outcome = card_failed(exc, steps.face)
        reason = _TURNED_AWAY.get(outcome.say)
        if reason is not None:
            desk.note_later(EventType.REJECTED, _read_of(steps.face), reason=reason)
    desk.answered = outcome.face
    outcome.timings = watch.stop()
    return outcome


def card_failed(error: CardError, face: CardFace | None = None) -> Outcome:
    """Answer a card that failed before anything was promised."""
    for kind, say in _FAILED:
        if isinstance(error, kind):
            return Outcome(say, face=face)
    code = f"{error.sw:04X}" if isinstance(error, StatusError) else ""
    return Outcome(Say.CARD_FAULT, face=face, code=code)


def accepted_tap(decision: Decision, event: Event, face: CardFace, stay_s: int | None) -> Outcome:
    """Answer a tap that was made as decided, or made good."""
    kind, say = decision.kind, decision.say
    plain = say in (accepted(kind), Say.GUARDED)
    attended = plain and bool(decision.flags & Flag.GUARDIAN_PRESENT)
    return Outcome(say, event, face, kind, event.utc_s, stay_s, seq=event.seq, attended=attended)


def _read_of(face: CardFace | None) -> dict[str, int | bytes]:
    """Return the fields of an event that tell whose card it was, as far as it was read."""
    if face is None:
        return {}
    return {"card_kind": CardKind.PBOC_PURSE, "card_asn": face.asn}


class _Presentation:
    """The steps of one presentation, in order."""

    def __init__(self, desk: Desk, connection: Connection, watch: Stopwatch) -> None:
        self._desk = desk
        self._chain = desk.chain
        self._connection = connection
        self._watch = watch
        self.face: CardFace | None = None

    def run(self) -> Outcome:
        """Read the card, bring its last tap to an end, decide, and do what was decided."""
        if self._chain.journal.failed:
            self._chain.journal.recover()
        close_open_intent(self._chain)
        self._desk.write_notes()  # a clock that was set is told before anything relies on it
        face = self.face = run(select(), self._connection)
        self._watch.phase("select")
        composite = run(read_composite(), self._connection)
        self._watch.phase("read")
        reading = self._chain.time.now()
        situation = self._desk.situation(face, composite, reading)
        if face.enabled and self._unseen(situation):
            completed = self._recall(face, composite, situation, reading)
            if completed is not None:
                return completed
            situation = self._desk.situation(face, composite, reading)
        decision = decide(situation, self._desk.rules)
        self._watch.phase("decide")
        if decision.reason is not None:
            return self._refuse(composite, decision, decision.reason, reading)
        return self._tap(face, composite, decision, reading)

    def _unseen(self, situation: Situation) -> bool:
        """Say whether nobody here has seen the proof of the card's last tap."""
        resolved = self._chain.journal.state.trace(situation.card.asn).resolved
        return must_recall(situation.hint, situation.own_psam_no, situation.last, resolved)

    def _recall(
        self, face: CardFace, composite: Composite, situation: Situation, reading: Reading
    ) -> Outcome | None:
        """Fetch the proof of the card's last tap.

        Returns an outcome if that tap *is* this presentation.
        """
        desk, found, last = self._desk, situation.hint, situation.last
        answer = run(prove(composite.card_ctr), self._connection)
        self._watch.phase("prove")
        if answer is None:
            return None
        event = resolved_event(self._chain, face, composite, answer, reading)
        if last is None or not completes_presentation(found, desk.psam.number, last, desk.rules):
            self._chain.put(event, durable=False)  # the tap's own sync covers it
            return None
        self._chain.put(event)
        self._watch.phase("journal")
        kind, flags = EventType(last.kind), Flag(last.flags)
        if desk.doubted == (face.asn, composite.psam_seq):
            # Only the server can tell a garbled answer from a counterfeit's: no green light here.
            return Outcome(Say.TO_CHECK, event, face, kind=kind, utc_s=event.utc_s)
        say = completed(last, situation, desk.rules)
        if say is Say.GUARDED:
            flags |= Flag.GUARDIAN_PRESENT
        desk.tapped(kind, flags, reading)
        outcome = accepted_tap(Decision(kind, flags, say), event, face, None)
        outcome.seq = last.seq
        return outcome

    def _refuse(
        self, composite: Composite, decision: Decision, reason: RejectReason, reading: Reading
    ) -> Outcome:
        earlier: Event | None = None
        if decision.of_seq:
            earlier = self._chain.journal.recall(decision.of_seq)
        event = self._reject(composite, decision, reason)
        outcome = Outcome(decision.say, event, self.face, seq=decision.of_seq)
        if decision.say is Say.GUARDED:
            outcome.attended = True
            self._desk.tapped(decision.kind, decision.flags, reading)
        if earlier is not None:
            resolved = earlier.type == EventType.TORN_RESOLVED
            outcome.kind = earlier.card_acc >> 24 if resolved else earlier.type
            outcome.utc_s = earlier.utc_s
            outcome.may_undo = self._desk.undo_hindrance(event.card_asn) is None
        return outcome

    def _reject(self, composite: Composite, decision: Decision, reason: RejectReason) -> Event:
        duplicate = reason is RejectReason.DUPLICATE
        core = {
            "flags": int(decision.flags),
            "card_kind": CardKind.PBOC_PURSE,
            "card_asn": self.face.asn if self.face else bytes(10),
            "psam_no": self._desk.psam.number,
        }
        event = self._chain.record(
            EventType.REJECTED,
            core,
            reason=reason,
            kind=composite.kind,
            utc_s=composite.utc_s,
            of_seq=decision.of_seq,
            result=Result.SUPPRESSED if duplicate else Result.OK,
        )
        self._watch.phase("journal")
        return event

    def _tap(
        self, face: CardFace, composite: Composite, decision: Decision, reading: Reading
    ) -> Outcome:
        self._open_service()
        activity = self._desk.activity(reading)
        draft = self._chain.core(
            decision.kind,
            reading,
            flags=int(decision.flags),
            card_kind=CardKind.PBOC_PURSE,
            cg_type=face.cg_type,
            dpk_idx=self._desk.dpk_idx,
            activity=0 if activity is None else activity.id,
            card_asn=face.asn,
            psam_no=self._desk.psam.number,
            card_acc=composite.utc_s,
        )
        try:
            event = Transaction(self._desk, self._connection, self._watch).prove(draft)
        except Unproven as exc:
            failed = exc.torn
            if exc.refused:
                failed = self._reject(composite, decision, RejectReason.PSAM_FAILED)
            return Outcome(exc.say, failed, face, kind=decision.kind, code=exc.code)
        self._desk.tapped(decision.kind, decision.flags, reading)
        stay_s = _stay_s(composite, event, reading)
        return accepted_tap(decision, event, face, stay_s)

    def _open_service(self) -> None:
        """Begin a service period with the first tap, if nobody pressed a key for it."""
        if not self._chain.journal.state.service_open:
            open_period(self._chain, durable=False)


def _stay_s(composite: Composite, event: Event, reading: Reading) -> int | None:
    """Return how long ago the IN was that an OUT closes, as far as the card tells."""
    entered = composite.kind in (EventType.IN, EventType.SWITCH)
    if event.type != EventType.OUT or not entered or not reading.known:
        return None
    stay = event.utc_s - composite.utc_s
    return stay if stay >= 0 else None
