# SPDX-License-Identifier: Apache-2.0
"""Check every accepted upload: the terminal's header, the server's receipt, the columns beside."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.ingest import boxes
from server.ingest.models import Batch
from server.terminals.models import TerminalKey
from server.transparency.findings import Finding, shown
from swipe import batch as batches
from swipe import receipt as receipts
from swipe.batch import BatchHeader
from swipe.errors import SwipeError
from swipe.receipt import Receipt

PIECE = 1_000


def findings(session: Session, server_keys: dict[int, bytes]) -> Iterator[Finding]:
    """Give what is wrong, batch by batch; `server_keys` are ours, by their number."""
    keys = {key.id: bytes(key.public_key) for key in session.scalars(sa.select(TerminalKey))}
    anchors: dict[int, bytes] = {}
    last = 0
    while True:
        statement = sa.select(Batch).where(Batch.id > last).order_by(Batch.id).limit(PIECE)
        rows = list(session.scalars(statement))
        if not rows:
            return
        last = rows[-1].id
        for row in rows:
            yield from _one(row, keys, server_keys, anchors)
            session.expunge(row)


def _one(
    row: Batch, keys: dict[int, bytes], server_keys: dict[int, bytes], anchors: dict[int, bytes]
) -> Iterator[Finding]:
    name = f"id {row.id}, terminal {row.terminal_id}, number {row.batch_no}"
    try:
        header = BatchHeader.from_bytes(bytes(row.header))
        receipt = Receipt.from_bytes(bytes(row.receipt))
    except SwipeError as error:
        yield Finding("batch", name, "header or receipt", "whole", str(error))
        return
    public_key = keys.get(header.key_id)
    if public_key is None or not batches.verify(header, public_key):
        yield Finding(
            "batch", name, "header", "a valid signature", shown(row.header)[:16] + "…",
            "批次头被改动", "the header was changed, or the terminal's key",
        )  # fmt: skip
    own = server_keys.get(receipt.key_id)
    if own is None or not receipts.verify(receipt, own):
        yield Finding(
            "batch", name, "receipt", "a valid signature", shown(row.receipt)[:16] + "…",
            "回执被改动", "the receipt was changed",
        )  # fmt: skip
    expected = {
        "terminal_id": header.terminal_id,
        "first_seq": header.first_seq,
        "count": header.count,
        "up_to_seq": receipt.up_to_seq,
        "anchor": receipt.anchor,
        "answer": int(receipt.status),
        "log_size": receipt.log_size,
    }
    for field, should in expected.items():
        found = getattr(row, field)
        found = found if isinstance(found, int) else bytes(found)
        if found != should:
            yield Finding("batch", name, field, shown(should), shown(found))
    # A batch of a box that was replaced is kept beside those of the new one.
    numbers = (header.batch_no, boxes.kept_number(header.batch_no, header.key_id))
    if row.batch_no not in numbers:
        yield Finding("batch", name, "batch_no", shown(header.batch_no), shown(row.batch_no))
    before = anchors.get(row.terminal_id)
    if before is not None and before != receipt.prev_receipt:
        yield Finding(
            "batch", name, "receipt.prev_receipt", shown(before), shown(receipt.prev_receipt),
            "前一回执被改动或删除", "the receipt before it was changed or removed",
        )  # fmt: skip
    anchors[row.terminal_id] = receipt.anchor
