# SPDX-License-Identifier: Apache-2.0
"""Power cuts at every byte of a journal: what was durable is there, nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import pytest

from swipe.frames import FILE_HEADER_SIZE, FrameKind, FrameReader
from swipe.kinds import EventType
from tests.contracts.journal.disks import SimulatedDisk, garbage_page, truncated, zero_page
from tests.contracts.journal.frames import (
    HEADER,
    add_note,
    add_tap,
    chain_holds,
    open_on,
    receipt_for,
)

Damage = Callable[[bytes, int], bytes]


def _journal() -> bytes:
    """A journal with every kind of frame and several pages."""
    disk = SimulatedDisk(HEADER.to_bytes())
    journal = open_on(disk)
    for _ in range(3):
        add_tap(journal)
        add_note(journal, EventType.OPEN, mode=1)
        journal.add((FrameKind.RECEIPT, receipt_for(journal)))
    add_tap(journal)
    journal.add((FrameKind.ABANDON, bytes(4)))
    add_tap(journal)
    return bytes(disk.content)


@pytest.mark.parametrize("damage", [truncated, zero_page, garbage_page])
def test_cut_at_every_byte(damage: Damage) -> None:
    """Whatever the last page holds after a cut: every whole frame before it is read, no other."""
    content = _journal()
    ends = [FILE_HEADER_SIZE, *(item.end for item in FrameReader(_stream(content)))]
    for cut in range(FILE_HEADER_SIZE, len(content) + 1):
        left = damage(content, cut)
        disk = SimulatedDisk(left)
        journal = open_on(disk)
        # Zeros may happen to be what was cut off.
        whole = max(end for end in ends if left[:end] == content[:end])

        assert bytes(disk.content) == content[:whole], cut
        if cut in ends:
            assert chain_holds(journal)


def test_cut_journal_takes_new_taps() -> None:
    """After a cut inside the last frame the next tap has the number of the one that was lost."""
    content = _journal()
    disk = SimulatedDisk(content[:-1])
    journal = open_on(disk)
    before = journal.state.last_seq
    add_tap(journal)

    assert journal.state.last_seq == before + 1
    assert chain_holds(open_on(disk))


def _stream(content: bytes) -> BinaryIO:
    stream = SimulatedDisk(content).stream()
    stream.seek(FILE_HEADER_SIZE)
    return stream
