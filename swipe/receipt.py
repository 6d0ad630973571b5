# SPDX-License-Identifier: Apache-2.0
"""The server's signed receipt: 128 bytes and a signature of 64.

It says that a batch is stored for ever, when that was, and how large the public log is. Its first
eight hash bytes go into the terminal's next events as ``anchor``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from keys.identity import Identity
from keys.verify import verify as verify_signature
from swipe.kinds import ReceiptStatus
from swipe.layout import Field, Layout

VERSION = 1
RECEIPT_SIGNED = 128
RECEIPT_SIZE = 192
RECEIPT_CONTEXT = b"yika/receipt/1\0"
NO_RECEIPT = bytes(8)
# Longer gaps are told by this number; the terminal then sends everything after up_to_seq.
GAP_LENGTH_MAX = 0xFFFF

RECEIPT_LAYOUT = Layout(
    "receipt",
    (
        Field("ver", "B"),
        Field("status", "B"),
        Field("flags", "H"),
        Field("terminal_id", "Q"),
        Field("batch_no", "I"),
        Field("up_to_seq", "Q"),
        Field("head", "32s"),
        Field("log_size", "Q"),
        Field("log_root", "32s"),
        Field("srv_utc_ms", "Q"),
        Field("srv_unc_ms", "I"),
        Field("hot_ver", "I"),
        Field("cfg_ver", "I"),
        Field("key_id", "I"),
        Field("prev_receipt", "8s"),
        Field("signature", "64s"),
    ),
)


@dataclass(frozen=True)
class Receipt:
    """One receipt, with the names of the specification's table.

    ``up_to_seq`` ends the unbroken run the server holds. With status GAP, ``flags`` is the length
    of the first missing range, which begins at ``up_to_seq + 1``.
    """

    terminal_id: int
    batch_no: int
    up_to_seq: int
    head: bytes
    log_size: int
    log_root: bytes
    srv_utc_ms: int
    key_id: int
    ver: int = VERSION
    status: int = ReceiptStatus.OK
    flags: int = 0
    srv_unc_ms: int = 0
    hot_ver: int = 0
    cfg_ver: int = 0
    prev_receipt: bytes = NO_RECEIPT
    signature: bytes = bytes(64)

    @classmethod
    def from_bytes(cls, data: bytes) -> Receipt:
        """Read 192 bytes; raise ``WrongLength`` for any other length."""
        return cls(**RECEIPT_LAYOUT.unpack(data))

    def to_bytes(self) -> bytes:
        """Give all 192 bytes."""
        return RECEIPT_LAYOUT.pack(self.__dict__)

    @property
    def signed_bytes(self) -> bytes:
        """Give the 128 bytes under the signature."""
        return self.to_bytes()[:RECEIPT_SIGNED]

    @property
    def anchor(self) -> bytes:
        """Give what later events and the next receipt point back with: SHA-256, left 8."""
        return self.full_hash[:8]

    @property
    def full_hash(self) -> bytes:
        """Give the hash that an ACK_ANCHOR event carries: SHA-256 of all 192 bytes."""
        return hashlib.sha256(self.to_bytes()).digest()

    @property
    def missing(self) -> range | None:
        """Give the first range of sequence numbers the server lacks, or ``None``.

        A length of 65535 means "or more": send everything from its start.
        """
        if self.status != ReceiptStatus.GAP:
            return None
        first = self.up_to_seq + 1
        return range(first, first + self.flags)


def gap_length(missing: int) -> int:
    """Code the length of the first missing range for ``flags``.

    >>> gap_length(70_000)
    65535
    """
    return min(missing, GAP_LENGTH_MAX)


def sign(receipt: Receipt, identity: Identity) -> Receipt:
    """Give the receipt with the server's signature."""
    return replace(receipt, signature=identity.sign(RECEIPT_CONTEXT, receipt.signed_bytes))


def verify(receipt: Receipt, public_key: bytes) -> bool:
    """Say whether the signature is this server key's."""
    return verify_signature(public_key, receipt.signature, RECEIPT_CONTEXT, receipt.signed_bytes)
