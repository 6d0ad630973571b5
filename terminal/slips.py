# SPDX-License-Identifier: Apache-2.0
"""The slip a volunteer may take home: what was recorded, and the signed event as a code."""

from __future__ import annotations

from terminal.devices.protocols import Slip
from terminal.policy import Say
from terminal.screen import Note, stay
from terminal.tap import Outcome
from terminal.wording_table import ACCEPTED_WORDS

ROUGH_MS = 60_000  # a clock that may be wrong by more than a minute is said to be rough
_PRINTED = frozenset({Say.IN, Say.OUT, Say.RECORDED, Say.SWITCHED})


def slip_of(outcome: Outcome, note: Note, site: str, day: str) -> Slip | None:
    """Return the slip of a tap that counts, or None: nothing else is worth paper."""
    event = outcome.event
    if event is None or outcome.say not in _PRINTED:
        return None
    lines = [site, f"{day} {note.clock}", ACCEPTED_WORDS[outcome.say].title, note.name]
    if note.place and note.place != site:
        lines.append(note.place)
    if note.stay_s is not None:
        lines.append(f"本次 TIME {stay(note.stay_s)}")
    if event.unc_ms > ROUGH_MS:
        lines.append("时间待核 TIME NOT SURE YET")
    lines.append(f"终端 TERMINAL {event.terminal_id} #{event.seq}")
    return Slip(tuple(line for line in lines if line), event.to_bytes())


def trial_slip(site: str, day: str, clock: str) -> Slip:
    """Return the slip of the menu's printer test: both scripts, and the width.

    >>> trial_slip("莲花山", "2026-11-21", "09:02").lines[0]
    '打印测试 PRINTER TEST'
    """
    return Slip(("打印测试 PRINTER TEST", site, f"{day} {clock}", "12345678901234567890"))
