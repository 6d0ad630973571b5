# SPDX-License-Identifier: Apache-2.0
"""A terminal killed at 200 random moments: no tap that beeped is lost, none is there twice."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardware_mocks.cardos.cos import VirtualCard
from keys.store import FileKeyStore
from swipe.event import Event
from swipe.kinds import EventType, Result
from swipe.verify import verify_stream
from terminal.policy import Say
from tests.factories import UTC_S
from tests.integration.terminal.bench import Bench, asn, issue, software_psam
from tests.integration.terminal.test_torn import card_counter, taps_of
from tests.unit.terminal.clocks import HandClock

KILLS = 200
CARDS = 4
# Long enough for some taps; every fourth kill comes while the program still starts.
LATEST_S = 0.03
SHARED_MEMORY = "/dev/shm"
GREEN = (Say.IN, Say.OUT)


class Beeper:
    """The speaker: one line for each green tone, as durable as a sound in the air."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def beep(self, say: Say, event: Event) -> None:
        """Sound."""
        os.write(self._handle, f"{say.name} {event.card_asn.hex()} {event.seq}\n".encode())


def tap_until_killed(folder: Path, store: FileKeyStore, utc_s: int, ready: int) -> None:
    """Be the terminal process: tap cards as fast as the disk allows, for ever."""
    clock = HandClock(utc_s)
    bench = Bench(folder, store, software_psam(folder, store), clock)
    beeper = Beeper(folder / "beeps")
    cards = [VirtualCard(folder / f"card{number}") for number in range(CARDS)]
    os.write(ready, b"!")
    while True:
        for card in cards:
            clock.advance(20)
            outcome = bench.tap(card)
            if outcome.say in GREEN and outcome.event is not None:
                beeper.beep(outcome.say, outcome.event)


def run_and_kill(
    folder: Path, store: FileKeyStore, utc_s: int, after_s: float, *, starting: bool
) -> None:
    """Start the terminal in a process of its own and kill it, then or while it starts."""
    heard, ready = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            tap_until_killed(folder, store, utc_s, ready)
        finally:
            os._exit(1)
    os.close(ready)
    if not starting:
        os.read(heard, 1)
    os.close(heard)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)

    assert os.WIFSIGNALED(status), "the terminal ended by itself"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, so that kills fall into the program and not into waits for the disk.

    What a killed process wrote is there without any sync; cuts of power are another test.
    """
    if not os.access(SHARED_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as name:
        yield Path(name)


@pytest.mark.slow
def test_killed_at_random_moments(folder: Path, store: FileKeyStore) -> None:
    """After 200 kills every beep has its event, every card's counter its tap, and no other."""
    rng = random.Random(20261121)
    Bench(folder, store, software_psam(folder, store)).desk.chain.journal.close()
    for number in range(CARDS):
        issue(store, number, path=folder / f"card{number}")
    for kill in range(KILLS):
        start_s, after_s = UTC_S + kill * 3600, rng.uniform(0, LATEST_S)
        run_and_kill(folder, store, start_s, after_s, starting=kill % 4 == 0)

    # One more tap of each card brings home what was torn last.
    bench = Bench(folder, store, software_psam(folder, store), HandClock(UTC_S + KILLS * 3600))
    cards = [VirtualCard(folder / f"card{number}") for number in range(CARDS)]
    for card in cards:
        assert bench.tap(card).say in GREEN
    events = bench.events()
    beeps = [line.split() for line in (folder / "beeps").read_text().splitlines()]
    proven = {e.seq: e for e in events if e.result in (Result.OK, Result.RESOLVED)}
    taps = taps_of(bench)

    assert len(beeps) > KILLS // 4
    for say, serial, seq in beeps:
        event = proven[int(seq)]
        assert event.card_asn.hex() == serial
        assert event.type in (EventType[say], EventType.TORN_RESOLVED)
    assert set(taps.values()) == {1}
    for number, card in enumerate(cards):
        assert sum(serial == asn(number) for serial, _ in taps) == card_counter(card)
    assert Counter(e.seq for e in events).most_common(1)[0][1] == 1
    assert any(e.type == EventType.TORN_RESOLVED for e in events), "no kill hit between the frames"
    with bench.journal_path.open("rb") as file:
        assert verify_stream(file).findings == []
