# SPDX-License-Identifier: Apache-2.0
"""Events in bulk: the same bytes as numpy arrays, hashed and checked without objects."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from keys.proof import ProofInputs
from keys.suite import Suite
from swipe.errors import WrongLength
from swipe.event import CORE_CONTEXT, CORE_SIZE, EVENT_LAYOUT, EVENT_SIGNED, EVENT_SIZE
from swipe.event import VERSION as EVENT_VERSION
from swipe.kinds import (
    FLAGS_RESERVED,
    PROVEN_TYPES,
    SYSTEM_FROM,
    CardKind,
    CgType,
    EventType,
    Result,
)

EVENT_DTYPE = EVENT_LAYOUT.dtype
EventArray = NDArray[np.void]
Mask = NDArray[np.bool_]
Bytes2d = NDArray[np.uint8]
# UTC-12:00 to UTC+14:00 in quarter hours.
TZ_Q_MIN, TZ_Q_MAX = -48, 56


def _among(values: Iterable[int]) -> Mask:
    """Make the table that says of each byte whether it is one of these: quicker than a search."""
    table = np.zeros(256, dtype=np.bool_)
    table[list(values)] = True
    return table


_PROVEN, _KNOWN_TYPE = _among(PROVEN_TYPES), _among(EventType)
_MADE = _among((Result.OK, Result.TORN))


def view(body: bytes | memoryview) -> EventArray:
    """See bytes as events, without copying; raise ``WrongLength`` for a broken last one.

    >>> view(bytes(448))["seq"].tolist()
    [0, 0]
    """
    if len(body) % EVENT_SIZE:
        raise WrongLength("events", len(body) // EVENT_SIZE * EVENT_SIZE, len(body))
    return np.frombuffer(body, dtype=EVENT_DTYPE)


def rows(events: EventArray) -> Bytes2d:
    """See events as rows of 224 bytes."""
    return np.ascontiguousarray(events).view(np.uint8).reshape(-1, EVENT_SIZE)


def ordinals(events: EventArray) -> NDArray[np.int64]:
    """Count the events from 0."""
    return np.arange(len(events), dtype=np.int64)


def event_hashes(events: EventArray, suite: Suite = Suite.ED25519) -> Bytes2d:
    """Hash each event's 224 bytes: shape (n, 32). The log's leaves are SHA-256 in every suite."""
    return _hashes(_cells(events, EVENT_SIZE), suite)


def content_hashes(events: EventArray) -> Bytes2d:
    """Hash each event's 160 signed bytes: shape (n, 32)."""
    return _hashes(_cells(events, EVENT_SIGNED), Suite.ED25519)


def signed_messages(events: EventArray) -> list[bytes]:
    """Give the 160 signed bytes of each event."""
    return _cells(events, EVENT_SIGNED)


def cells(events: EventArray) -> list[bytes]:
    """Give the 224 bytes of each event."""
    return _cells(events, EVENT_SIZE)


def core_digests(events: EventArray, suite: Suite = Suite.ED25519) -> Bytes2d:
    """Compute h8 of each event (``event.core_digest``): shape (n, 8)."""
    raw = rows(events).tobytes()
    digest = _digest_of(suite)
    digests = b"".join(
        digest(CORE_CONTEXT + raw[at : at + CORE_SIZE] + raw[at + 128 : at + EVENT_SIGNED])[:8]
        for at in range(0, len(raw), EVENT_SIZE)
    )
    return np.frombuffer(digests, dtype=np.uint8).reshape(-1, 8)


def chain_ok(events: EventArray, prev: bytes | None = None, suite: Suite = Suite.ED25519) -> Mask:
    """Say of each event whether its ``prev`` is the hash of the one before.

    ``prev`` is what the first must carry; without it the first is taken as right.
    """
    return linked(events, event_hashes(events, suite), prev)


def linked(events: EventArray, links: Bytes2d, prev: bytes | None = None) -> Mask:
    """Say the same (``chain_ok``) from hashes of the events that are at hand."""
    good = np.ones(len(events), dtype=np.bool_)
    if not len(events):
        return good
    good[1:] = (events["prev"][1:] == links[:-1]).all(axis=1)
    if prev is not None:
        good[0] = events["prev"][0].tobytes() == prev
    return good


def contiguous(events: EventArray) -> Mask:
    """Say of each event whether it follows the one before: same terminal, next number."""
    good = np.ones(len(events), dtype=np.bool_)
    seq = events["seq"].astype(np.int64)
    good[1:] = (np.diff(seq) == 1) & (events["terminal_id"][1:] == events["terminal_id"][:-1])
    return good


def is_proven(events: EventArray) -> Mask:
    """Say of each event whether bytes 96 to 127 are a card's answer."""
    proven: Mask = _PROVEN[events["type"]]
    return proven


def tap_counts(events: EventArray) -> tuple[Mask, Mask, Mask]:
    """Say what each event adds to n_in, n_out and n_rej (``event.tap_counts``)."""
    kind = events["type"]
    made = _MADE[events["result"]]
    switch = kind == EventType.SWITCH
    return (
        made & ((kind == EventType.IN) | switch),
        made & ((kind == EventType.OUT) | switch),
        kind == EventType.REJECTED,
    )


def bcd_datetimes(events: EventArray) -> tuple[Bytes2d, Bytes2d]:
    """Give date (n, 4) and time (n, 3) in BCD, as ``keys.purse.bcd_datetime`` of each event."""
    local = events["utc_s"].astype(np.int64) + 900 * events["tz_q"].astype(np.int64)
    day = local.astype("datetime64[s]").astype("datetime64[D]")
    month = day.astype("datetime64[M]")
    year = month.astype("datetime64[Y]").astype(np.int64) + 1970
    months = month.astype(np.int64) % 12 + 1
    days = (day - month.astype("datetime64[D]")).astype(np.int64) + 1
    second = local % 86400
    date = _bcd([year // 100, year % 100, months, days])
    return date, _bcd([second // 3600, second // 60 % 60, second % 60])


def proof_inputs(events: EventArray, suite: Suite = Suite.ED25519) -> ProofInputs:
    """Give what TAC, MAC2 and CG2 of these events are computed from."""
    date, time = bcd_datetimes(events)
    return ProofInputs(
        asn8=events["card_asn"][:, 2:],
        key_ver=events["key_ver"],
        dpk_idx=events["dpk_idx"],
        rand=events["card_rand"],
        ctr=events["card_ctr"],
        psam_seq=events["psam_seq"],
        psam_no=events["psam_no"],
        date=date,
        time=time,
        h8=core_digests(events, suite),
        cg_type=events["cg_type"],
    )


def form_faults(events: EventArray) -> dict[str, Mask]:
    """Name the fields whose value the format does not allow, with the events that have it.

    Only what no later version may change: versions, codes, reserved bits, ranges.
    """
    tap = events["type"] < SYSTEM_FROM
    checks = {
        "ver": events["ver"] != EVENT_VERSION,
        "type": ~_KNOWN_TYPE[events["type"]],
        "flags": (events["flags"] & FLAGS_RESERVED) != 0,
        "seq": events["seq"] == 0,
        "up_ms": events["up_ms"] > 999,
        "utc_ms": events["utc_ms"] > 999,
        "tz_q": (events["tz_q"] < TZ_Q_MIN) | (events["tz_q"] > TZ_Q_MAX),
        "card_kind": events["card_kind"] > max(CardKind),
        "cg_type": events["cg_type"] > max(CgType),
        "result": tap & (events["result"] > max(Result)),
    }
    return {name: bad for name, bad in checks.items() if bad.any()}


def _cells(events: EventArray, size: int) -> list[bytes]:
    raw = rows(events).tobytes()
    return [raw[at : at + size] for at in range(0, len(raw), EVENT_SIZE)]


def _hashes(cells: list[bytes], suite: Suite) -> Bytes2d:
    if suite is Suite.ED25519:  # one call an event less than by the suite's own function
        sha256 = hashlib.sha256
        digests = b"".join([sha256(cell).digest() for cell in cells])
    else:
        digests = b"".join([suite.digest(cell) for cell in cells])
    return np.frombuffer(digests, dtype=np.uint8).reshape(-1, 32)


def _digest_of(suite: Suite) -> Callable[[bytes], bytes]:
    """Give the suite's hash without its table look-up: it is called once an event."""
    if suite is Suite.ED25519:
        sha256 = hashlib.sha256
        return lambda data: sha256(data).digest()
    return suite.digest


def _bcd(columns: list[NDArray[np.int64]]) -> Bytes2d:
    table = np.stack(columns, axis=1)
    return (table // 10 * 16 + table % 10).astype(np.uint8)
