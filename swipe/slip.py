# SPDX-License-Identifier: Apache-2.0
"""The code on a paper slip: one signed event, 224 bytes, that the volunteer takes home.

`YE1:` and the event in base 45, 340 characters that a QR code holds in its alphanumeric mode.
Whoever has it can show later what the terminal signed, even if terminal and server are gone.
"""

from __future__ import annotations

from datetime import UTC, datetime

from swipe import base45
from swipe.errors import WrongLength, WrongMagic
from swipe.event import EVENT_SIZE, Event, content_hash
from swipe.kinds import EventType

SLIP_PREFIX = "YE1:"
SLIP_LENGTH = len(SLIP_PREFIX) + EVENT_SIZE * 3 // 2


def slip_code(event: bytes) -> str:
    """Write the code of an event.

    Raises:
        WrongLength: These are not 224 bytes.

    >>> slip_code(bytes(224))[:10], len(slip_code(bytes(224)))
    ('YE1:000000', 340)
    """
    if len(event) != EVENT_SIZE:
        raise WrongLength("event", EVENT_SIZE, len(event))
    return SLIP_PREFIX + base45.encode(event)


def read_slip(text: str) -> Event:
    """Read the event back; its signature is not checked here.

    Raises:
        WrongMagic: This is another kind of code.
        WrongLength: It was cut.
        FieldError: It holds what base 45 does not.
    """
    if not text.startswith(SLIP_PREFIX):
        raise WrongMagic("slip", text[:8].encode("utf-8", "replace"))
    if len(text) != SLIP_LENGTH:
        raise WrongLength("slip", SLIP_LENGTH, len(text))
    return Event.from_bytes(base45.decode(text.removeprefix(SLIP_PREFIX)))


def slip_facts(event: Event) -> dict[str, str | int]:
    """Give what a person wants to know of an event, in words where there are words."""
    moment = datetime.fromtimestamp(event.utc_s + 900 * event.tz_q, UTC)
    known = {int(kind): kind.name for kind in EventType}
    return {
        "type": known.get(event.type, str(event.type)),
        "time": f"{moment:%Y-%m-%d %H:%M:%S}",
        "tz_q": event.tz_q,
        "terminal": event.terminal_id,
        "seq": event.seq,
        "site": event.site,
        "activity": event.activity,
        "card": event.card_asn.hex(),
        "content": content_hash(event).hex(),
    }
