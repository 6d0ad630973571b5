# SPDX-License-Identifier: Apache-2.0
"""Which box of a terminal a key belongs to, and where that box ended.

A terminal outlives its boxes: each that replaces another goes on behind the last event that was
held when it was let in. What the box before signed up to there is as good as ever and fills holes;
the numbers behind are the new box's, whatever the old one's disk holds under them, and whichever
key it changed to since. Its batches are counted apart too: an old disk knows nothing of the
numbers that the new box has given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from server.errors import Problem

# Batch numbers have 32 bits; above them stands the key whose box was replaced.
NUMBER_BITS = 32
_FIRST_BOX = 0


@dataclass(frozen=True, slots=True)
class BoxKey:
    """A terminal's key: the one that vouched for it, and behind which event its box began.

    `begins_behind` is None for all but the first key of a box that replaced another.
    """

    id: int
    replaces: int | None
    begins_behind: int | None


def last_numbers(keys: Iterable[BoxKey]) -> dict[int, int]:
    """Return for each key of a replaced box the last number of that box; keys in order.

    >>> keys = [BoxKey(8, None, None), BoxKey(9, None, 19), BoxKey(10, 8, None)]
    >>> last_numbers(keys)
    {8: 19, 10: 19}
    """
    box_of: dict[int, int] = {}
    begins: dict[int, int] = {}  # of each box but the first, in the order they came
    for key in keys:
        if key.begins_behind is not None:
            begins[key.id] = key.begins_behind
            box_of[key.id] = key.id
        else:
            box_of[key.id] = box_of.get(key.replaces or 0, _FIRST_BOX)
    boxes = [_FIRST_BOX, *begins]
    ends = dict(zip(boxes, begins.values(), strict=False))
    return {key: ends[box] for key, box in box_of.items() if box in ends}


def kept_number(batch_no: int, key_id: int) -> int:
    """Return under which number a batch of a replaced box is kept.

    >>> kept_number(8, 3) == 3 * 2**32 + 8
    True
    """
    return (key_id << NUMBER_BITS) | batch_no


def replaced(last_seq: int) -> Problem:
    """Return the answer to a batch whose numbers all belong to the new box by now."""
    return Problem(
        401,
        "box-replaced",
        f"此机已被更换：{last_seq} 号以后的编号属于新机，这些记录不入库；请保留原盘并联系管理员",
        f"this box was replaced: numbers above {last_seq} are the new box's, and these records are "
        "not stored; keep the disk and ask staff",
        last_seq=last_seq,
    )
