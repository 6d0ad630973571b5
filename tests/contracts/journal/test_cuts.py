# SPDX-License-Identifier: Apache-2.0
"""Power cuts at every byte of a journal: what was durable is there, nothing else is."""

from __future__ import annotations

import pytest

from swipe.frames import FILE_HEADER_SIZE
from tests.contracts.journal.cuts import TAILS, cut_everywhere, lose_sectors, sample
from tests.contracts.journal.disks import SimulatedDisk
from tests.contracts.journal.frames import add_tap, chain_holds, open_on


@pytest.mark.parametrize("tail", TAILS)
def test_cut_at_every_byte(tail: str) -> None:
    """Whatever stands behind a cut: every whole frame before it is read, nothing else is.

    Also the next tap can be written, and reading the file again gives the same state.
    """
    content = sample(3)
    report = cut_everywhere(content, [tail])

    assert report.violations == ()
    assert report.cases == len(content) - FILE_HEADER_SIZE + 1


def test_every_sector_may_go_bad() -> None:
    """One page that cannot be read costs the events that touch it, and no others."""
    report = lose_sectors(sample(40))

    assert report.violations == ()
    assert report.cases == 5


def test_cut_journal_takes_new_taps() -> None:
    """After a cut inside the last frame the next tap has the number of the one that was lost."""
    disk = SimulatedDisk(sample(4)[:-1])
    journal = open_on(disk)
    before = journal.state.last_seq
    add_tap(journal)

    assert journal.state.last_seq == before + 1
    assert chain_holds(open_on(disk))
