# SPDX-License-Identifier: Apache-2.0
"""The arrays that reconciliation reads and writes: their fields, units and what 0 or -1 mean.

Registers (terminals, batches, persons, cards, activities) are sorted by `id`; other arrays name
a row of a register by its index, -1 for none. All integers are signed, so that compiled and plain
arithmetic agree. Instants are milliseconds UTC; 0 means "not known" or "none".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from server.reconciliation.parameters import SCOPED

Array = NDArray[np.void]

# One stored event. System events take part too: they carry clock claims and anchors.
TAP_DTYPE = np.dtype(
    [
        ("up_ms", "i8"),  # running time of the terminal since its boot
        # Wall clock the terminal claims; of the original tap if resolved or recovered.
        ("utc_ms", "i8"),
        ("seq", "i8"),
        ("terminal", "i4"),  # index of the terminal that signed the event
        ("boot", "i4"),  # only compared: the 32 bits of the number, with a sign
        ("unc_ms", "i4"),  # uncertainty the terminal claims for utc_ms
        ("batch", "i4"),  # index of the upload that brought the event first
        ("anchor", "i4"),  # index of the upload whose receipt the event names, -1 = none known
        ("site", "i4"),  # site id; of a resolved tap the site of its PSAM's terminal
        ("activity", "i4"),  # index, -1 = none or not known
        ("card", "i4"),  # index, -1 = no card or a card that is not asked about
        # The card's counter before the tap (of RECOVERED from the log); MANUAL: planned minutes.
        ("card_ctr", "i4"),
        # Any number that is equal for equal PSAM numbers; MANUAL, OUTAGE: begin, seconds UTC.
        ("psam", "i4"),
        # psam_seq; of VOID_LAST and of a duplicate the seq of the tap it names, -1 = none; MANUAL,
        # OUTAGE: end, seconds UTC.
        ("ref", "i4"),
        ("flags", "i2"),  # swipe.kinds.Flag
        ("type", "i1"),  # swipe.kinds.EventType
        ("result", "i1"),  # swipe.kinds.Result
        ("proof", "i1"),  # bits of server.ingest.models.Proof, and codes.PROOF_TOKEN
        ("verdict", "i1"),  # server.ingest.models.Verdict
        # TORN_RESOLVED: kind in the card's in/out record; OUTAGE: the part that failed; else 0.
        ("hint", "i1"),
        ("tz_q", "i1"),  # zone of the site, quarter hours
    ],
)

BATCH_DTYPE = np.dtype(
    [
        ("id", "i8"),
        ("received_ms", "i8"),  # server clock at arrival: no event of it is later
        ("receipt_ms", "i8"),  # earliest server clock at the receipt: no event naming it is earlier
    ],
)

TERMINAL_DTYPE = np.dtype(
    [
        ("id", "i8"),
        ("fork_ms", "i8"),  # when its first fork arrived, 0 = never forked
        ("revoked_ms", "i8"),  # when it was revoked, 0 = never
        ("fork_seq", "i8"),  # first sequence number with two contents
        ("gap_seq", "i8"),  # first missing number below a stored one, 0 = no gap
    ],
)

PERSON_DTYPE = np.dtype(
    [
        ("id", "i8"),
        ("minor_until_ms", "i8"),  # 14th birthday, 0 = no guardian needed
        ("guardian", "i4"),  # index of the linked guardian, -1 = none
        ("derive", "i1"),  # 1 = results wanted, 0 = present only as somebody's guardian
    ],
    align=True,
)

CARD_DTYPE = np.dtype(
    [
        ("id", "i8"),
        ("revoked_ms", "i8"),  # when it was reported lost, blocked or replaced, 0 = valid
        ("person", "i4"),  # index
    ],
    align=True,
)

ACTIVITY_DTYPE = np.dtype(
    [
        ("id", "i8"),
        ("start_ms", "i8"),  # planned, 0 = no plan
        ("end_ms", "i8"),
        ("site", "i4"),  # site id, 0 = none
        ("family", "i4"),  # equal for activities of one family, 0 = none
    ],
)

# Where a site lies, as a point of a sphere with the radius of the Earth, and its region.
SITE_DTYPE = np.dtype(
    [
        ("id", "i8"),
        ("region", "i8"),  # 0 = none
        ("x_m", "i4"),
        ("y_m", "i4"),
        ("z_m", "i4"),
        ("located", "i4"),  # 0 = nobody knows where
    ],
)

# What an activity, a site or a region has of its own, from an instant on; 0 = any, -1 = not set.
PARAMETER_DTYPE = np.dtype(
    [
        ("id", "i8"),
        ("from_ms", "i8"),
        ("activity", "i8"),
        ("site", "i8"),
        ("region", "i8"),
        *((name, "i8") for name in SCOPED),
    ],
)

# A leader's decision on one exception, or (terminal -1) time entered without any tap.
CORRECTION_DTYPE = np.dtype(
    [
        ("id", "i8"),
        ("at_ms", "i8"),
        ("start_ms", "i8"),
        ("end_ms", "i8"),
        ("person", "i4"),  # index
        ("rule", "i4"),  # rule of the exception decided; 41 = less time for a credited interval
        ("seq", "i8"),  # of the exception's tap
        ("terminal", "i4"),  # index, of the exception's tap
        ("minutes", "i4"),
        ("activity", "i4"),  # index, for entries without a tap
        ("grade", "i1"),
        ("decision", "i1"),
        ("tz_q", "i1"),  # for entries without a tap
    ],
    align=True,
)

INTERVAL_DTYPE = np.dtype(
    [
        ("start_ms", "i8"),  # corrected times
        ("end_ms", "i8"),  # equal to start_ms while there is no end
        ("rules", "i8"),  # bit n = rule n had a part in it
        ("person", "i4"),
        ("in_row", "i4"),  # rows of the tap array, -1 = none
        ("out_row", "i4"),
        ("correction", "i4"),  # row of the correction that was applied, -1 = none
        ("parameters", "i4"),  # which of `Result.sets` applied
        ("service_day", "i4"),  # days since 1970-01-01 in the zone of the site, of the IN
        ("minutes", "i4"),  # credited
        ("grade", "i1"),
        ("state", "i1"),
    ],
)

EXCEPTION_DTYPE = np.dtype(
    [
        ("start_ms", "i8"),  # proposal, 0 = none
        ("end_ms", "i8"),
        ("person", "i4"),
        ("row", "i4"),  # rows of the tap array
        ("other_row", "i4"),  # -1 = none
        ("rule", "i1"),
        ("state", "i1"),
    ],
    align=True,
)

GRADE_A, GRADE_B, GRADE_C = 1, 2, 3
GRADE_NAMES = ("", "A", "B", "C")

CREDITED, ZERO, HELD, OPEN, EXCEPTION = 0, 1, 2, 3, 4
STATE_NAMES = ("credited", "zero", "held", "open", "exception")

WAITING, APPROVED, REJECTED, CLOSED = 0, 1, 2, 3
DECISION_NAMES = ("open", "approved", "rejected", "closed")


def empty(dtype: np.dtype[np.void], count: int = 0) -> Array:
    """Return an array of zeros.

    >>> len(empty(TAP_DTYPE)), TAP_DTYPE.itemsize
    (0, 76)
    """
    return np.zeros(count, dtype)


@dataclass(frozen=True)
class History:
    """All that reconciliation knows: the events, the registers and the leaders' decisions.

    For every boot that holds one tap of a wanted person, `taps` holds all events of that boot,
    because the clock of a boot is corrected from all of them.
    """

    taps: Array
    persons: Array
    cards: Array
    terminals: Array
    batches: Array
    activities: Array = field(default_factory=lambda: empty(ACTIVITY_DTYPE))
    corrections: Array = field(default_factory=lambda: empty(CORRECTION_DTYPE))
    sites: Array = field(default_factory=lambda: empty(SITE_DTYPE))
    parameters: Array = field(default_factory=lambda: empty(PARAMETER_DTYPE))


@dataclass(frozen=True)
class Result:
    """What reconciliation found, sorted by person, then by time.

    `sets` names, for each set of parameters that may have applied, the ids of the rows of
    `History.parameters` it was made of; the first is empty: the policy alone.
    """

    intervals: Array
    exceptions: Array
    sets: tuple[tuple[int, ...], ...] = ((),)


class Row(Protocol):
    """One row: a dict in plain Python, a record of an array when compiled."""

    def __getitem__(self, field: str, /) -> int:
        """Return the value of a field."""

    def __setitem__(self, field: str, value: int, /) -> None:
        """Set the value of a field."""


class Rows(Protocol):
    """A table: a list of dicts in plain Python, an array of records when compiled."""

    def __getitem__(self, index: int, /) -> Row:
        """Return one row."""

    def __len__(self) -> int:
        """Return the number of rows."""


class Numbers(Protocol):
    """A list of integers, or an array of them."""

    def __getitem__(self, index: int, /) -> int:
        """Return one number."""

    def __setitem__(self, index: int, value: int, /) -> None:
        """Set one number."""

    def __len__(self) -> int:
        """Return how many there are."""


def records(array: Array) -> list[dict[str, int]]:
    """Return an array as a list of dicts.

    >>> records(empty(ACTIVITY_DTYPE, 1))
    [{'id': 0, 'start_ms': 0, 'end_ms': 0, 'site': 0, 'family': 0}]
    """
    names = array.dtype.names or ()
    return [dict(zip(names, row, strict=True)) for row in array.tolist()]
