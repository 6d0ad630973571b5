# SPDX-License-Identifier: Apache-2.0
"""Does the terminal stay as it is for a day? Taps without end, and its memory and handles.

The program runs in a process of its own against a small server here. Every line is one look at
it; the last ones hold the figures against their limits.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click

from bench.line import Line, check, machine, report
from bench.soak_terminal import SPEED, FastClock
from keys.identity import Identity
from swipe import batch
from swipe.frames import FileHeader
from swipe.receipt import Receipt
from terminal.clock import Clock
from terminal.files import IDENTITY, JOURNAL
from terminal.health import PAGE_SIZE
from terminal.journal import Journal, read_only
from terminal.passport import Passport
from tests.factories import KEY_ID, TERMINAL_ID, make_identity
from tests.integration.terminal.bench import SERVER_KEY_ID
from tests.integration.terminal.office import Office, Refusal

RSS_MAX_MB = 120
# What the program keeps of each event in memory (number, place, hash) is the journal's index: a
# million events are a limit of the journal itself. What grows beyond it is a leak.
INDEX_BYTES = 17
GROWTH_MAX_MB = 8
HANDLES_GROWTH_MAX = 4
WARM_UP = 0.25  # of the time: caches fill, the allocator finds its size
END_S = 60
SPEED_MAX = 300  # an exchange of 30 ms takes nine seconds of that time; faster, the rig is measured


class SoakOffice(Office):
    """A server that keeps its place and not the events."""

    def __init__(self, clock: Clock, terminal_key: bytes) -> None:
        super().__init__(clock, terminal_key)
        self.up_to = 0
        self.lie = self._whole

    def put(self, number: int, body: bytes) -> bytes | Refusal:
        """Check a batch that follows, and answer with its receipt."""
        header, _ = batch.split(body)
        if number in self.receipts:
            return self.receipts[number]
        if not batch.verify(header, self.terminal_key) or header.first_seq > self.up_to + 1:
            return Refusal(422, "does not follow")
        self.up_to = max(self.up_to, header.last_seq)
        self.requests.clear()
        self.receipts = {number: self._receipt(header)}
        self.last_receipt = self.receipts[number]
        return self.last_receipt

    def _whole(self, receipt: Receipt) -> Receipt:
        return replace(receipt, up_to_seq=self.up_to)


@dataclass(frozen=True, slots=True)
class Look:
    """The terminal's process at one moment."""

    rss_mb: float
    handles: int
    threads: int
    events: int


def look(pid: int, office: SoakOffice) -> Look:
    """Read what Linux says of the process."""
    proc = Path(f"/proc/{pid}")
    pages = int((proc / "statm").read_text().split()[1])
    return Look(
        rss_mb=round(pages * PAGE_SIZE / 1e6, 2),
        handles=len(list((proc / "fd").iterdir())),
        threads=len(list((proc / "task").iterdir())),
        events=office.up_to,
    )


def run(hours: float, per_second: float, every_s: float, speed: int = SPEED) -> Iterator[Line]:
    """Let the terminal run and look at it; the last lines decide.

    Args:
        hours: How long on the wall.
        per_second: Taps a second on the wall.
        every_s: Seconds between two looks.
        speed: How many times faster than the wall's the clocks of terminal and server go.
    """
    yield machine()
    origin_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    with tempfile.TemporaryDirectory(prefix="yika-soak-") as folder:
        office = SoakOffice(FastClock(origin_ns, speed), _provision(Path(folder)).public_key)
        with office.open():
            line = [sys.executable, "-m", "bench.soak_terminal"]
            line += [folder, office.url, str(origin_ns), str(speed), str(per_second)]
            with subprocess.Popen(line) as child:
                try:
                    looks = []
                    for seen in _watch(child, office, hours * 3600, every_s):
                        looks.append(seen)
                        yield {"bench": "soak", **{k: getattr(seen, k) for k in Look.__slots__}}
                finally:
                    child.terminate()
                    child.wait(END_S)
        _, state, _ = read_only(Path(folder) / JOURNAL)
    yield from _judge(looks, hours, speed)
    yield report("soak", "taps in the journal", state.n_in + state.n_out, "taps")
    yield check("soak", "numbers without an event", state.last_seq - state.events, "events",
                limit=0, sense="max")  # fmt: skip
    yield check("soak", "taps refused or torn", state.n_rej + state.torn, "taps",
                limit=0, sense="max")  # fmt: skip


def _watch(
    child: subprocess.Popen[bytes], office: SoakOffice, seconds: float, every_s: float
) -> Iterator[Look]:
    """Look at it from its first acknowledged event on, for the time given.

    A busy machine may need a minute to start it, and to let it tap once more at the end.
    """
    _wait(child, lambda: office.up_to > 0)
    end, first = time.monotonic() + seconds, office.up_to
    while time.monotonic() < end:
        time.sleep(every_s)
        _wait(child, lambda: True)
        yield look(child.pid, office)
    _wait(child, lambda: office.up_to > first)
    yield look(child.pid, office)


def _wait(child: subprocess.Popen[bytes], holds: Callable[[], bool]) -> None:
    """Wait until something holds, while the terminal lives."""
    end = time.monotonic() + END_S
    while child.poll() is None and time.monotonic() < end:
        if holds():
            return
        time.sleep(0.05)
    raise SystemExit(f"the terminal does not go on: {child.returncode}")


def _judge(looks: list[Look], hours: float, speed: int) -> Iterator[Line]:
    settled = looks[int(len(looks) * WARM_UP) :]
    first, last = settled[0], settled[-1]
    index_mb = (last.events - first.events) * INDEX_BYTES / 1e6
    growth_mb = round(_middle(settled[-3:]) - _middle(settled[:3]) - index_mb, 2)
    handles = [seen.handles for seen in settled]
    yield report("soak", "hours", hours, "h")
    yield report("soak", "hours by the terminal's clock", round(hours * speed, 1), "h")
    yield report("soak", "events acknowledged", last.events, "events")
    yield check("soak", "most memory", max(s.rss_mb for s in looks), "MB",
                limit=RSS_MAX_MB, sense="max")  # fmt: skip
    yield check("soak", "growth after warming up, beside the journal's index", growth_mb, "MB",
                limit=GROWTH_MAX_MB, sense="max")  # fmt: skip
    yield check("soak", "handles, most less fewest", max(handles) - min(handles), "handles",
                limit=HANDLES_GROWTH_MAX, sense="max")  # fmt: skip
    yield check("soak", "taps went on", last.events - looks[0].events, "events",
                limit=1, sense="min")  # fmt: skip


def _middle(looks: list[Look]) -> float:
    return sorted(seen.rss_mb for seen in looks)[len(looks) // 2]


def _provision(folder: Path) -> Identity:
    identity = make_identity()
    identity.save(folder / IDENTITY)
    server = make_identity("server").public_key.hex()
    passport = Passport(TERMINAL_ID, KEY_ID, SERVER_KEY_ID, server, 3, "浸泡", "soak", 32)
    passport.save(folder)
    Journal.create(folder / JOURNAL, FileHeader(TERMINAL_ID, KEY_ID, identity.public_key))
    return identity


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--hours", default=8.0, show_default=True, help="how long, in real time")
@click.option("--per-second", default=20.0, show_default=True, help="taps a second")
@click.option(
    "--speed",
    type=click.IntRange(1, SPEED_MAX),
    default=SPEED,
    show_default=True,
    help="how many times faster the clocks go",
)
@click.option("--every", "every_s", default=60.0, show_default=True, help="seconds between looks")
def main(hours: float, per_second: float, speed: int, every_s: float) -> None:
    """Let a terminal tap without end and print JSON lines; exit 1 if a limit does not hold.

    Example: script/soak --hours 0.25 --every 10
    """
    failed = False
    for line in run(hours, per_second, every_s, speed):
        failed |= line.get("ok") is False
        print(json.dumps(line, ensure_ascii=False), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
