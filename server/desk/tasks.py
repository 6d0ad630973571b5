# SPDX-License-Identifier: Apache-2.0
"""What each kind of job does at a card, and what of its result people may see: no database here.

A purse of a volunteer card always holds 0: coins live in the ledger. To "top up" a card therefore
is to refresh what it says: how long it is valid, how many minutes were served, what was opted into.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from card.commands import select_name
from card.desk import DeskView, read_desk_view
from card.errors import WrongCard
from card.operation import Operation, exchange
from card.personalise import Issue, personalise
from card.pin import Pin, change_pin, unblock_pin
from card.profile import CardData
from card.updates import (
    Block,
    UpdateResult,
    Wanted,
    apply_update,
    plan_update,
    read_contents,
    unblock_application,
)
from card.volunteer import DeskKeys, select_public
from keys.algorithm import Algorithm
from keys.usage import KeyUsage
from server.desk import policy
from server.desk.driving import Make, Surroundings

LOG_SHOWN = 10
_DATES = ("valid_from", "valid_to", "birth_date", "totals_date")
_BYTES = ("asn", "organisation", "photo")


@dataclass(frozen=True, slots=True)
class PinWork:
    """A PIN of an application that has one: which, and the bytes.

    The volunteer application has none; other applications on a card may.
    """

    aid: bytes
    number: int
    new: bytes = field(repr=False)
    old: bytes = field(default=b"", repr=False)
    key: Any = field(default=None, repr=False)  # the card's unblocking key, a handle


@dataclass(frozen=True, slots=True)
class Work:
    """What a job is to do: one of the fields, by its kind."""

    kind: str
    asn: bytes
    key_version: int
    today: dt.date
    data: CardData | None = None
    wanted: Wanted = field(default_factory=Wanted)
    pin: PinWork | None = None


def make(work: Work) -> Make:
    """Return what makes a job's operation."""
    operations: dict[str, Callable[[Work, Surroundings], Operation[Any]]] = {
        policy.ISSUE: _issue,
        policy.REPLACE: _issue,
        policy.READ: _read,
        policy.REFRESH: _update,
        policy.BLOCK: _update,
        policy.UNBLOCK: _unblock,
        policy.PIN_CHANGE: _change_pin,
        policy.PIN_UNBLOCK: _unblock_pin,
    }
    operation = operations[work.kind]
    return lambda around: operation(work, around)


def told(result: Any) -> dict[str, Any]:
    """Return what people may see of a result: no name, no number, no key."""
    if isinstance(result, Issue):
        unproved = [usage.value for usage in result.unproved]
        return {"found": result.found.value, "writes": result.writes, "unproved": unproved}
    if isinstance(result, DeskView):
        return _view(result)
    if isinstance(result, UpdateResult):
        return {
            "fields": list(result.fields), "writes": result.writes, "blocked": result.blocked,
            "unproved": list(result.unproved),
        }  # fmt: skip
    return {"writes": 1}


def desk_keys(work_asn: bytes, around: Surroundings, version: int) -> DeskKeys:
    """Return what reading and updating a card needs."""
    keys = around.keys(work_asn, version)
    return DeskKeys(keys[KeyUsage.DESK_READ], keys[KeyUsage.MAINTENANCE], work_asn.hex().upper())


def _issue(work: Work, around: Surroundings) -> Operation[Issue]:
    assert work.data is not None
    keys = around.keys(work.asn, work.key_version)
    return (
        yield from personalise(
            work.data,
            keys,
            guard=around.guard,
            journal=around.journal,
            outside=around.outside,
        )
    )


def _read(work: Work, around: Surroundings) -> Operation[DeskView]:
    """Read whatever volunteer card lies there; its public serial says by which keys."""
    public = yield from select_public()
    if work.asn and public.asn != work.asn:
        raise WrongCard(work.asn, public.asn)
    keys = desk_keys(public.asn, around, public.key_version)
    return (yield from read_desk_view(keys, around.guard))


def _update(work: Work, around: Surroundings) -> Operation[UpdateResult]:
    """Read, work out what differs, write it; run again after a cut it writes the rest."""
    public = yield from select_public()
    if public.asn != work.asn:  # before any key is tried: attempts are few
        raise WrongCard(work.asn, public.asn)
    keys = desk_keys(work.asn, around, work.key_version)
    found = yield from read_contents(keys, around.guard)
    script = plan_update(found, work.wanted, work.today)
    if script.empty:
        return UpdateResult(work.asn, found.state.update_seq, (), 0, False, ())
    # The serial was read in plain; the keys have proven whose card it is.
    aimed = dataclasses.replace(script, asn=work.asn)
    return (yield from apply_update(aimed, keys, around.guard))


def _unblock(work: Work, around: Surroundings) -> Operation[None]:
    yield from unblock_application(desk_keys(work.asn, around, work.key_version), around.guard)


def _change_pin(work: Work, around: Surroundings) -> Operation[None]:
    pin = work.pin
    assert pin is not None
    yield from exchange(select_name(pin.aid))
    old = Pin(pin.number, pin.old, _pin_name(work, pin))
    yield from change_pin(old, pin.new, around.guard)


def _unblock_pin(work: Work, around: Surroundings) -> Operation[None]:
    pin = work.pin
    assert pin is not None
    yield from exchange(select_name(pin.aid))
    new = Pin(pin.number, pin.new, _pin_name(work, pin))
    yield from unblock_pin(new, pin.key, around.guard)


def _pin_name(work: Work, pin: PinWork) -> str:
    return f"{work.asn.hex().upper()}/{pin.aid.hex().upper()}/pin-{pin.number}"


def _view(view: DeskView) -> dict[str, Any]:
    public, service = view.public, view.service
    return {
        "asn": public.asn.hex(),
        "masked_name": public.masked_name,
        "valid_from": _day(public.valid_from),
        "valid_to": _day(public.valid_to),
        "key_version": public.key_version,
        "enabled": public.application_type == 1,
        "level": service.level,
        "total_minutes": service.total_minutes,
        "totals_date": _day(service.totals_date),
        "photo": view.photo is not None,
        "training": len(view.training),
        "update": None if view.update is None else view.update.update_seq,
        "taps": [_instant(entry.date, entry.time) for entry in view.log[:LOG_SHOWN]],
    }


def _instant(date: bytes, time: bytes) -> str:
    """Return the packed digits of a log entry for people.

    >>> _instant(bytes.fromhex("20261122"), bytes.fromhex("090503"))
    '2026-11-22 09:05:03'
    """
    day, clock = date.hex(), time.hex()
    return f"{day[:4]}-{day[4:6]}-{day[6:]} {clock[:2]}:{clock[2:4]}:{clock[4:]}"


def _day(day: dt.date | None) -> str | None:
    return None if day is None else day.isoformat()


def data_to_json(data: CardData) -> bytes:
    """Write a card's data as JSON, to be sealed."""
    values: dict[str, Any] = {}
    for spec in dataclasses.fields(CardData):
        value = getattr(data, spec.name)
        if isinstance(value, bytes):
            value = base64.b64encode(value).decode()
        elif isinstance(value, dt.date):
            value = value.isoformat()
        elif isinstance(value, Algorithm):
            value = value.value
        values[spec.name] = value
    return json.dumps(values, ensure_ascii=False).encode()


def data_from_json(text: bytes) -> CardData:
    """Read what `data_to_json` wrote."""
    values: dict[str, Any] = json.loads(text)
    for name, value in values.items():
        if name in _BYTES:
            values[name] = base64.b64decode(value)
        elif name in _DATES and value is not None:
            values[name] = dt.date.fromisoformat(value)
    values["algorithm"] = Algorithm(values["algorithm"])
    return CardData(**values)


def block_of(*, for_good: bool) -> Wanted:
    """Return what blocks a card's application."""
    return Wanted(block=Block.FOR_GOOD if for_good else Block.UNTIL_UNBLOCKED)
