#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Issue cards from a list, with results beside it; run again, it goes on where it stopped.

    python -m examples.batch_issue

A list is CSV or JSON lines (docs: `yika-card batch -h`). A card that fails stays on the list.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from card.attempts import AttemptGuard
from card.batch import Batch
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cards.connection import connect
from hardware_mocks.cards.keyring import keyring

PEOPLE = [
    {
        "asn": f"{number:020d}",
        "valid_from": "2026-11-01",
        "valid_to": "2031-10-31",
        "masked_name": "王**",
        "name": name,
        "volunteer_number": f"{1_000_000_000 + number}",
    }
    for number, name in enumerate(("王小明", "王芳", "王海"), 17)
]


def main(folder: Path) -> None:
    """Issue three cards; the machine stops after the first one and is started again."""
    path = folder / "list.jsonl"
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in PEOPLE)
    path.write_text(text, encoding="utf-8")
    guard = AttemptGuard()

    for cards in (1, len(PEOPLE)):
        batch = Batch(path)
        for row in list(batch.waiting())[:cards]:
            done = batch.issue(row, keyring(), connect(VirtualCard()), guard)
            print(f"第 {row.line} 行 line: {done.asn.hex()} {done.writes} writes")
    print(f"完成 done {batch.stock().done}, 剩余 left {batch.stock().left}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
