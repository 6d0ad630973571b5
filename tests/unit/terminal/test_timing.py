# SPDX-License-Identifier: Apache-2.0
"""Where the time of a tap goes, and what waits meanwhile."""

from __future__ import annotations

import gc

import pytest

from terminal.timing import Timings, unswept


def test_phases_follow_their_marks() -> None:
    """Each phase lasts from the mark before to its own; one that comes twice is added up."""
    timings = Timings(marks=(("read", 7), ("journal", 10), ("read", 15)), start_ns=5)

    assert timings.phases == {"read": 7, "journal": 3}


def test_no_sweep_while_a_card_is_held() -> None:
    """The collector rests inside, works again afterwards, also after an error."""
    gc.enable()
    with pytest.raises(KeyError), unswept():
        assert not gc.isenabled()
        raise KeyError

    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    """Who had switched it off, a simulator for one, finds it so."""
    gc.disable()
    try:
        with unswept():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
