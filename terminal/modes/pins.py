# SPDX-License-Identifier: Apache-2.0
"""Prove an operator's PIN off line, and count the wrong ones in the journal.

The count is the journal's, so that neither a restart nor a power cut gives a new try; a right PIN
ends it with its OPEN event.
"""

from __future__ import annotations

import enum

from terminal.actions import refuse_pin, sign_on
from terminal.desk import Desk
from terminal.errors import NotSaved
from terminal.modes.policy import PIN_TRIES_MAX, is_locked
from terminal.policy import Say


class Verdict(enum.Enum):
    """What came of a PIN, and what is said of it."""

    RIGHT = Say.SIGNED_ON
    WRONG = Say.WRONG_PIN
    LOCKED = Say.PIN_LOCKED
    NO_PIN = Say.NO_PIN

    @property
    def say(self) -> Say:
        """Return what is said."""
        return self.value


def lock_state(desk: Desk, asn: bytes) -> Verdict:
    """Return LOCKED while no PIN of this card may be tried, else RIGHT."""
    wrong = desk.chain.journal.state.wrong_pins.get(asn)
    if wrong is None:
        return Verdict.RIGHT
    count, boot, up_ms, utc_s = wrong
    reading = desk.chain.time.now()
    same_start = boot == desk.chain.boot
    age_s = (reading.uptime_ms - up_ms) / 1000 if same_start else float(reading.utc_s - utc_s)
    return Verdict.LOCKED if is_locked(count, age_s) else Verdict.RIGHT


def check_pin(desk: Desk, asn: bytes, pin: str) -> tuple[Verdict, bool]:
    """Check a PIN, record what came of it, and say whether it was a supervisor's.

    Raises:
        NotSaved: Nobody is signed on, and what was wrong is not counted; nothing more is tried
            until the journal takes data again.
    """
    operator = desk.notices.config.operator(asn)
    if operator is None or operator.pin is None:
        return Verdict.NO_PIN, False
    if lock_state(desk, asn) is Verdict.LOCKED:
        return Verdict.LOCKED, False
    if desk.chain.journal.failed:
        raise NotSaved("journal failed")
    if operator.pin.accepts(pin, operator.asn8):
        sign_on(desk, asn)
        return Verdict.RIGHT, operator.role == "supervisor"
    count = refuse_pin(desk, asn)
    return (Verdict.LOCKED if count >= PIN_TRIES_MAX else Verdict.WRONG), False
