# SPDX-License-Identifier: Apache-2.0
"""The event factory: sequence number, link to the event before, counters, anchor, signature."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from keys.identity import Identity
from swipe import payloads
from swipe.event import NO_POSITION, SWIPE_CONTEXT, Event, sign
from swipe.kinds import EventType, Flag
from terminal.clock import Reading, TerminalTime
from terminal.journal import Journal


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every event repeats: where, under which lists, with which PSAM."""

    site: int = 0
    tz_q: int = 32
    lat: int = NO_POSITION
    lon: int = NO_POSITION
    cfg_ver: int = 0
    hot_ver: int = 0
    psam_no: bytes = bytes(6)
    dpk_idx: int = 0


@dataclass(slots=True)
class Chain:
    """Make the next events of one terminal and put them into its journal.

    Only the thread that owns the journal may use it: an event's place in the chain is fixed when
    its core is made, and a tap's core is fixed long before the event is complete.
    """

    journal: Journal
    identity: Identity
    time: TerminalTime
    boot: int
    around: Surroundings = field(default_factory=Surroundings)
    changed_key_id: int | None = None  # after a change of key; the first one is the journal's

    @property
    def key_id(self) -> int:
        """Return the number the server gave the key in force."""
        if self.changed_key_id is None:
            return self.journal.header.key_id
        return self.changed_key_id

    def core(self, kind: EventType, reading: Reading, **fields: Any) -> Event:
        """Return the next event, unsigned, with what is known before its answer or payload.

        An INTENT that could not be closed for want of room has its number already: it is closed
        first, as the torn event it describes.

        Raises:
            NotSaved: It still cannot be.
        """
        intent = self.journal.state.intent
        if intent is not None:
            self.put(self.sign_bytes(intent))
        state, around = self.journal.state, self.around
        up_s, up_ms = divmod(reading.uptime_ms, 1000)
        utc_s, utc_ms = divmod(reading.utc_ms, 1000)
        values: dict[str, Any] = {
            "type": kind,
            "terminal_id": self.journal.header.terminal_id,
            "key_id": self.key_id,
            "seq": state.next_seq,
            "boot": self.boot,
            "up_s": up_s,
            "up_ms": up_ms,
            "utc_s": utc_s,
            "utc_ms": utc_ms,
            "unc_ms": reading.unc_ms,
            "prev": state.head,
            "n_in": state.n_in,
            "n_out": state.n_out,
            "anchor": state.anchor,
            "tz_q": around.tz_q,
            "site": around.site,
            "hot_ver": around.hot_ver,
            "lat": around.lat,
            "lon": around.lon,
            "flags": 0 if reading.known else int(Flag.CLOCK_UNKNOWN),
        }
        values.update(fields)
        return Event.of(values)

    def note(
        self, kind: EventType, core: dict[str, Any] | None = None, /, **payload: int | bytes
    ) -> Event:
        """Return a signed event that carries a payload instead of a card's answer."""
        draft = self.core(kind, self.time.now(), **(core or {}))
        return sign(draft.with_payload(payloads.build(kind, **payload)), self.identity)

    def close_intent(self, event: Event, **answer: Any) -> Event:
        """Return the signed event of a tap whose INTENT is in the journal."""
        return sign(replace(event, **answer), self.identity)

    def sign_answer(self, draft: Event, answer: dict[str, Any], signed: bytes) -> Event:
        """Return the signed event of a draft with a card's answer, whose 160 bytes these are."""
        return draft.answered(signed, self.identity.sign(SWIPE_CONTEXT, signed), answer)

    def sign_bytes(self, signed: bytes) -> Event:
        """Return the event of these 160 bytes with the terminal's signature."""
        return Event.from_bytes(signed + self.identity.sign(SWIPE_CONTEXT, signed))

    def put(self, event: Event, *, durable: bool = True) -> Event:
        """Append a signed event.

        Raises:
            NotSaved: It is not durable.
        """
        self.journal.add_event(event, durable=durable)
        return event

    def record(
        self,
        kind: EventType,
        core: dict[str, Any] | None = None,
        /,
        *,
        durable: bool = True,
        **payload: int | bytes,
    ) -> Event:
        """Make an event with a payload and append it; raises as `put` and `core`."""
        return self.put(self.note(kind, core, **payload), durable=durable)
