# SPDX-License-Identifier: Apache-2.0
"""Tell a volunteer who asks: from the server when on line, else from journal and card."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from card.layouts import Composite
from card.operation import Connection, run
from card.volunteer import CardFace, read_composite
from swipe import payloads
from swipe.event import Event
from swipe.kinds import EventType, Flag, Result
from terminal.desk import Desk, local_date, local_time
from terminal.inquiry import Summary
from terminal.modes.screens import Inquiry, inquiry, last_tap
from terminal.policy import PRESENCE, Mode
from terminal.screen import Screen

# A busy day has some hundred taps; beyond this the answer would keep people waiting.
LOOK_BACK_MAX = 4_000
_ENTERING = frozenset({EventType.IN, EventType.SWITCH})
_KINDS = {EventType.IN: Mode.IN, EventType.SWITCH: Mode.IN, EventType.OUT: Mode.OUT}


class Enquiry:
    """Answer a card that is not tapped; `ask` returns None when the server has no answer."""

    def __init__(self, desk: Desk, ask: Callable[[bytes], Summary | None]) -> None:
        self._desk = desk
        self._ask = ask

    def answer(self, face: CardFace, connection: Connection) -> Screen:
        """Return the screen for the holder of a card.

        Raises:
            CardError: The card left before it was read.
        """
        composite = run(read_composite(), connection)
        summary = self._ask(face.asn) if self._desk.online() else None
        if summary is not None:
            return inquiry(
                Inquiry(
                    face.masked_name,
                    summary.today_min,
                    summary.total_min,
                    summary.level,
                    summary.coins,
                )
            )
        minutes = minutes_today(self._today(face.asn), self._desk.chain.time.now().utc_s)
        return inquiry(Inquiry(face.masked_name, minutes, last=self._last(composite)))

    def last(self, asn: bytes) -> Event | None:
        """Return the last tap of today that this journal has of a card and that is worth a slip."""
        return last_counted(self._today(asn))

    def _today(self, asn: bytes) -> list[Event]:
        """Return this card's events of today in this journal, the oldest first."""
        chain = self._desk.chain
        state, tz_q = chain.journal.state, chain.around.tz_q
        now = chain.time.now()
        today = local_date(now.utc_s, tz_q)
        found: list[Event] = []
        first = max(0, state.last_seq - LOOK_BACK_MAX)
        for seq in range(state.last_seq, first, -1):
            if not state.kinds[seq - 1]:
                continue
            event = Event.from_bytes(chain.journal.event(seq))
            day = local_date(event.utc_s, tz_q)
            if now.known and day < today and _tells_its_own_time(event):
                break  # the journal runs on in time: what lies before is older still
            if day == today and event.card_asn == asn:
                found.append(event)
        return found[::-1]

    def _last(self, composite: Composite) -> str:
        if composite.kind not in _KINDS:
            return ""
        when = local_time(composite.utc_s, self._desk.chain.around.tz_q)
        return last_tap(_KINDS[EventType(composite.kind)], when.strftime("%H:%M"))


def _tells_its_own_time(event: Event) -> bool:
    """Say whether an event's second is that of its making, by a clock that knew it.

    A tap that was completed later carries the second of its beginning, days ago perhaps.
    """
    return event.type != EventType.TORN_RESOLVED and not event.flags & Flag.CLOCK_UNKNOWN


def last_counted(events: Iterable[Event]) -> Event | None:
    """Return the last of one card's taps that was accepted in full, and was not undone since.

    Paper says no more than the screen did: a torn tap proves nothing, and one whose holder was sent
    to see somebody is not green.
    """
    listed = list(events)
    undone = _undone(listed)
    good = (
        event
        for event in reversed(listed)
        if event.type in PRESENCE
        and event.result == Result.OK
        and event.seq not in undone
        and not event.flags & (Flag.HOTLISTED | Flag.EXPIRED)
        and event.flags & (Flag.MINOR | Flag.GUARDIAN_PRESENT) != Flag.MINOR
    )
    return next(good, None)


def _undone(events: Iterable[Event]) -> set[int | bytes]:
    return {
        payloads.parse(event.type, event.payload)["voided_seq"]
        for event in events
        if event.type == EventType.VOID_LAST
    }


def minutes_today(events: Iterable[Event], now_s: int) -> int:
    """Return the minutes between INs and OUTs of one card, an open IN counted until now.

    What was undone or refused counts for nothing. It is a hint for its holder; the server decides.
    """
    listed = list(events)
    undone = _undone(listed)
    total, since = 0, 0
    for event in listed:
        if event.seq in undone or event.type not in (*_ENTERING, EventType.OUT):
            continue
        if since:
            total += max(0, event.utc_s - since)
        since = event.utc_s if event.type in _ENTERING else 0
    return (total + (max(0, now_s - since) if since else 0)) // 60
