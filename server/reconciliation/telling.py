# SPDX-License-Identifier: Apache-2.0
"""What events without a card's answer tell: payloads become the columns the kernel reads."""

from __future__ import annotations

import datetime as dt
from typing import Any

from card.layouts import LOG_RECORD
from server.reconciliation.places import Places
from swipe import payloads
from swipe.event import EVENT_LAYOUT
from swipe.kinds import EventType

# The types whose payload reconciliation reads; a resolved tap carries a hint instead.
SPOKEN_TYPES = (
    EventType.VOID_LAST,
    EventType.REJECTED,
    EventType.TORN_RESOLVED,
    EventType.RECOVERED,
    EventType.OUTAGE,
    EventType.MANUAL,
)
_PAYLOAD = slice(*EVENT_LAYOUT.span("card_ctr")[:1], EVENT_LAYOUT.span("prev")[0])
_ZONE = slice(EVENT_LAYOUT.span("tz_q")[0], EVENT_LAYOUT.span("card_kind")[0])
# The kernel counts seconds in 31 bits: enough until 2038.
SECONDS_MAX = 2**31 - 1
# No site and no tap that somebody takes back has a number beyond: such a number names nothing.
NUMBER_MAX = 2**31 - 1
# A part of a terminal that no version of the format has; the kernel holds it in 7 bits.
PART_MAX = 127
QUARTER = dt.timedelta(minutes=15)


def tell(tap: Any, raw: bytes, places: Places) -> None:
    """Put what a well-formed event says in its payload into its row of the taps."""
    kind = int(tap["type"])
    told: dict[str, Any] = dict(payloads.parse(kind, raw[_PAYLOAD]))
    if kind == EventType.VOID_LAST:
        tap["ref"] = named(told["voided_seq"])
    elif kind == EventType.REJECTED:
        tap["ref"] = named(told["of_seq"])
    elif kind == EventType.RECOVERED:
        zone = int.from_bytes(raw[_ZONE], signed=True)
        recover(tap, told["log_record"], places, zone)
    elif kind == EventType.OUTAGE:
        tap["hint"] = min(told["kind"], PART_MAX)
        tap["psam"], tap["ref"] = seconds(told["started"]), seconds(told["ended"])
    else:
        tap["card_ctr"] = told["planned_min"]
        tap["psam"], tap["ref"] = seconds(told["start"]), seconds(told["end"])


def named(seq: int) -> int:
    """Return the sequence number of the tap that an event names, -1 if it can name none.

    >>> named(7), named(2**32 - 1)
    (7, -1)
    """
    return seq if seq <= NUMBER_MAX else -1


def seconds(value: int) -> int:
    """Return seconds since 1970 as the kernel holds them.

    >>> seconds(2**32 - 1) == SECONDS_MAX
    True
    """
    return min(value, SECONDS_MAX)


def recover(tap: Any, record: bytes, places: Places, zone: int) -> None:
    """Take counter, time and place of a tap from the record in the card's log.

    The time is that of the PSAM's site; of an unknown PSAM that of the terminal that read it.
    """
    entry = LOG_RECORD.parse(record)
    tap["card_ctr"] = entry.card_ctr
    tap["ref"] = 0
    site = places.by_psam.get(bytes(entry.psam_no))
    if site is not None:
        zone = places.zones.get(site, zone)
        tap["site"], tap["tz_q"] = site, zone
    logged_ms = wall_ms(entry.date + entry.time, zone)
    if logged_ms is not None:
        tap["utc_ms"] = logged_ms


def wall_ms(packed: bytes, zone: int) -> int | None:
    """Return milliseconds UTC of a packed YYYYMMDDhhmmss in a zone of quarter hours.

    >>> wall_ms(bytes.fromhex("20260501090000"), 32)
    1777597200000
    >>> wall_ms(bytes.fromhex("20269901090000"), 32) is None
    True
    """
    try:
        local = dt.datetime.fromisoformat(f"{packed[:4].hex()}T{packed[4:].hex()}")
    except ValueError:
        return None
    return int(local.replace(tzinfo=dt.timezone(zone * QUARTER)).timestamp()) * 1000
