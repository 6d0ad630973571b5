# SPDX-License-Identifier: Apache-2.0
"""Which receipts a terminal believes: signature, its own batch, and the time.

Receipts to one terminal are chained, but a terminal need not have seen all of them: one may have
come of a batch on a memory stick, or of a message that arrived when nobody waited for it any more.
One that follows another than the last is believed all the same; who counts them can ask why.
"""

from __future__ import annotations

from dataclasses import dataclass

from swipe import receipt as receipts
from swipe.batch import BatchHeader
from swipe.errors import SwipeError
from swipe.kinds import ReceiptStatus
from swipe.receipt import NO_RECEIPT, RECEIPT_SIZE, Receipt
from terminal.clock import Fix, drift_ms
from terminal.errors import ReceiptRefused

# A server's clock is slewed and stepped a little by its own time service.
SERVER_SLACK_MS = 2_000
# A server that is less sure of its time than this could tell any; it is asked again later.
SERVER_UNC_MAX_MS = 600_000
# An answer that was waited for longer sets no clock: its time is known to within half the wait,
# and the server refuses a request signed by a clock that is a day off.
FIX_WAIT_MAX_MS = 6 * 3_600_000


@dataclass(frozen=True, slots=True)
class ServerKey:
    """The server's identity, pinned at enrolment."""

    key_id: int
    public_key: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """A batch that went out: its header, when, when its answer came, the last number in use.

    `first_sent_ms` is the uptime at which these very bytes went out for the first time; None if
    that was in an earlier start, or if its last event is of one. A repeated answer may be as old
    as that.
    """

    header: BatchHeader
    first_sent_ms: int | None
    received_ms: int
    last_seq: int

    def fix(self, receipt: Receipt) -> Fix | None:
        """Return the time the receipt tells, bounded by the whole wait for it.

        None if the wait began in an earlier start, or the batch ends in one: the time may then be
        of any moment before. None too if it was so long that the time it tells is worth less than
        none.
        """
        if self.first_sent_ms is None:
            return None
        if self.received_ms - self.first_sent_ms > FIX_WAIT_MAX_MS:
            return None
        return Fix(receipt.srv_utc_ms, receipt.srv_unc_ms, self.first_sent_ms, self.received_ms)


@dataclass(frozen=True, slots=True)
class Before:
    """The last receipt, and the uptimes it was signed between if that was in this start."""

    receipt: Receipt
    first_sent_ms: int | None = None
    received_ms: int | None = None


def check(raw: bytes, sent: Sent, before: Before | None, key: ServerKey, drift_ppm: int) -> Receipt:
    """Return the receipt if it lets the terminal advance.

    Raises:
        ReceiptRefused: With the reason; nothing of the receipt may be used.
    """
    receipt = _own(raw, sent.header, key)
    _progress(receipt, sent)
    if before is not None:
        _require(receipt.log_size >= before.receipt.log_size, "the server's log has shrunk")
        _time(receipt, sent, before, drift_ppm)
    return receipt


def is_old(raw: bytes, sent: Sent, before: Before | None, key: ServerKey) -> bool:
    """Say whether this answer to our batch is from before the last receipt: nothing new.

    Raises:
        ReceiptRefused: It is no receipt of the server's to this batch.
    """
    receipt = _own(raw, sent.header, key)
    return before is not None and older(receipt, before.receipt)


def older(receipt: Receipt, last: Receipt) -> bool:
    """Say whether a receipt is the last one, or from before it.

    >>> last = Receipt(7, 1, 5, bytes(32), 9, bytes(32), srv_utc_ms=1_000, srv_unc_ms=20, key_id=1)
    >>> older(last, last)
    True
    """
    return (receipt.srv_utc_ms, receipt.log_size) <= (last.srv_utc_ms, last.log_size)


def follows(receipt: Receipt, before: Before | None) -> bool:
    """Say whether the server gave this terminal no other receipt in between."""
    return receipt.prev_receipt == (NO_RECEIPT if before is None else before.receipt.anchor)


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise ReceiptRefused(reason)


def _own(raw: bytes, header: BatchHeader, key: ServerKey) -> Receipt:
    """Return the receipt if the server has signed it for this batch."""
    receipt = _signed(raw, key)
    _require(receipt.terminal_id == header.terminal_id, "for another terminal")
    _require(receipt.batch_no == header.batch_no, "for another batch")
    _require(receipt.head == header.head, "for events we did not send")
    return receipt


def _signed(raw: bytes, key: ServerKey) -> Receipt:
    _require(len(raw) == RECEIPT_SIZE, f"{len(raw)} bytes, expected {RECEIPT_SIZE}")
    try:
        receipt = Receipt.from_bytes(raw)
    except SwipeError as exc:
        raise ReceiptRefused(str(exc)) from exc
    _require(receipt.ver == receipts.VERSION, f"version {receipt.ver} is unknown")
    _require(receipt.key_id == key.key_id, "signed with another key than the server's")
    _require(receipts.verify(receipt, key.public_key), "the signature does not verify")
    _require(receipt.srv_unc_ms <= SERVER_UNC_MAX_MS, "the server does not know the time")
    return receipt


def _progress(receipt: Receipt, sent: Sent) -> None:
    """The server confirms no number we never used, and with OK at least this batch."""
    header = sent.header
    _require(receipt.up_to_seq <= sent.last_seq, "confirms events we never made")
    if receipt.status == ReceiptStatus.OK:
        _require(receipt.up_to_seq >= header.last_seq, "does not cover its own batch")
        return
    _require(receipt.status == ReceiptStatus.GAP, f"status {receipt.status} is unknown")
    _require(receipt.up_to_seq < sent.last_seq, "reports a gap where nothing follows")
    _require(receipt.flags > 0, "reports a gap of no length")


def _time(receipt: Receipt, sent: Sent, before: Before, drift_ppm: int) -> None:
    """The server's time may not run back, nor leave what our own uptime allows.

    Both receipts were signed while we waited for them, so the time between them lies between the
    shortest and the longest distance of the two waits.
    """
    passed = receipt.srv_utc_ms - before.receipt.srv_utc_ms
    _require(passed >= 0, "its time runs back")
    if before.first_sent_ms is None or before.received_ms is None:
        return  # it may be of an earlier start: uptimes cannot be compared
    longest = sent.received_ms - before.first_sent_ms
    first = before.received_ms if sent.first_sent_ms is None else sent.first_sent_ms
    shortest = max(0, first - before.received_ms)
    slack = SERVER_SLACK_MS + receipt.srv_unc_ms + before.receipt.srv_unc_ms
    slack += drift_ms(longest, drift_ppm)
    _require(shortest - slack <= passed <= longest + slack, "its time and our uptime disagree")
