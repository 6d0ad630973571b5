#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trace a conversation: in words, as a page for people, as a capture for Wireshark.

    python -m examples.trace_card FOLDER

Keys, PINs and protected files are masked while they are recorded. At a command line the same is
`yika-card info --trace tap.html`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from card.decode import describe_tape
from card.operation import run
from card.trace import Trace
from card.trace_save import save_as
from card.volunteer import read_composite, select
from hardware_mocks.cards import named
from hardware_mocks.cards.connection import connect


def main(folder: Path) -> None:
    """Read a card under a trace and keep it in three forms."""
    card = connect(named.card("issued"))
    trace = Trace("virtual")
    run(select(), card, observer=trace)
    run(read_composite(), card, observer=trace)

    for _, found in describe_tape(trace.tape()):
        print(*found.lines(), sep="\n")
    for name in ("tap.html", "tap.pcapng", "tap.trace"):
        save_as(trace.tape(), folder / name)
        print(f"已保存 saved {folder / name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
