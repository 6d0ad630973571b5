# SPDX-License-Identifier: Apache-2.0
"""The batch: a signed header of 192 bytes, then 1 to 1000 consecutive events of 224."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from keys.identity import Identity
from keys.sm2 import SM2_EVENTS_MAX
from keys.suite import Suite
from keys.verify import verify as verify_signature
from swipe import arrays, merkle
from swipe.arrays import Bytes2d, EventArray
from swipe.errors import TooMany, UnknownVersion, WrongEvents, WrongLength
from swipe.event import EVENT_SIZE
from swipe.layout import Field, Layout

VERSION = 1
HEADER_SIGNED = 128
HEADER_SIZE = 192
BATCH_CONTEXT = b"yika/batch/1\0"
# 224 kB: some seconds on a slow mobile line, and a bounded piece of work for the server.
MAX_BATCH_EVENTS = 1000
# SM2 is checked in plain Python where no faster library is; see `keys.sm2`.
MAX_BATCH_EVENTS_SM2 = SM2_EVENTS_MAX
MAX_BATCH_SIZE = HEADER_SIZE + MAX_BATCH_EVENTS * EVENT_SIZE

BATCH_LAYOUT = Layout(
    "batch header",
    (
        Field("ver", "B"),
        Field("kind", "B"),
        Field("flags", "H"),
        Field("terminal_id", "Q"),
        Field("key_id", "I"),
        Field("batch_no", "I"),
        Field("first_seq", "Q"),
        Field("count", "I"),
        Field("head", "32s"),
        Field("root", "32s"),
        Field("n_in", "I"),
        Field("n_out", "I"),
        Field("n_rej", "I"),
        Field("utc_ms", "Q"),
        Field("hot_ver", "I"),
        Field("fw_hash", "8s"),
        Field("signature", "64s"),
    ),
)
BATCH_DTYPE = BATCH_LAYOUT.dtype


@dataclass(frozen=True)
class BatchHeader:
    """One batch header, with the names of the specification's table.

    ``head`` is the suite's hash of the last event, ``root`` the RFC 6962 root over all of them;
    ``n_in``, ``n_out`` and ``n_rej`` count inside this batch.
    """

    kind: int
    terminal_id: int
    key_id: int
    batch_no: int
    first_seq: int
    count: int
    head: bytes
    root: bytes
    n_in: int
    n_out: int
    n_rej: int
    utc_ms: int
    ver: int = VERSION
    flags: int = 0
    hot_ver: int = 0
    fw_hash: bytes = bytes(8)
    signature: bytes = bytes(64)

    @classmethod
    def from_bytes(cls, data: bytes) -> BatchHeader:
        """Read 192 bytes; raise ``WrongLength`` for any other length."""
        return cls(**BATCH_LAYOUT.unpack(data))

    def to_bytes(self) -> bytes:
        """Give all 192 bytes."""
        return BATCH_LAYOUT.pack(self.__dict__)

    @property
    def signed_bytes(self) -> bytes:
        """Give the 128 bytes under the signature."""
        return self.to_bytes()[:HEADER_SIGNED]

    @property
    def last_seq(self) -> int:
        """Give the number of the last event."""
        return self.first_seq + self.count - 1


@dataclass(frozen=True, slots=True)
class BatchStamp:
    """Carry what the terminal says about a batch, apart from its events."""

    kind: int
    key_id: int
    batch_no: int
    utc_ms: int
    flags: int = 0
    hot_ver: int = 0
    fw_hash: bytes = bytes(8)


def events_max(suite: Suite) -> int:
    """Give how many events a batch of a terminal of this suite may hold.

    >>> events_max(Suite.ED25519), events_max(Suite.SM2)
    (1000, 100)
    """
    return MAX_BATCH_EVENTS if suite is Suite.ED25519 else MAX_BATCH_EVENTS_SM2


def build_batch(stamp: BatchStamp, events: Sequence[bytes], identity: Identity) -> bytes:
    """Give the signed bytes of a batch of events (224 bytes each, consecutive, one terminal)."""
    limit = events_max(identity.suite)
    if len(events) > limit:
        raise TooMany("events in a batch", limit, len(events))
    body = b"".join(events)
    array = arrays.view(body)
    if not len(array):
        raise WrongEvents("there are none")
    if not arrays.contiguous(array).all():
        raise WrongEvents("numbers are not consecutive, or terminals differ")
    n_in, n_out, n_rej = (int(part.sum()) for part in arrays.tap_counts(array))
    header = BatchHeader(
        kind=stamp.kind,
        terminal_id=int(array["terminal_id"][0]),
        key_id=stamp.key_id,
        batch_no=stamp.batch_no,
        first_seq=int(array["seq"][0]),
        count=len(array),
        head=identity.suite.digest(events[-1]),
        root=merkle.root(events),
        n_in=n_in,
        n_out=n_out,
        n_rej=n_rej,
        utc_ms=stamp.utc_ms,
        flags=stamp.flags,
        hot_ver=stamp.hot_ver,
        fw_hash=stamp.fw_hash,
    )
    return sign(header, identity).to_bytes() + body


def sign(header: BatchHeader, identity: Identity) -> BatchHeader:
    """Give the header with the terminal's signature."""
    return replace(header, signature=identity.sign(BATCH_CONTEXT, header.signed_bytes))


def verify(header: BatchHeader, public_key: bytes) -> bool:
    """Say whether the header's signature is this key's."""
    return verify_signature(public_key, header.signature, BATCH_CONTEXT, header.signed_bytes)


def split(body: bytes) -> tuple[BatchHeader, EventArray]:
    """Cut a batch into its header and a view of its events, without checking more than lengths.

    Raises ``WrongLength`` (also for an empty batch), ``TooMany`` and ``UnknownVersion``.
    """
    if len(body) < HEADER_SIZE + EVENT_SIZE:
        raise WrongLength("batch", HEADER_SIZE + EVENT_SIZE, len(body))
    if body[0] != VERSION:
        raise UnknownVersion("batch", body[0])
    header = BatchHeader.from_bytes(body[:HEADER_SIZE])
    if header.count > MAX_BATCH_EVENTS:
        raise TooMany("events in a batch", MAX_BATCH_EVENTS, header.count)
    expected = HEADER_SIZE + header.count * EVENT_SIZE
    if len(body) != expected or not header.count:
        raise WrongLength("batch", expected, len(body))
    return header, arrays.view(body[HEADER_SIZE:])


def faults(
    header: BatchHeader,
    events: EventArray,
    suite: Suite = Suite.ED25519,
    links: Bytes2d | None = None,
) -> list[str]:
    """Name what in the header does not fit the events: fields, in the header's order.

    An empty list means that head and root bind these very bytes, so that a valid header signature
    is the terminal's word for all of them. ``links`` are the events' hashes, if at hand.
    """
    if links is None:
        links = arrays.event_hashes(events, suite)
    n_in, n_out, n_rej = (int(part.sum()) for part in arrays.tap_counts(events))
    # A damaged header may name a number that no event can have, beyond 63 bits.
    first = events["seq"].astype(np.int64) - arrays.ordinals(events)
    checks = {
        "terminal_id": bool((events["terminal_id"] == header.terminal_id).all()),
        "first_seq": bool((first == header.first_seq).all()),
        "count": len(events) == header.count,
        "head": bool(len(links)) and links[-1].tobytes() == header.head,
        "root": merkle.root(arrays.cells(events)) == header.root,
        "chain": bool(arrays.linked(events, links).all()),
        "n_in": n_in == header.n_in,
        "n_out": n_out == header.n_out,
        "n_rej": n_rej == header.n_rej,
    }
    return [name for name, good in checks.items() if not good]
