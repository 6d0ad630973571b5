# SPDX-License-Identifier: Apache-2.0
"""The door of ingest: limits, header, signature, kind, chain and root, in this order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from keys.sm2 import SM2_EVENTS_MAX
from keys.suite import Suite
from keys.verify import is_sm2
from server.errors import Problem
from server.ingest import boxes
from server.ingest.models import EVENT_BYTES, HEADER_BYTES
from server.ingest.proofs import Enrolled
from swipe import arrays, batch
from swipe.arrays import Bytes2d, EventArray
from swipe.batch import BatchHeader
from swipe.errors import TooMany, UnknownVersion, WrongLength
from swipe.event import VERSION as EVENT_VERSION
from swipe.kinds import BatchFlag, BatchKind

FLAGS_KNOWN = sum(BatchFlag)
KINDS = frozenset(int(kind) for kind in BatchKind)


@dataclass(frozen=True, slots=True)
class Opened:
    """A batch whose signed header binds exactly these events, and those left out behind them.

    Attributes:
        last_seq: The last number that may be stored; less than the header's where something is
            left out.
        box_end: The last number of the box that sent it, if that box was replaced.
        ends: The last numbers of all boxes of this terminal that were replaced, rising.
    """

    header: BatchHeader
    raw_header: bytes
    events: EventArray
    event_hashes: Bytes2d
    content_hashes: Bytes2d
    # What the next event's `prev` must be, by the suite's hash: SHA-256 again in the first suite.
    links: Bytes2d
    suite: Suite = Suite.ED25519
    box_end: int | None = None
    ends: tuple[int, ...] = ()

    @property
    def first_seq(self) -> int:
        """Return the number of the first event."""
        return self.header.first_seq

    @property
    def last_seq(self) -> int:
        """Return the number of the last event that is not left out."""
        return self.header.first_seq + len(self.events) - 1

    @property
    def left_out(self) -> range:
        """Return the numbers of the events that are left out."""
        return range(self.last_seq + 1, self.header.last_seq + 1)

    @property
    def kept_number(self) -> int:
        """Return under which number the batch is kept."""
        sent = self.header.batch_no
        return sent if self.box_end is None else boxes.kept_number(sent, self.header.key_id)

    def of_box(self, lasts: Mapping[int, int]) -> Opened:
        """Return what belongs to the box that sent it.

        `lasts` gives the last number of each key's box, where that was replaced.
        """
        last_seq = lasts.get(self.header.key_id)
        ends = tuple(sorted(set(lasts.values())))
        if last_seq is None:
            return replace(self, ends=ends)
        count = last_seq - self.first_seq + 1
        return replace(
            self,
            events=self.events[:count],
            event_hashes=self.event_hashes[:count],
            content_hashes=self.content_hashes[:count],
            links=self.links[:count],
            box_end=last_seq,
            ends=ends,
        )


def check_limits(body: bytes) -> None:
    """Refuse a body whose length no batch can have, before anything is computed over it."""
    events, rest = divmod(len(body) - HEADER_BYTES, EVENT_BYTES)
    if rest or not 1 <= events <= batch.MAX_BATCH_EVENTS:
        raise too_large(len(body))


def cut(body: bytes) -> tuple[BatchHeader, EventArray]:
    """Cut a body into header and events."""
    try:
        return batch.split(body)
    except (WrongLength, TooMany) as error:
        raise too_large(len(body)) from error
    except UnknownVersion as error:
        raise malformed("ver") from error


def check_sm2(events: EventArray, keys: Mapping[int, bytes], *, fast: bool) -> None:
    """Refuse more SM2 signatures than this server can check in a moment without a fast library."""
    slow = [key_id for key_id, public_key in keys.items() if is_sm2(public_key)]
    if fast or not slow or np.isin(events["key_id"], slow).sum() <= SM2_EVENTS_MAX:
        return
    raise Problem(
        413,
        "sm2-batch-length",
        f"本服务器没有国密加速库，每批最多 {SM2_EVENTS_MAX} 条国密签名的记录",
        f"this server has no fast SM2 library: at most {SM2_EVENTS_MAX} SM2 events in a batch",
        most=SM2_EVENTS_MAX,
    )


def check_signature(header: BatchHeader, found: Enrolled) -> None:
    """Refuse a header that no valid key of the terminal signed, or one that had ended before."""
    public_key = found.keys.get(header.key_id)
    if public_key is None:
        raise key_unknown()
    if not batch.verify(header, public_key):
        raise Problem(
            401,
            "header-signature",
            "批次头签名不对，请重新上传",
            "the signature of the batch header is wrong; upload it again",
        )
    last_seq = found.lasts.get(header.key_id)
    if last_seq is not None and last_seq < header.first_seq:
        raise boxes.replaced(last_seq)
    if found.ends.get(header.key_id, header.first_seq + 1) <= header.first_seq:
        raise key_unknown()


def check_content(
    header: BatchHeader, events: EventArray, upload: tuple[int, int], suite: Suite
) -> Opened:
    """Refuse a validly signed header that does not belong here or does not bind its events.

    `upload` is the terminal and the batch number in the address it came to.
    """
    terminal_id, batch_no = upload
    if header.kind not in KINDS or header.flags & ~FLAGS_KNOWN:
        raise malformed("kind" if header.kind not in KINDS else "flags")
    if header.terminal_id != terminal_id or header.batch_no != batch_no:
        raise malformed("terminal_id" if header.terminal_id != terminal_id else "batch_no")
    if not header.first_seq:
        raise malformed("first_seq")
    if (events["ver"] != EVENT_VERSION).any():
        raise malformed("event.ver")
    links = arrays.event_hashes(events, suite)
    faults = batch.faults(header, events, suite, links)
    if faults:
        raise Problem(
            422,
            "batch-broken",
            "批次内容与批次头不一致（传输损坏？），请重新上传",
            "the events do not fit the signed header (damaged on the way?); upload it again",
            faults=faults,
        )
    return Opened(
        header=header,
        raw_header=header.to_bytes(),
        events=events,
        event_hashes=links if suite is Suite.ED25519 else arrays.event_hashes(events),
        content_hashes=arrays.content_hashes(events),
        links=links,
        suite=suite,
    )


def key_unknown() -> Problem:
    """Return the answer to a key that is not, not yet or not any more the terminal's."""
    return Problem(
        401,
        "key-unknown",
        "终端密钥未登记、未批准或已停用，请联系管理员；数据请保留在终端",
        "the terminal's key is not enrolled, not approved or revoked; keep the data, ask staff",
    )


def too_large(length: int) -> Problem:
    """Return the answer to a body of a length that no batch has."""
    return Problem(
        413,
        "batch-length",
        f"批次长度不对：1 至 {batch.MAX_BATCH_EVENTS} 条记录",
        f"wrong length: a batch has 1 to {batch.MAX_BATCH_EVENTS} whole events",
        length=length,
    )


def malformed(field: str) -> Problem:
    """Return the answer to a field that holds what the format does not allow here."""
    return Problem(
        422,
        "malformed",
        f"批次字段 {field} 不合格式",
        f"field {field} of the batch holds what the format does not allow here",
        field=field,
    )
