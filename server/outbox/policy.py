# SPDX-License-Identifier: Apache-2.0
"""Rules of messages: which states follow which, quiet hours, pauses between tries."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
# A provider that is away for a night is back before the fifth try; a dead number never is.
TRIES_MAX = 6
RETRY_FIRST_MS = MINUTE_MS
RETRY_LAST_MS = 4 * HOUR_MS
# What nobody could be told in three days is told by other means.
LIFE_MS = 3 * DAY_MS
# A public notice hangs as long as the law asks of a publication; then it is taken down.
PUBLIC_LIFE_MS = 30 * DAY_MS
# A call to a provider ends long before; what is older was cut off in the middle.
STALE_MS = 10 * MINUTE_MS
# One person is not flooded, whatever runs wild: more wait for the next day.
PER_DAY_MAX = 10


class Channel(StrEnum):
    """The way a message takes."""

    SMS = "sms"
    LETTER = "letter"
    PUBLIC = "public"


class State(StrEnum):
    """Where a message is."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    PUBLISHED = "published"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


# From where somebody may set it going again, and from where it may still be called off.
RETRYABLE = (State.FAILED, State.UNKNOWN, State.EXPIRED)
CANCELLABLE = (State.QUEUED, State.FAILED, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Quiet:
    """The hours of a day in which nobody's telephone rings: from `begin` to `end`, local.

    Equal hours mean that there are none.
    """

    begin: int = 21
    end: int = 8
    zone_minutes: int = 480

    def awake_ms(self, now_ms: int) -> int:
        """Return the first instant from now on that is not quiet.

        >>> Quiet().awake_ms(0)            # 1970-01-01 08:00 in China
        0
        >>> Quiet().awake_ms(-1) + 1       # 07:59:59.999: one millisecond later
        1
        """
        if self.begin == self.end:
            return now_ms
        offset = dt.timedelta(minutes=self.zone_minutes)
        local = dt.datetime(1970, 1, 1) + dt.timedelta(milliseconds=now_ms) + offset  # noqa: DTZ001 - wall time of the zone
        quiet = (
            self.begin <= local.hour < self.end
            if self.begin < self.end
            else local.hour >= self.begin or local.hour < self.end
        )
        if not quiet:
            return now_ms
        morning = local.replace(hour=self.end, minute=0, second=0, microsecond=0)
        if morning <= local:
            morning += dt.timedelta(days=1)
        return now_ms + -(-(morning - local) // dt.timedelta(milliseconds=1))


def retry_after_ms(tries: int) -> int | None:
    """Return the pause after so many failed tries, None when there is no further one.

    >>> [retry_after_ms(n) for n in (1, 2, 5, 6)]
    [60000, 120000, 960000, None]
    """
    if tries >= TRIES_MAX:
        return None
    return min(RETRY_FIRST_MS << (tries - 1), RETRY_LAST_MS)


def life_ms(channel: Channel) -> int:
    """Return how long a message of a channel is worth something."""
    return PUBLIC_LIFE_MS if channel is Channel.PUBLIC else LIFE_MS
