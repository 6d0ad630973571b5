# SPDX-License-Identifier: Apache-2.0
"""The receipt: signed, chained, and clear about what is missing."""

from __future__ import annotations

import hashlib

import pytest

from swipe import receipt as receipts
from swipe.kinds import ReceiptStatus
from swipe.receipt import (
    GAP_LENGTH_MAX,
    RECEIPT_LAYOUT,
    RECEIPT_SIGNED,
    RECEIPT_SIZE,
    Receipt,
    gap_length,
)
from tests.factories import TERMINAL_ID, make_identity

SERVER = make_identity("server")


def _receipt(**fields: int) -> Receipt:
    plain = Receipt(
        terminal_id=TERMINAL_ID,
        batch_no=9,
        up_to_seq=5,
        head=bytes(range(32)),
        log_size=5,
        log_root=bytes(32),
        srv_utc_ms=1_795_222_800_000,
        key_id=1,
        **fields,
    )
    return receipts.sign(plain, SERVER)


def test_a_signed_receipt_verifies_and_comes_back() -> None:
    """Bytes and object are the same receipt, under the server's key alone."""
    receipt = _receipt()
    again = Receipt.from_bytes(receipt.to_bytes())

    assert again == receipt
    assert receipts.verify(again, SERVER.public_key)
    assert not receipts.verify(again, make_identity().public_key)
    assert (RECEIPT_LAYOUT.size, RECEIPT_SIGNED) == (RECEIPT_SIZE, 128)


@pytest.mark.parametrize("offset", range(RECEIPT_SIZE))
def test_any_flip_breaks_the_signature(offset: int) -> None:
    """One flipped bit in any of the 192 bytes makes the receipt worthless."""
    raw = bytearray(_receipt().to_bytes())
    raw[offset] ^= 1 << (offset % 8)

    assert not receipts.verify(Receipt.from_bytes(bytes(raw)), SERVER.public_key)


def test_anchor_is_the_head_of_the_full_hash() -> None:
    """Events and the next receipt point back with the first 8 bytes of SHA-256."""
    receipt = _receipt()

    assert receipt.full_hash == hashlib.sha256(receipt.to_bytes()).digest()
    assert receipt.anchor == receipt.full_hash[:8]


def test_a_gap_is_told_as_a_range() -> None:
    """With status GAP the missing range begins after the unbroken run."""
    assert _receipt().missing is None
    assert _receipt(status=ReceiptStatus.GAP, flags=3).missing == range(6, 9)


@pytest.mark.parametrize(("missing", "coded"), [(1, 1), (65_534, 65_534), (65_536, GAP_LENGTH_MAX)])
def test_long_gaps_are_capped(missing: int, coded: int) -> None:
    """A gap that does not fit two bytes is told by the largest number."""
    assert gap_length(missing) == coded
