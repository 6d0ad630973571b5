# SPDX-License-Identifier: Apache-2.0
"""Make the taps that the kernel reads of stored events and the registers they lead to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.ingest.verdicts import Verdict
from server.reconciliation import arrays
from server.reconciliation.arrays import Array
from server.reconciliation.event_rows import Events
from server.reconciliation.places import Places
from server.reconciliation.telling import NUMBER_MAX, PART_MAX, tell
from swipe.event import EVENT_LAYOUT
from swipe.kinds import EventType

_ACC = EVENT_LAYOUT.span("card_acc")[0]
UNKNOWN_MAX = 2**31 - 1


@dataclass(frozen=True)
class Registers:
    """Where numbers of events lead: terminals and activities by id, cards by serial."""

    places: Places
    terminals: NDArray[np.int64]
    activities: NDArray[np.int64]
    card_of: Mapping[bytes, int]


def make_taps(events: Events, registers: Registers) -> Array:
    """Return the taps of events; uploads and receipts are not filled in."""
    rows, places = events.rows, registers.places
    taps = arrays.empty(arrays.TAP_DTYPE, len(rows))
    for name in ("seq", "up_ms", "utc_ms", "card_ctr", "proof", "verdict"):
        taps[name] = rows[name]
    # What a damaged event may set to anything: kept bit by bit, a number beyond is negative.
    for name in ("boot", "flags", "type", "result"):
        taps[name] = rows[name].astype(taps.dtype[name])
    taps["ref"] = rows["psam_seq"].astype(np.int32)
    # 0xFFFFFFFF means "not known at all"; anything beyond 24 days says no more than that.
    taps["unc_ms"] = np.minimum(rows["unc_ms"], UNKNOWN_MAX)
    taps["terminal"] = np.searchsorted(registers.terminals, rows["terminal_id"])
    card_of = registers.card_of
    taps["card"] = [card_of.get(serial, -1) for serial in rows["card_asn"].tolist()]
    # A tap stored before its card was registered: every proof held, and now the card is known.
    late = (taps["verdict"] == Verdict.UNKNOWN_CARD) & (taps["card"] >= 0)
    taps["verdict"][late] = Verdict.OK
    taps["activity"] = indices(registers.activities, rows["activity"])
    psams, which = np.unique(_whole_numbers(rows["psam_no"]), return_inverse=True)
    taps["psam"] = which
    sites = np.array([places.by_psam.get(int(psam).to_bytes(6), 0) for psam in psams], np.int64)
    named = (rows["site"] > 0) & (rows["site"] <= NUMBER_MAX)
    taps["site"] = np.where(named, rows["site"], sites[which] if len(sites) else 0)
    taps["tz_q"] = looked_up(taps["site"], lambda site: places.zones.get(site, 0))
    for row, raw in events.raws.items():
        if taps[row]["type"] == EventType.TORN_RESOLVED:
            taps["hint"][row] = min(raw[_ACC], PART_MAX)
        elif rows["verdict"][row] != Verdict.MALFORMED:
            tell(taps[row], raw, places)
    return taps


def name_uploads(taps: Array, rows: Array, batches: Sequence[Sequence[Any]]) -> None:
    """Fill in uploads and receipts; `batches` has (id, terminal, anchor, received_ms), by id."""
    ids = np.array([row[0] for row in batches], np.int64)
    taps["batch"] = np.searchsorted(ids, rows["batch_id"])
    receipts = {(row[1], bytes(row[2])): index for index, row in enumerate(batches)}
    named = zip(rows["terminal_id"].tolist(), rows["anchor"].tolist(), strict=True)
    taps["anchor"] = [receipts.get(receipt, -1) for receipt in named]


def indices(ids: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each number stands among sorted ids, -1 if it does not.

    >>> indices(np.array([3, 5]), np.array([5, 4, 3, 9])).tolist()
    [1, -1, 0, -1]
    """
    if not len(ids):
        return np.full(len(numbers), -1)
    at = np.minimum(np.searchsorted(ids, numbers), len(ids) - 1)
    return np.where(ids[at] == numbers, at, -1)


def looked_up(numbers: NDArray[Any], of: Callable[[int], int]) -> NDArray[np.int64]:
    """Return what a function says of each number, asked once for each that occurs."""
    distinct, which = np.unique(numbers, return_inverse=True)
    return np.array([of(number) for number in distinct.tolist()], np.int64)[which]


def _whole_numbers(psams: NDArray[Any]) -> NDArray[np.int64]:
    """Return six bytes each as a number, the most significant first."""
    octets = np.ascontiguousarray(psams).view(np.uint8).reshape(-1, 6).astype(np.int64)
    return octets @ (1 << np.arange(40, -8, -8, dtype=np.int64))
