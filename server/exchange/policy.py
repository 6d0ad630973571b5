# SPDX-License-Identifier: Apache-2.0
"""Scopes, cursors and the pace of webhooks. Pure: values in, values out."""

from __future__ import annotations

import base64
import binascii
import enum
import re

ITEMS_DEFAULT, ITEMS_MAX = 100, 1_000  # a page of a thousand items is some 300 kB
CURSOR_LENGTH_MAX = 64

# A receiver that fails is tried again after a minute, doubling to six hours; after so many tries
# in a row (about five days) it is switched off, and somebody is told.
RETRY_FIRST_MS, RETRY_LAST_MS, TRIES_MAX = 60_000, 6 * 3_600_000, 26

_CURSOR = re.compile(r"(events|intervals|transfers):(\d{1,18})", re.ASCII)


class Scope(enum.StrEnum):
    """What a service account may do; it has none that it was not given."""

    EVENTS = "events:read"
    HOURS = "hours:read"
    LEDGER = "ledger:read"
    WEBHOOKS = "webhooks:manage"
    APPLICATIONS_WRITE = "applications:write"
    APPLICATIONS_READ = "applications:read"
    APPLICATIONS_DECIDE = "applications:decide"
    BANK_FILES = "bank:files"


class Topic(enum.StrEnum):
    """What grows and can be listed; the two first only ever grow at their end."""

    EVENTS = "events"
    TRANSFERS = "transfers"
    INTERVALS = "intervals"


SCOPE_OF = {
    Topic.EVENTS: Scope.EVENTS,
    Topic.TRANSFERS: Scope.LEDGER,
    Topic.INTERVALS: Scope.HOURS,
}


def cursor(topic: Topic, after: int) -> str:
    """Write the place behind an item, for the next request; its form is nobody's business.

    >>> cursor(Topic.EVENTS, 41)
    'ZXZlbnRzOjQx'
    """
    return base64.urlsafe_b64encode(f"{topic}:{after}".encode()).decode().rstrip("=")


def place(topic: Topic, text: str) -> int | None:
    """Read a cursor of this topic; None when it is none.

    >>> place(Topic.EVENTS, "ZXZlbnRzOjQx"), place(Topic.TRANSFERS, "ZXZlbnRzOjQx")
    (41, None)
    """
    if len(text) > CURSOR_LENGTH_MAX:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found = _CURSOR.fullmatch(raw.decode("ascii"))
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return int(found[2]) if found is not None and found[1] == topic else None


def retry_after_ms(failures: int) -> int | None:
    """Return how long to wait after so many failures in a row; None to give up.

    >>> [retry_after_ms(n) for n in (1, 2, 3)], retry_after_ms(TRIES_MAX)
    ([60000, 120000, 240000], None)
    """
    if failures >= TRIES_MAX:
        return None
    return int(min(RETRY_FIRST_MS * 2 ** (failures - 1), RETRY_LAST_MS))
