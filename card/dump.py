# SPDX-License-Identifier: Apache-2.0
"""Everything a card lets one read, file by file, as plain values for people and machines."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from card.attempts import AttemptGuard
from card.codec import Layout
from card.commands import get_balance, select_name
from card.file_access import read_file
from card.files import VOLUNTEER, FileSpec
from card.operation import Operation, exchange, fetch
from card.volunteer import DeskKeys, public_data, read_composite, read_log, select

Values = dict[str, Any]

PROTECTED = (0x0016, 0x0017)


def dump() -> Operation[dict[str, Values]]:
    """Read what anybody may read: 0015, 0019 and the balance.

    Raises:
        BlankCard, ForeignCard: There is nothing of ours to read.
    """
    yield from select()
    fci = (yield from exchange(select_name(VOLUNTEER.name))).data
    composite = yield from read_composite()
    balance = yield from fetch(get_balance(), 4)
    return {
        "0015": plain(public_data(fci)),
        "0019": plain(composite),
        "0002": {"balance": int.from_bytes(balance, "big")},
    }


def dump_protected(keys: DeskKeys, guard: AttemptGuard) -> Operation[dict[str, Any]]:
    """Read what a desk may read as well: 0016, 0017 and the log 0018.

    The application must be selected.

    Args:
        keys: The card's desk keys.
        guard: Where attempts left are remembered.
    """
    found: dict[str, Any] = {}
    log = yield from read_log(keys, guard)
    for fid in PROTECTED:
        spec = VOLUNTEER.file(fid)
        data = yield from read_file(spec, spec.size, keys.maintenance)
        if data is not None:
            found[f"{fid:04X}"] = plain(_layout(spec).parse(data))
    found["0018"] = [plain(record) for record in log]
    return found


def _layout(spec: FileSpec) -> Layout[Any]:
    assert spec.layout is not None
    return spec.layout


def plain(value: Any) -> Values:
    """Return a record as plain values: bytes as hex, dates in ISO form.

    >>> from card.layouts import LOG_RECORD
    >>> plain(LOG_RECORD.vectors[0][1])["psam_no"]
    '001122334455'
    """
    return {
        field.name: _plain_value(getattr(value, field.name)) for field in dataclasses.fields(value)
    }


def _plain_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, dt.date):
        return value.isoformat()
    return value
