# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to a file, the verifier ends, and never calls a changed file clean."""

from __future__ import annotations

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from swipe.findings import FindingKind
from swipe.frames import FILE_HEADER_SIZE, FrameKind, frame
from swipe.verify import Pins, verify_stream
from tests.factories import (
    event_frames,
    make_batch,
    make_chain,
    make_file,
    make_identity,
    make_receipt,
)

SERVER = make_identity("server")
PINS = Pins(server_key=SERVER.public_key)
CHAIN = make_chain(8)
BATCH = make_batch(CHAIN)
RECEIPT = frame(FrameKind.RECEIPT, make_receipt(BATCH, SERVER).to_bytes())
FILES = [
    make_file([*event_frames(CHAIN), RECEIPT]),
    make_file([frame(FrameKind.BATCH, BATCH), RECEIPT]),
]


def _faults(blob: bytes) -> set[FindingKind]:
    return set(verify_stream(io.BytesIO(blob), pins=PINS).faults)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(FILES), st.data(), st.binary(max_size=40))
def test_no_splice_is_called_clean(blob: bytes, data: st.DataObject, put: bytes) -> None:
    """Any bytes replaced, removed or inserted after the header are noticed."""
    low = data.draw(st.integers(FILE_HEADER_SIZE, len(blob) - len(RECEIPT)))
    high = data.draw(st.integers(low, min(low + 500, len(blob) - len(RECEIPT))))
    changed = blob[:low] + put + blob[high:]

    assert bool(_faults(changed)) == (changed != blob)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_are_read_to_the_end(garbage: bytes) -> None:
    """Arbitrary bytes after a good header are a hole, and the reading ends."""
    faults = _faults(FILES[0][:FILE_HEADER_SIZE] + garbage)

    assert faults == ({FindingKind.FRAME_DAMAGED} if garbage else set())


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(8)), st.sets(st.integers(0, 7)))
def test_order_and_loss_are_told_apart(order: list[int], lost: set[int]) -> None:
    """In any order and with any loss: disorder is linkage, loss is a gap, nothing else is said."""
    left = [i for i in order if i not in lost]
    faults = _faults(make_file(event_frames(CHAIN[i] for i in left)))

    expected = set()
    if left and len(range(min(left), max(left) + 1)) > len(left):
        expected.add(FindingKind.COUNTER_GAP)
    if left != sorted(left):
        expected.add(FindingKind.LINKAGE_BROKEN)
    assert faults == expected
