# SPDX-License-Identifier: Apache-2.0
"""A journal of a million taps: how long a start takes, and how much memory.

Every start runs in a process of its own, as the terminal's does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.line import Line, check, report, significant
from swipe.event import EVENT_LAYOUT, EVENT_SIGNED, event_hash
from swipe.frames import FrameKind, frame
from terminal.files import JOURNAL
from terminal.journal import Journal
from terminal.storage import Folder
from tests.contracts.journal.disks import SimulatedDisk
from tests.contracts.journal.frames import HEADER, next_event, open_on

TAPS, QUICK_TAPS = 1_000_000, 50_000
CARDS = 5_000
RSS_MB = 120
ROOT = Path(__file__).parents[1]
_SPANS = {
    name: slice(*EVENT_LAYOUT.span(name))
    for name in ("seq", "prev", "n_in", "psam_seq", "card_asn", "up_s", "utc_s")
}


def run(quick: bool) -> Iterator[Line]:
    """Measure two starts on one long journal."""
    taps = QUICK_TAPS if quick else TAPS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / JOURNAL
        write_journal(path, taps)
        size_mb = path.stat().st_size / 1e6
        yield report("journal", f"{taps} taps", significant(size_mb), "MB")
        for case in ("read whole", "from its checkpoint"):
            found = _start(Path(folder))
            yield report("journal", f"start, {case}, {taps} taps", found["seconds"], "s")
            yield check("journal", f"most memory of a start, {case}, {taps} taps",
                        found["peak_mb"], "MB", limit=RSS_MB, sense="max")  # fmt: skip


def write_journal(path: Path, taps: int) -> None:
    """Write a journal whose events link; their signatures are not looked at when it is read."""
    journal = open_on(SimulatedDisk(HEADER.to_bytes()))
    raw, head = bytearray(next_event(journal).to_bytes()), journal.state.head
    with path.open("wb") as file:
        file.write(HEADER.to_bytes())
        for seq in range(1, taps + 1):
            values = {
                "seq": seq.to_bytes(4),
                "prev": head,
                "n_in": (seq - 1).to_bytes(4),
                "psam_seq": seq.to_bytes(4),
                "card_asn": bytes.fromhex(f"00005949{seq % CARDS:012d}"),
                "up_s": seq.to_bytes(4),
                "utc_s": (1_795_222_800 + seq).to_bytes(4),
            }
            for name, value in values.items():
                raw[_SPANS[name]] = value
            body = bytes(raw)
            file.write(frame(FrameKind.INTENT, body[:EVENT_SIGNED]) + frame(FrameKind.EVENT, body))
            head = event_hash(body)


def _start(folder: Path) -> dict[str, float]:
    words = [sys.executable, "-m", "bench.journal", str(folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _open(folder: Path) -> dict[str, float]:
    began = time.perf_counter()
    journal = Journal.on(Folder(folder))
    seconds = time.perf_counter() - began
    journal.close()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return {"seconds": significant(seconds), "peak_mb": significant(int(peak) / 1024)}


if __name__ == "__main__":
    print(json.dumps(_open(Path(sys.argv[1]))))
