# SPDX-License-Identifier: Apache-2.0
"""The program at a real pcscd: antenna and PSAM socket of one reader, service stopped and started.

The virtual readers run in a namespace of their own; the program is an ordinary PC/SC client.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from card.readers import open_reader
from hardware_mocks.cardhost.client import Hand
from hardware_mocks.pcsc import PcscStack
from hardware_mocks.pcsc.errors import NamespacesNotPermitted, NeedsRoot
from keys.store import FileKeyStore
from swipe.kinds import EventType
from terminal.program import Parts, Program
from terminal.psam_slot import open_psam
from terminal.transport import HttpTransport
from tests.integration.terminal.bench import Bench, issue, psam_chip
from tests.integration.terminal.devices import Memory
from tests.integration.terminal.office import Office
from tests.integration.terminal.proofs import all_hold

pytestmark = pytest.mark.pcsc

READER = "Yika POS T"
JOIN_S = 20.0


@pytest.fixture
def stack(tmp_path: Path, store: FileKeyStore) -> Iterator[PcscStack]:
    """A private pcscd whose PSAM socket holds an issued PSAM."""
    stack = PcscStack([READER], tmp_path / "pcsc", private=True)
    stack.cards.mkdir(parents=True)
    psam_chip(store, stack.cards / "psam.card").power_off()
    issue(store, 1, path=stack.cards / "v01.card").power_off()
    try:
        stack.start()
    except (NeedsRoot, NamespacesNotPermitted) as exc:
        pytest.skip(str(exc))
    with stack.adopted():
        yield stack
    stack.stop()


def test_tap_before_and_after_the_service_stopped(
    stack: PcscStack, store: FileKeyStore, tmp_path: Path
) -> None:
    """In, then pcscd stops and starts again, then out: card and PSAM are found by themselves."""
    with stack.hand() as hand:
        hand.insert("psam-t", "psam")
        psam = open_psam(f"pcsc:{READER} 00 01", "")
        bench = Bench(tmp_path / "terminal", store, psam)
        bench.desk.chain.journal.close()
        office = Office(bench.clock, bench.identity.public_key)
        with office.open():
            display = Memory()
            parts = Parts(
                reader=open_reader(f"pcsc:{READER} 00 00"),
                psam=psam,
                transport=HttpTransport(office.url, 5),
                display=display,
                rng=random.Random(1),
            )
            program = Program(bench.config, bench.clock, parts)
            thread = threading.Thread(target=program.run)
            thread.start()
            try:
                _day(stack, hand, display, bench)
            finally:
                program.stop()
                thread.join(JOIN_S)
    taps = [e for e in bench.events() if e.type in (EventType.IN, EventType.OUT)]

    assert [tap.type for tap in taps] == [EventType.IN, EventType.OUT]
    assert all(all_hold(store, tap) for tap in taps)
    assert {tap.dpk_idx for tap in taps} == {1}


def _day(stack: PcscStack, hand: Hand, display: Memory, bench: Bench) -> None:
    display.wait_for("在线 ON")
    hand.insert("pos-t", "v01")
    display.wait_for("签到 IN        ")
    hand.remove("pos-t")
    bench.clock.advance(3600)
    display.wait_for("自动 AUTO      10:00")
    stack.stop_pcscd()
    display.wait_for("读卡服务未运行")
    before = display.count
    stack.start_pcscd()
    display.wait_for("请刷卡", before)
    hand.insert("pos-t", "v01")
    display.wait_for("签退 OUT")
    hand.remove("pos-t")
