# SPDX-License-Identifier: Apache-2.0
"""Which receipts let a terminal advance, and the reason why each other one does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swipe.batch import BatchHeader
from swipe.kinds import BatchKind, ReceiptStatus
from swipe.receipt import Receipt, sign
from terminal.clock import Fix
from terminal.errors import ReceiptRefused
from terminal.receipts import (
    FIX_WAIT_MAX_MS,
    SERVER_SLACK_MS,
    SERVER_UNC_MAX_MS,
    Before,
    Sent,
    ServerKey,
    check,
    follows,
    is_old,
)
from tests.factories import KEY_ID, TERMINAL_ID, make_identity

SERVER = make_identity("server")
KEY = ServerKey(9, SERVER.public_key)
HEAD = bytes(range(32))
NOW = 1_795_222_800_000
HOUR = 3_600_000
PPM = 50
HEADER = BatchHeader(
    kind=BatchKind.LIVE,
    terminal_id=TERMINAL_ID,
    key_id=KEY_ID,
    batch_no=5,
    first_seq=41,
    count=10,
    head=HEAD,
    root=bytes(32),
    n_in=1,
    n_out=1,
    n_rej=0,
    utc_ms=NOW,
)
EARLIER = Receipt(
    terminal_id=TERMINAL_ID,
    batch_no=4,
    up_to_seq=40,
    head=bytes(32),
    log_size=900,
    log_root=bytes(32),
    srv_utc_ms=NOW - HOUR,
    key_id=9,
)
# The last exchange was an hour ago by our uptime and took 100 ms; so did this one.
BEFORE = Before(EARLIER, first_sent_ms=1_000_000, received_ms=1_000_100)
SENT = Sent(HEADER, 1_000_000 + HOUR, 1_000_100 + HOUR, last_seq=55)
HONEST = Receipt(
    terminal_id=TERMINAL_ID,
    batch_no=5,
    up_to_seq=50,
    head=HEAD,
    log_size=1000,
    log_root=bytes(32),
    srv_utc_ms=NOW,
    key_id=9,
    prev_receipt=EARLIER.anchor,
)


def checked(receipt: Receipt, sent: Sent = SENT, before: Before | None = BEFORE) -> Receipt:
    """Check a receipt that the server signs as it is."""
    return check(sign(receipt, SERVER).to_bytes(), sent, before, KEY, PPM)


def refused(receipt: Receipt, sent: Sent = SENT, before: Before | None = BEFORE) -> str:
    """Return why a receipt is refused."""
    with pytest.raises(ReceiptRefused) as caught:
        checked(receipt, sent, before)
    return caught.value.reason


def test_honest_receipt_is_taken() -> None:
    """A receipt for our batch, after our last one, at the time our uptime expects."""
    assert checked(HONEST).up_to_seq == 50


def test_first_receipt_of_all_is_taken() -> None:
    """Without an earlier receipt there is none to follow."""
    assert checked(replace(HONEST, prev_receipt=bytes(8)), before=None).batch_no == 5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"terminal_id": 8}, "for another terminal"),
        ({"batch_no": 4}, "for another batch"),
        ({"head": bytes(32)}, "for events we did not send"),
        ({"key_id": 8}, "signed with another key than the server's"),
        ({"ver": 2}, "version 2 is unknown"),
        ({"status": 2}, "status 2 is unknown"),
        ({"up_to_seq": 49}, "does not cover its own batch"),
        ({"up_to_seq": 56}, "confirms events we never made"),
        ({"log_size": 899}, "the server's log has shrunk"),
        ({"srv_utc_ms": NOW - HOUR - 1}, "its time runs back"),
        ({"srv_utc_ms": NOW + 10_000}, "its time and our uptime disagree"),
        ({"srv_utc_ms": NOW - 10_000}, "its time and our uptime disagree"),
        ({"srv_utc_ms": NOW + 10**9, "srv_unc_ms": 2**32 - 1}, "the server does not know the time"),
        ({"srv_unc_ms": SERVER_UNC_MAX_MS + 1}, "the server does not know the time"),
    ],
)
def test_each_lie_has_its_reason(change: dict[str, object], reason: str) -> None:
    """A validly signed receipt that says something else is refused for what it says."""
    assert refused(replace(HONEST, **change)) == reason  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"flags": 0}, "reports a gap of no length"),
        ({"up_to_seq": 55}, "reports a gap where nothing follows"),
    ],
)
def test_gap_must_make_sense(change: dict[str, int], reason: str) -> None:
    """A gap lies among the numbers we used, perhaps after this batch, and has a length."""
    gap = replace(HONEST, status=ReceiptStatus.GAP, up_to_seq=30, flags=10)

    assert checked(gap).missing == range(31, 41)
    assert checked(replace(gap, up_to_seq=52, flags=2)).missing == range(53, 55)
    assert refused(replace(gap, **change)) == reason  # type: ignore[arg-type]


def test_forged_signature_is_refused() -> None:
    """A receipt the server did not sign proves nothing."""
    raw = sign(HONEST, make_identity("somebody")).to_bytes()

    with pytest.raises(ReceiptRefused, match="signature"):
        check(raw, SENT, BEFORE, KEY, PPM)


@pytest.mark.parametrize("offset", range(0, 192, 7))
def test_flipped_bit_is_refused(offset: int) -> None:
    """A receipt with one wrong bit anywhere is refused."""
    raw = bytearray(sign(HONEST, SERVER).to_bytes())
    raw[offset] ^= 1

    with pytest.raises(ReceiptRefused):
        check(bytes(raw), SENT, BEFORE, KEY, PPM)


@pytest.mark.parametrize("size", [0, 191, 193])
def test_wrong_length_is_refused(size: int) -> None:
    """Only 192 bytes can be a receipt."""
    with pytest.raises(ReceiptRefused, match=f"{size} bytes"):
        check(bytes(size), SENT, BEFORE, KEY, PPM)


def test_later_events_may_be_covered_too() -> None:
    """The server may hold more of ours than this batch, up to the last number we used."""
    assert checked(replace(HONEST, up_to_seq=55)).up_to_seq == 55


def test_receipt_behind_one_that_never_came_is_believed_and_told_apart() -> None:
    """A stick, or a message that came when nobody waited any more, has its receipt in between."""
    stray = checked(replace(HONEST, prev_receipt=b"\x01" * 8))

    assert stray.batch_no == 5
    assert follows(HONEST, BEFORE)
    assert not follows(stray, BEFORE)


def test_answer_from_before_the_last_receipt_is_old() -> None:
    """It tells that the batch is stored and nothing else; it must be the server's all the same."""
    raw = sign(replace(HONEST, srv_utc_ms=BEFORE.receipt.srv_utc_ms, log_size=1), SERVER).to_bytes()

    assert is_old(raw, SENT, BEFORE, KEY)
    assert not is_old(raw, SENT, None, KEY)
    assert not is_old(sign(HONEST, SERVER).to_bytes(), SENT, BEFORE, KEY)
    with pytest.raises(ReceiptRefused, match="signature"):
        is_old(sign(HONEST, make_identity("somebody")).to_bytes(), SENT, BEFORE, KEY)
    with pytest.raises(ReceiptRefused, match="another batch"):
        is_old(sign(replace(HONEST, batch_no=4), SERVER).to_bytes(), SENT, BEFORE, KEY)


def test_declared_drift_and_slack_are_allowed() -> None:
    """Both clocks may err: ours by its drift over the hour, the server's by its own word."""
    slack = SERVER_SLACK_MS + 100 + 180  # the wait, and 50 ppm of an hour

    assert checked(replace(HONEST, srv_utc_ms=NOW + slack))
    assert refused(replace(HONEST, srv_utc_ms=NOW + slack + 2))
    assert checked(replace(HONEST, srv_utc_ms=NOW + slack + 500, srv_unc_ms=500))


def test_repeated_answer_may_be_as_old_as_the_first_sending() -> None:
    """A receipt whose first answer was lost tells the time of then."""
    late = replace(SENT, received_ms=SENT.received_ms + HOUR)

    assert checked(HONEST, late)
    assert refused(replace(HONEST, srv_utc_ms=NOW + 2 * HOUR), late)


def test_uptimes_of_different_starts_are_not_compared() -> None:
    """After a restart only the order of the receipts' times is checked."""
    before = Before(EARLIER)

    assert checked(replace(HONEST, srv_utc_ms=NOW + 100 * HOUR), before=before)
    assert refused(replace(HONEST, srv_utc_ms=NOW - HOUR - 1), before=before)


def test_batch_of_an_earlier_start_gives_no_time() -> None:
    """A receipt for a batch first sent before the restart sets no clock."""
    old = replace(SENT, first_sent_ms=None)

    assert checked(replace(HONEST, srv_utc_ms=NOW - HOUR + 5), old)
    assert old.fix(HONEST) is None
    assert SENT.fix(HONEST) == Fix(NOW, 0, 1_000_000 + HOUR, 1_000_100 + HOUR)


def test_answer_waited_for_too_long_gives_no_time() -> None:
    """Half of a wait of days is nothing to set a clock by: the receipt counts, its time not."""
    longest = replace(SENT, received_ms=1_000_000 + HOUR + FIX_WAIT_MAX_MS)
    longer = replace(longest, received_ms=longest.received_ms + 1)

    assert checked(HONEST, longer)
    assert longest.fix(HONEST) is not None
    assert longer.fix(HONEST) is None
