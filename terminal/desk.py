# SPDX-License-Identifier: Apache-2.0
"""Everything one presentation of a card needs to know about its terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from card.layouts import Composite
from card.volunteer import CardFace
from keys.psam import Psam
from swipe.event import Event
from swipe.kinds import EventType, Flag, OutageKind
from terminal.chain import Chain
from terminal.clock import Reading
from terminal.modes.policy import GUARDIAN_S
from terminal.notices import Activity, Notices
from terminal.policy import (
    GROUP_MAX_S,
    CardView,
    Hint,
    Mode,
    Rules,
    Say,
    Situation,
    may_void,
)
from terminal.site_config import is_near
from terminal.timing import Ticks

MINOR_FLAG = 0x01  # bit 0 of the card's flags
SOFTWARE_PSAM = 0x80  # bit 7 of dpk_idx
# Plain numbers: what a set of flags is asked for at every tap.
_NO_GUARDIAN = int(Flag.MINOR | Flag.HOTLISTED | Flag.EXPIRED)
_GUARDED = int(Flag.GUARDIAN_PRESENT)
QUARTER_S = 900
DAY_S = 86_400
_EPOCH_DAY = date(1970, 1, 1).toordinal()


@dataclass(slots=True)
class Desk:
    """The terminal as a tap sees it; one object for the life of the program."""

    chain: Chain
    psam: Psam
    notices: Notices
    online: Callable[[], bool] = lambda: False
    training: bool = False
    guardian_key_ms: int | None = None
    guardian_ms: int | None = None
    guardian_first_ms: int = 0
    switch_key: bool = False
    # Whose card was answered last, in any way; None if it could not tell who it is.
    answered: CardFace | None = None
    psam_seen: int | None = None
    # Application serial and PSAM number of the last tap whose MAC2 the PSAM refused.
    doubted: tuple[bytes, int] | None = None
    ticks: Ticks = time.perf_counter_ns
    _later: list[Callable[[], Event]] = field(default_factory=list)
    _outages: dict[OutageKind, int] = field(default_factory=dict)

    @property
    def rules(self) -> Rules:
        """Return the rules of the configuration in use."""
        rules = self.notices.config.rules
        training = self.training or self.chain.journal.state.mode is Mode.TRAINING
        return replace(rules, training=True) if training else rules

    @property
    def dpk_idx(self) -> int:
        """Return the purchase key index as an event states it."""
        return dpk_idx(self.psam)

    def activity(self, reading: Reading) -> Activity | None:
        """Return the activity of this moment: fixed, chosen by code, or by the schedule.

        A chosen one counts as long as it may still be served; with an unknown clock the schedule
        tells nothing.
        """
        config = self.notices.config
        if config.activity_choice == "fixed":
            return config.activity_by_id(config.fixed_activity)
        chosen = config.activity_by_id(self.chain.journal.state.activity)
        if chosen is not None and (not reading.known or is_near(chosen, reading.utc_s)):
            return chosen
        by_schedule = config.activity_choice == "schedule" and reading.known
        return config.activity_at(reading.utc_s) if by_schedule else None

    @property
    def operator_missing(self) -> bool:
        """Say whether an operator has to sign on before anybody may tap."""
        signed_on = bool(self.chain.journal.state.operator)
        return self.notices.config.require_sign_on and not signed_on

    def today(self, reading: Reading) -> date:
        """Return the date at the site."""
        return local_date(reading.utc_s, self.chain.around.tz_q)

    def situation(self, face: CardFace, composite: Composite, reading: Reading) -> Situation:
        """Gather what the decision looks at."""
        state = self.chain.journal.state
        trace, presence = state.trace(face.asn), state.presence(face.asn)
        now = (self.chain.boot, reading.uptime_ms, reading.utc_s)
        last = trace.as_last(*now)
        return Situation(
            mode=state.mode,
            utc_s=reading.utc_s,
            clock_known=reading.known,
            today=self.today(reading),
            card=card_view(face),
            hint=hint(composite),
            own_psam_no=self.psam.number,
            last=last,
            presence=last if presence is trace else presence.as_last(*now),
            hotlisted=self.notices.is_listed(face.asn),
            activity_known=self.activity(reading) is not None,
            service_open=state.service_open,
            guardian_key=self.guardian_key_pressed(reading.uptime_ms),
            guardian_age_s=_seconds_since(self.guardian_ms, reading.uptime_ms),
            word_age_s=(reading.uptime_ms - self.guardian_first_ms) / 1000,
            offline=not self.online(),
            switch_key=self.switch_key,
            operator_missing=self.operator_missing,
        )

    def undo_hindrance(self, asn: bytes) -> Say | None:
        """Return what stands against undoing this card's tap, None if key 2 may.

        The server takes back a tap of the same start only, and whoever presses the key reads of
        the card that was answered last: another one's tap is not meant.
        """
        state, reading = self.chain.journal.state, self.chain.time.now()
        trace = state.trace(state.last_asn)
        last = trace.as_last(self.chain.boot, reading.uptime_ms, reading.utc_s)
        if not may_void(last, self.rules):
            return Say.NOTHING_TO_VOID
        if trace.boot != self.chain.boot:
            return Say.RESTARTED
        return None if asn == state.last_asn else Say.NOT_LAST

    def guardian_key_pressed(self, uptime_ms: int) -> bool:
        """Say whether the next tap is a guardian's."""
        age = _seconds_since(self.guardian_key_ms, uptime_ms)
        return age is not None and age < GUARDIAN_S

    def tapped(self, kind: EventType, flags: int, reading: Reading) -> None:
        """Remember what an accepted tap means for the next ones.

        A guardian's word holds for one minor after the other, as long as they come without a
        pause, but no longer than the server will look for it. A tap that was there already and is
        now attested counts as one of them.
        """
        now_ms = reading.uptime_ms
        seen = int(flags)
        if kind is EventType.GUARDIAN:
            if not seen & _NO_GUARDIAN:  # a card that gives no word leaves the key pressed
                self.guardian_key_ms = None
                self.guardian_ms = self.guardian_first_ms = now_ms
        elif seen & _GUARDED:
            self.guardian_ms = min(now_ms, self.guardian_first_ms + self._group_ms)

    @property
    def _group_ms(self) -> int:
        """Return how long after the guardian's tap a minor's may still renew the word."""
        return max(0, GROUP_MAX_S - self.rules.guardian_s) * 1000

    def note_later(
        self, kind: EventType, core: dict[str, Any] | None = None, /, **payload: int | bytes
    ) -> None:
        """Keep an event of the terminal itself until no tap needs its place in the chain."""
        self._later.append(partial(self.chain.record, kind, core, durable=False, **payload))

    def write_notes(self) -> bool:
        """Append what was kept; return whether there was anything. Not while a card is at work.

        Raises:
            NotSaved: What is not durable is kept for the next time.
        """
        if not self._later:
            return False
        while self._later:
            self._later[0]()
            del self._later[0]
        self.chain.journal.add()
        return True

    def outage_began(self, kind: OutageKind, utc_s: int) -> None:
        """Record that a part has failed; only once until it is back."""
        if kind not in self._outages:
            self._outages[kind] = utc_s
            self.note_later(EventType.OUTAGE, kind=kind, started=utc_s, ended=0)

    def outage_ended(self, kind: OutageKind, utc_s: int) -> None:
        """Record that a part works again, if it had failed."""
        started = self._outages.pop(kind, None)
        if started is not None:
            self.note_later(EventType.OUTAGE, kind=kind, started=started, ended=utc_s)

    def is_out(self, kind: OutageKind) -> bool:
        """Say whether a part has failed and is not back."""
        return kind in self._outages

    def psam_hole(self, psam_seq: int) -> tuple[int, int] | None:
        """Return (expected, found) if the PSAM's number is not the next one we know of."""
        known = self.psam_seen or self.chain.journal.state.psam_last
        self.psam_seen = psam_seq
        return (known + 1, psam_seq) if known and psam_seq != known + 1 else None


def dpk_idx(psam: Psam) -> int:
    """Return a PSAM's purchase key index, with bit 7 set if it is software."""
    return psam.key_index | (0 if psam.hardware else SOFTWARE_PSAM)


def card_view(face: CardFace) -> CardView:
    """Return the part of the card's face that decides."""
    return CardView(
        asn=face.asn,
        enabled=face.enabled,
        valid_from=face.valid_from,
        valid_to=face.valid_to,
        birth_date=face.birth_date,
        minor_flag=bool(face.flags & MINOR_FLAG),
    )


def hint(composite: Composite) -> Hint:
    """Return the part of the composite record that decides."""
    return Hint(
        composite.kind, composite.utc_s, composite.psam_no, composite.psam_seq, composite.card_ctr
    )


def local_time(utc_s: int, tz_q: int) -> datetime:
    """Return the wall time of a site.

    >>> local_time(0, 32).isoformat()
    '1970-01-01T08:00:00+00:00'
    """
    return datetime.fromtimestamp(utc_s, UTC) + timedelta(minutes=15 * tz_q)


def local_date(utc_s: int, tz_q: int) -> date:
    """Return the date at a site.

    >>> local_date(57_600, 32).isoformat()
    '1970-01-02'
    """
    return date.fromordinal(_EPOCH_DAY + (utc_s + QUARTER_S * tz_q) // DAY_S)


def _seconds_since(moment_ms: int | None, uptime_ms: int) -> float | None:
    return None if moment_ms is None else (uptime_ms - moment_ms) / 1000
