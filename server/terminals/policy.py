# SPDX-License-Identifier: Apache-2.0
"""Rules about terminals: who may approve, how long tokens live, when a terminal is silent."""

from __future__ import annotations

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

# A token travels to the terminal by hand; a week covers sending the device to its site.
TOKEN_LIFETIME_MS = 7 * DAY_MS
# A terminal uploads at least once a working day; longer silence is shown to staff.
SILENT_AFTER_MS = DAY_MS
# A terminal's clock may be hours wrong and it must still fetch its configuration; the notices are
# signed and public to every terminal, so an old request replayed within a day gains nothing.
REQUEST_SKEW_MS = DAY_MS
# A terminal may be away for a season; a notice older than this is stale, and says so. At half of
# it the server signs a new one, so that a terminal on line never holds a stale notice.
NOTICE_LIFETIME_MS = 90 * DAY_MS
# Ten wrong card proofs are no accident; guessing a proof of 4 bytes stays hopeless.
BAD_PROOFS_MAX = 10
# Transaction numbers of a PSAM that never reached an event: a few are refused or torn taps.
PSAM_GAP_FLAGGED = 16
PSAM_GAP_QUARANTINED = 1_000


def two_people(maker: str, checker: str) -> bool:
    """Tell whether maker and checker are different people.

    >>> two_people("li", "wang"), two_people("li", " Li ")
    (True, False)
    """
    return maker.strip().casefold() != checker.strip().casefold()


def is_silent(last_contact_ms: int | None, known_since_ms: int, now_ms: int) -> bool:
    """Tell whether a terminal has not been heard of for too long.

    One that was never heard of counts from when it was ordered.
    """
    heard_ms = known_since_ms if last_contact_ms is None else last_contact_ms
    return now_ms - heard_ms > SILENT_AFTER_MS


def wants_renewal(built_ms: int, now_ms: int) -> bool:
    """Tell whether a signed notice is past half its life and is to be made anew."""
    return now_ms - built_ms >= NOTICE_LIFETIME_MS // 2
