# SPDX-License-Identifier: Apache-2.0
"""Drive an update through somebody who only carries bytes: pure, made anew from the answers.

The operation holds no state that its answers do not give, so a session is a list of answers. Any
server process continues it, and a repeated answer leads to the same command.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from card.apdu import ResponseApdu
from card.attempts import AttemptGuard
from card.errors import CardError, WrongCard
from card.operation import Operation
from card.updates import (
    Block,
    UpdateResult,
    UpdateScript,
    Wanted,
    apply_update,
    plan_update,
    read_contents,
)
from card.volunteer import DeskKeys, read_log_entries, select_public

# An update takes about 25 commands; a carrier that wants more is not carrying an update.
COMMANDS_MAX = 60
# Entries of a card's log in one session: two commands each, and the first to find the place.
LOG_ENTRIES_MAX = 24
# Status word and the longest answer of a short APDU.
ANSWER_BYTES_MAX = 258
_DATES = ("valid_to", "totals_date")


@dataclass(frozen=True, slots=True)
class LogRead:
    """Entries of a card's log, read with MACs: place (1 is the newest) and 23 bytes of each."""

    entries: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """The next command, or how the update ended: a result, or an error of the card."""

    command: bytes | None = None
    result: UpdateResult | LogRead | None = None
    error: CardError | None = None
    script: UpdateScript | None = None  # once it has been worked out from what the card says

    @property
    def told(self) -> tuple[str, str]:
        """Return what went wrong, in Chinese and English; nothing if nothing did."""
        if self.error is None:
            return "", ""
        meaning = getattr(self.error, "meaning", None)
        return getattr(meaning, "zh", str(self.error)), getattr(meaning, "en", str(self.error))


@dataclass(frozen=True, slots=True)
class Job:
    """What is carried: for which card, what it is to say, with which keys, on which day.

    `script` is what an earlier session worked out: it is run again until the card has its number,
    so that a cut between two writes is not taken for another card's state.
    """

    asn: bytes
    wanted: Wanted
    keys: DeskKeys
    today: dt.date
    script: UpdateScript | None = None
    log: tuple[int, ...] = ()  # instead of a change: the taps whose log entries are wanted


def step(job: Job, answers: list[bytes]) -> Step:
    """Return what follows after these answers (data ‖ status word each)."""
    planned: list[UpdateScript] = []
    operation = _read(job) if job.log else _update(job, planned)
    try:
        command = next(operation)
        for answer in answers:
            response = ResponseApdu(answer[:-2], int.from_bytes(answer[-2:]))
            command = operation.send(response)
    except StopIteration as stop:
        return Step(result=stop.value)
    except CardError as error:
        return Step(error=error)
    finally:
        operation.close()
    return Step(command=command.to_bytes(), script=planned[0] if planned else None)


def _read(job: Job) -> Operation[UpdateResult | LogRead]:
    """Read what is wanted of the card's log."""
    public = yield from select_public()
    if public.asn != job.asn:
        raise WrongCard(job.asn, public.asn)
    wanted = job.log[:LOG_ENTRIES_MAX]
    return LogRead(tuple((yield from read_log_entries(job.keys, AttemptGuard(), wanted))))


def _update(job: Job, planned: list[UpdateScript]) -> Operation[UpdateResult | LogRead]:
    """Apply the script there is, or read, plan and apply one."""
    guard = AttemptGuard()
    if job.script is not None:
        return (yield from apply_update(job.script, job.keys, guard))
    public = yield from select_public()
    if public.asn != job.asn:  # before any key is tried: attempts are few
        raise WrongCard(job.asn, public.asn)
    found = yield from read_contents(job.keys, guard)
    script = plan_update(found, job.wanted, job.today)
    if script.empty:
        return UpdateResult(job.asn, found.state.update_seq, (), 0, False, ())
    # The serial was read in plain; the keys have proven whose card it is.
    aimed = dataclasses.replace(script, asn=job.asn)
    planned.append(aimed)
    return (yield from apply_update(aimed, job.keys, guard))


def wanted_to_json(wanted: Wanted) -> bytes:
    """Write what is wanted, without what is to stay.

    >>> wanted_to_json(Wanted(level=3, valid_to=dt.date(2031, 12, 31)))
    b'{"valid_to":"2031-12-31","level":3}'
    """
    values: dict[str, Any] = {}
    for name in wanted_fields(wanted):
        value = getattr(wanted, name)
        values[name] = value.isoformat() if isinstance(value, dt.date) else value
    return json.dumps(values, separators=(",", ":")).encode()


def wanted_from_json(data: bytes) -> Wanted:
    """Read what ``wanted_to_json`` wrote."""
    values: dict[str, Any] = json.loads(data)
    for name in _DATES:
        if name in values:
            values[name] = dt.date.fromisoformat(values[name])
    if "block" in values:
        values["block"] = Block(values["block"])
    return Wanted(**values)


def wanted_fields(wanted: Wanted) -> list[str]:
    """Name the fields that are to change."""
    return [name for name in Wanted.__slots__ if getattr(wanted, name) is not None]
