# SPDX-License-Identifier: Apache-2.0
"""What a tap means: card, clock, list and keys in, one decision out. No clock, no I/O."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import compress

from swipe.kinds import EventType, Flag, RejectReason, Result


class Mode(enum.IntEnum):
    """The key the leader pressed last; the numbers are the keys and the OPEN event's mode."""

    AUTO = 0
    IN = 1
    OUT = 3
    TRAINING = 8  # from the supervisor's menu; no tap counts until another mode is chosen


class Say(enum.Enum):
    """What the person at the terminal is told; the words are in `terminal.wording_table`."""

    IN = enum.auto()
    OUT = enum.auto()
    RECORDED = enum.auto()
    TRAINING = enum.auto()
    GUARDIAN = enum.auto()
    DUPLICATE = enum.auto()
    GUARDED = enum.auto()
    HOTLISTED = enum.auto()
    EXPIRED = enum.auto()
    MINOR_ALONE = enum.auto()
    NO_GUARDIAN = enum.auto()
    FOREIGN = enum.auto()
    NOT_YET_VALID = enum.auto()
    CARD_BLOCKED = enum.auto()
    NO_ACTIVITY = enum.auto()
    NO_OPEN_SERVICE = enum.auto()
    PSAM_FAILED = enum.auto()
    NOT_GENUINE = enum.auto()
    TO_CHECK = enum.auto()
    BLANK = enum.auto()
    MUTE = enum.auto()
    AGAIN = enum.auto()
    CARD_FAULT = enum.auto()
    WORN_OUT = enum.auto()
    NOT_SAVED = enum.auto()
    NO_READER = enum.auto()
    NO_SERVICE = enum.auto()
    VOIDED = enum.auto()
    NOTHING_TO_VOID = enum.auto()
    NOT_LAST = enum.auto()
    RESTARTED = enum.auto()
    MODE = enum.auto()
    GUARDIAN_KEY = enum.auto()
    SETTLING = enum.auto()
    SWITCHED = enum.auto()
    SIGN_ON_FIRST = enum.auto()
    NO_OPERATOR = enum.auto()
    SIGNED_ON = enum.auto()
    SIGNED_OFF = enum.auto()
    WRONG_PIN = enum.auto()
    PIN_LOCKED = enum.auto()
    NO_PIN = enum.auto()
    ACTIVITY_CHOSEN = enum.auto()
    NO_SUCH_CODE = enum.auto()
    NO_CODE_HERE = enum.auto()
    SHEET_SAVED = enum.auto()
    SHEET_TWICE = enum.auto()
    SHEET_PRACTISED = enum.auto()
    BAD_ENTRY = enum.auto()
    LEFT = enum.auto()
    GROUP_CLOSED = enum.auto()
    PRINTED = enum.auto()
    NO_PRINTER = enum.auto()
    EXPORTING = enum.auto()
    EXPORTED = enum.auto()
    EXPORT_FAILED = enum.auto()
    VOLUME = enum.auto()
    CODE_FOREIGN = enum.auto()
    CODE_STALE = enum.auto()
    CODE_USED = enum.auto()
    ASK_OFFICE = enum.auto()


# Rule 52: the server looks for a guardian's word within ten minutes of a minor's tap.
GROUP_MAX_S = 600


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits a decision uses; a configuration notice may change those a site may change."""

    duplicate_s: int = 60  # rule 5: the nervous second tap
    open_in_max_s: int = 16 * 3600  # an IN older than the longest shift was forgotten
    guardian_s: int = 120  # how long an attestation waits for the minor
    undo_s: int = 10  # key 2
    minor_years: int = 14  # rule 52
    require_activity: bool = False
    require_open: bool = False
    training: bool = False


@dataclass(frozen=True, slots=True)
class CardView:
    """What the card says of itself, as file 0015 holds it."""

    asn: bytes
    enabled: bool = True
    valid_from: date | None = None
    valid_to: date | None = None
    birth_date: date | None = None
    minor_flag: bool = False


@dataclass(frozen=True, slots=True)
class Hint:
    """The composite record: what the card believes its last tap was."""

    kind: int = 0
    utc_s: int = 0
    psam_no: bytes = bytes(6)
    psam_seq: int = 0
    card_ctr: int = 0


@dataclass(frozen=True, slots=True)
class LastTap:
    """The last tap of this card in this terminal's own journal, `age_s` seconds ago."""

    seq: int
    kind: int
    result: int
    age_s: float
    psam_seq: int
    voided: bool = False
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a decision may look at.

    `word_age_s` is the time since the guardian's own tap, `guardian_age_s` since the word was last
    renewed by a minor's.
    """

    mode: Mode
    utc_s: int
    clock_known: bool
    today: date
    card: CardView
    hint: Hint
    own_psam_no: bytes
    last: LastTap | None = None
    presence: LastTap | None = None  # the tap before, where `last` is an attestation
    hotlisted: bool = False
    activity_known: bool = True
    service_open: bool = True
    guardian_key: bool = False
    guardian_age_s: float | None = None
    word_age_s: float = 0.0
    offline: bool = False
    switch_key: bool = False
    operator_missing: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Tap with this type and these flags, or refuse for `reason`; and what to say."""

    kind: EventType
    flags: Flag
    say: Say
    reason: RejectReason | None = None
    of_seq: int = 0


# Types that are a volunteer's own presence; GUARDIAN is a statement about somebody else.
PRESENCE = frozenset({EventType.IN, EventType.OUT, EventType.AUTO, EventType.SWITCH})
# The terminal's own book-keeping after a receipt: nobody waits for these to be uploaded.
BOOK_KEEPING = frozenset({EventType.ACK_ANCHOR, EventType.TIME_SET})

_REFUSALS = {
    RejectReason.CARD_BLOCKED: Say.CARD_BLOCKED,
    RejectReason.NOT_YET_VALID: Say.NOT_YET_VALID,
    RejectReason.MINOR_ALONE: Say.NO_GUARDIAN,
    RejectReason.DUPLICATE: Say.DUPLICATE,
    RejectReason.NO_OPEN_SERVICE: Say.NO_OPEN_SERVICE,
    RejectReason.NO_ACTIVITY: Say.NO_ACTIVITY,
    RejectReason.NO_OPERATOR: Say.NO_OPERATOR,
}
# Flags as plain numbers: adding up members one by one takes longer than the whole decision.
_flag = cache(Flag)
_CHOICES = tuple(
    int(flag)
    for flag in (
        Flag.CLOCK_UNKNOWN,
        Flag.HOTLISTED,
        Flag.MINOR,
        Flag.GUARDIAN_PRESENT,
        Flag.OFFLINE,
        Flag.EXPIRED,
        Flag.TRAINING_MODE,
        Flag.NO_ACTIVITY,
    )
)
_ALONE = int(Flag.MINOR)
_ATTENDED = int(Flag.MINOR | Flag.GUARDIAN_PRESENT)
# What may begin a service: the server asks about a guardian there and nowhere else.
_STARTS = frozenset({EventType.IN, EventType.AUTO, EventType.SWITCH})
# What the card was before a tap of this type that key 2 has undone.
_BEFORE_UNDONE: dict[int, int] = {
    EventType.IN: EventType.OUT,
    EventType.OUT: EventType.IN,
    EventType.SWITCH: EventType.IN,
}
_SEE_SOMEBODY = int(Flag.HOTLISTED | Flag.EXPIRED | Flag.MINOR)
_ACCEPTED = {
    EventType.IN: Say.IN,
    EventType.OUT: Say.OUT,
    EventType.AUTO: Say.RECORDED,
    EventType.SWITCH: Say.SWITCHED,
    EventType.TRAINING: Say.TRAINING,
    EventType.GUARDIAN: Say.GUARDIAN,
}


def decide(situation: Situation, rules: Rules) -> Decision:
    """Decide what one presentation is.

    A card on the hotlist, expired, or of a minor alone makes a full tap: it is recorded with its
    proof and a flag, and the volunteer is told whom to see.
    """
    flags = _flags(situation, rules)
    reason = _refusal(situation, rules)
    if reason is not None:
        return _refuse(situation, rules, flags, reason)
    kind = _kind(situation, rules)
    return Decision(kind, flags, _say(kind, flags))


def accepted(kind: int) -> Say:
    """Return what an accepted tap of this type is answered with.

    >>> accepted(EventType.OUT).name
    'OUT'
    """
    return _ACCEPTED.get(EventType(kind), Say.RECORDED)


def is_minor(card: CardView, today: date, rules: Rules) -> bool:
    """Say whether the holder is younger than the age at which a guardian is no longer needed.

    >>> is_minor(CardView(bytes(10), birth_date=date(2012, 5, 2)), date(2026, 5, 1), Rules())
    True
    >>> is_minor(CardView(bytes(10), birth_date=date(2012, 5, 2)), date(2026, 5, 2), Rules())
    False
    """
    born = card.birth_date
    if born is None:
        return card.minor_flag
    age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return age < rules.minor_years


def must_recall(
    hint: Hint, own_psam_no: bytes, last: LastTap | None, resolved: tuple[bytes, int] | None
) -> bool:
    """Say whether the card's last proof must be fetched before this tap.

    True when its last tap was elsewhere, or here without our having seen the answer, unless that
    very tap was resolved before. A torn tap that the composite record does not show was never
    committed by the card.
    """
    if hint.kind == 0 or resolved == (hint.psam_no, hint.psam_seq):
        return False
    if hint.psam_no != own_psam_no:
        return True
    if last is None or last.psam_seq < hint.psam_seq:
        return True
    return last.psam_seq == hint.psam_seq and last.result == Result.TORN


def completes_presentation(hint: Hint, own_psam_no: bytes, last: LastTap, rules: Rules) -> bool:
    """Say whether a tap just resolved *is* this presentation: here, and moments ago.

    The volunteer was asked to tap again; the first tap turned out to have counted.
    """
    recent = 0 <= last.age_s < rules.duplicate_s
    return recent and hint.psam_no == own_psam_no and last.psam_seq == hint.psam_seq


def completed(last: LastTap, situation: Situation, rules: Rules) -> Say:
    """Return what to say of a tap made good: what was known when it was made, and a word since."""
    if _waited_for_word(last, situation, rules):
        return Say.GUARDED
    return _say(EventType(last.kind), Flag(last.flags))


def may_void(last: LastTap | None, rules: Rules) -> bool:
    """Say whether key 2 still undoes the terminal's last tap (rule 5)."""
    if last is None or last.voided or last.kind not in PRESENCE:
        return False
    return last.result == Result.OK and 0 <= last.age_s < rules.undo_s


def wants_anchor(kinds: Iterable[int]) -> bool:
    """Say whether a receipt for events of these types is answered by an ACK_ANCHOR event.

    Only if one of them was more than book-keeping: an anchor for an anchor would never end.

    >>> wants_anchor([EventType.ACK_ANCHOR, EventType.TIME_SET])
    False
    >>> wants_anchor([EventType.IN, EventType.ACK_ANCHOR])
    True
    """
    return any(kind not in BOOK_KEEPING for kind in kinds)


def _refusal(situation: Situation, rules: Rules) -> RejectReason | None:
    """Name the reason that stands against a tap, the gravest first."""
    card = situation.card
    if not card.enabled:
        return RejectReason.CARD_BLOCKED
    if _before(card.valid_from, situation):
        return RejectReason.NOT_YET_VALID
    if situation.guardian_key:  # a child's word is none, and would hide its direction on its card
        child = situation.clock_known and is_minor(card, situation.today, rules)
        return RejectReason.MINOR_ALONE if child else None
    if _is_duplicate(situation, rules):
        return RejectReason.DUPLICATE
    if situation.operator_missing:
        return RejectReason.NO_OPERATOR
    if rules.require_open and not situation.service_open:
        return RejectReason.NO_OPEN_SERVICE
    if rules.require_activity and not situation.activity_known:
        return RejectReason.NO_ACTIVITY
    return None


def _before(valid_from: date | None, situation: Situation) -> bool:
    """An unknown clock refuses nobody."""
    return valid_from is not None and situation.clock_known and situation.today < valid_from


def _presence(situation: Situation) -> LastTap | None:
    """Return the card's last tap for itself: an attestation does not make it older."""
    last = situation.last
    attested = last is not None and last.kind == EventType.GUARDIAN
    return situation.presence if attested else last


def _is_duplicate(situation: Situation, rules: Rules) -> bool:
    last = _presence(situation)
    if last is None or last.voided or last.result not in (Result.OK, Result.RESOLVED):
        return False
    is_tap = last.kind in PRESENCE or last.kind == EventType.TRAINING
    again = is_tap and 0 <= last.age_s < rules.duplicate_s
    return again or _waited_for_word(last, situation, rules)


def _waited_for_word(last: LastTap, situation: Situation, rules: Rules) -> bool:
    """Say whether a minor's tap of its own waited for the word that holds now.

    The child was told to bring the guardian and to tap; as the server credits the word to the tap
    that is there, the second one must not end the service. Leaving has keys of its own, and a word
    of a training is credited to nothing.
    """
    leaves = situation.mode is Mode.OUT or situation.switch_key
    if leaves or rules.training or not _attended(situation, rules):
        return False
    alone = last.kind in _STARTS and last.flags & _ATTENDED == _ALONE
    return alone and 0 <= last.age_s < situation.word_age_s + GROUP_MAX_S


def _refuse(situation: Situation, rules: Rules, flags: Flag, reason: RejectReason) -> Decision:
    repeated, say = _presence(situation), _REFUSALS[reason]
    if reason is not RejectReason.DUPLICATE or repeated is None:
        return Decision(EventType.REJECTED, flags, say, reason)
    if _waited_for_word(repeated, situation, rules):
        say = Say.GUARDED
    return Decision(EventType.REJECTED, flags | Flag.DUPLICATE, say, reason, repeated.seq)


def _attended(situation: Situation, rules: Rules) -> bool:
    """Say whether the card is a minor's, and a guardian's word holds."""
    guardian = situation.guardian_age_s
    if guardian is None or not 0 <= guardian < rules.guardian_s:
        return False
    return is_minor(situation.card, situation.today, rules)


def _flags(situation: Situation, rules: Rules) -> Flag:
    card = situation.card
    expired = card.valid_to is not None and situation.clock_known
    holds = (
        not situation.clock_known,
        situation.hotlisted,
        is_minor(card, situation.today, rules),
        _attended(situation, rules),
        situation.offline,
        bool(expired and card.valid_to and situation.today > card.valid_to),
        rules.training,
        not situation.activity_known,
    )
    return _flag(sum(compress(_CHOICES, holds)))


def _kind(situation: Situation, rules: Rules) -> EventType:
    if situation.guardian_key:
        return EventType.GUARDIAN
    if rules.training:
        return EventType.TRAINING
    if situation.switch_key:
        return _switch(situation, rules)
    if situation.mode is Mode.IN:
        return EventType.IN
    if situation.mode is Mode.OUT:
        return EventType.OUT
    return _direction(situation, rules)


def _switch(situation: Situation, rules: Rules) -> EventType:
    """Close one activity and open the next at the same instant (rule 22).

    Who has nothing open, as far as the card can tell, enters instead; where the card cannot tell,
    it is a SWITCH and the server decides from all events.
    """
    kind = _effective_kind(situation)
    entered = kind in (0, EventType.OUT) and not _repeats_elsewhere(situation, rules)
    old = situation.clock_known and (situation.utc_s - situation.hint.utc_s >= rules.open_in_max_s)
    return EventType.IN if entered or old else EventType.SWITCH


def _direction(situation: Situation, rules: Rules) -> EventType:
    """Read the direction from the composite record: an open IN is left, anything else entered.

    Where the record cannot tell (clock unknown, another kind of tap in between), the type is AUTO
    and the server decides from all events.
    """
    kind = _effective_kind(situation)
    if kind in (0, EventType.OUT) and not _repeats_elsewhere(situation, rules):
        return EventType.IN
    if not situation.clock_known:
        return EventType.AUTO
    age = situation.utc_s - situation.hint.utc_s
    if age >= rules.open_in_max_s:
        return EventType.IN
    if age <= -rules.open_in_max_s or kind not in (EventType.IN, EventType.OUT, EventType.SWITCH):
        return EventType.AUTO
    if _repeats_elsewhere(situation, rules):
        return EventType.OUT if kind == EventType.OUT else EventType.IN
    return EventType.OUT


def _effective_kind(situation: Situation) -> int:
    """Return the last tap's type, turned round when key 2 has undone it here.

    An undone SWITCH leaves the volunteer in the activity before: still entered. Where nobody knew
    the direction, undoing it tells no more.
    """
    hint, last = situation.hint, situation.last
    ours = hint.psam_no == situation.own_psam_no
    if ours and last is not None and last.psam_seq == hint.psam_seq and last.voided:
        return _BEFORE_UNDONE.get(hint.kind, hint.kind)
    return hint.kind


def _repeats_elsewhere(situation: Situation, rules: Rules) -> bool:
    """Say whether the card tapped at another terminal a moment ago.

    Nobody serves for less than a minute: it is the same tap again, most likely after a torn one,
    so it keeps its direction.
    """
    hint = situation.hint
    elsewhere = hint.kind != 0 and hint.psam_no != situation.own_psam_no
    recent = abs(situation.utc_s - hint.utc_s) < rules.duplicate_s
    return elsewhere and recent and situation.clock_known


def _say(kind: EventType, flags: Flag) -> Say:
    if not int(flags) & _SEE_SOMEBODY:
        return _ACCEPTED[kind]
    if flags & Flag.HOTLISTED:
        return Say.HOTLISTED
    if flags & Flag.EXPIRED:
        return Say.EXPIRED
    if kind is EventType.GUARDIAN:
        return Say.NO_GUARDIAN
    if int(flags) & _ATTENDED == _ALONE and kind is not EventType.OUT:
        return Say.MINOR_ALONE
    return _ACCEPTED[kind]
