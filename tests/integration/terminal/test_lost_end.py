# SPDX-License-Identifier: Apache-2.0
"""A journal that has lost its end: what has left or is confirmed is known beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from keys.identity import Identity
from keys.store import FileKeyStore
from swipe import payloads
from swipe.batch import HEADER_SIZE, sign
from swipe.event import Event, event_hash
from swipe.kinds import EventType
from terminal.chain import Chain
from terminal.files import HIGH_WATER, OUTBOX, STICK
from terminal.journal import Journal
from terminal.recover import skip_lost, start_up
from terminal.stick import write_stick
from terminal.storage import Folder
from terminal.uplink import farthest_header, kept_header, stored_receipt
from tests.factories import TERMINAL_ID
from tests.integration.terminal.bench import issue
from tests.integration.terminal.test_uplink import Wire, wire

__all__ = ["wire"]


def started_behind_a_loss(wire: Wire) -> tuple[Chain, Journal]:
    """Start on a journal that has lost its end, beside what else the terminal has kept."""
    journal = Journal.open(wire.bench.journal_path)
    stored = stored_receipt(wire.bench.folder, wire.bench.server_key, TERMINAL_ID)
    header = farthest_header(Folder(wire.bench.folder), journal.state)
    rolled_back_to = skip_lost(journal, stored, header)
    assert not journal.state.device_clock_good
    chain = Chain(
        journal, wire.bench.identity, wire.bench.desk.chain.time, journal.state.boot + 1,
        wire.bench.desk.chain.around,
    )  # fmt: skip
    start_up(chain, bytes(8), rolled_back_to)
    return chain, journal


def test_rolled_back_journal_reuses_no_number(wire: Wire, store: FileKeyStore) -> None:
    """An older copy of the journal: the receipt beside it tells where to go on, and TAMPER why."""
    wire.bench.tap(issue(store, 1))
    old = wire.bench.journal_path.read_bytes()
    wire.bench.tap(issue(store, 2))
    wire.sync()
    held = wire.journal.state.last_seq
    wire.journal.close()
    wire.bench.journal_path.write_bytes(old)
    chain, journal = started_behind_a_loss(wire)
    boot, tamper = [Event.from_bytes(journal.event(seq)) for seq in (held + 1, held + 2)]

    assert (boot.type, boot.boot) == (EventType.BOOT, 1 + 1 + 1000)
    assert payloads.parse(EventType.BOOT, boot.payload)["journal_state"] == 2
    assert payloads.parse(EventType.TAMPER, tamper.payload) == {
        "kind": 2, "expected": held, "found": 4,
    }  # fmt: skip
    again = Journal.open(wire.bench.journal_path)
    assert again.state == journal.state

    wire.bench.desk.chain = chain
    wire.connect()
    wire.sync()
    assert wire.journal.state.unsent == 0
    assert max(wire.office.events) == wire.journal.state.last_seq


def end_lost_after(wire: Wire, store: FileKeyStore, send: Callable[[], object]) -> bytes:
    """Let a tap leave, and a bad sector take it from the journal; return its event."""
    wire.bench.tap(issue(store, 1))
    path = wire.bench.journal_path
    size = path.stat().st_size
    wire.bench.tap(issue(store, 2))
    send()
    lost = wire.journal.event(wire.journal.state.last_seq)
    wire.journal.close()
    path.write_bytes(path.read_bytes()[:size] + bytes(200))
    return lost


def test_numbers_that_went_on_a_stick_are_not_used_again(
    wire: Wire, store: FileKeyStore, tmp_path: Path
) -> None:
    """The same where the batch is on a memory stick that nobody has brought to the server yet."""
    stick = tmp_path / "stick"
    stick.mkdir()
    lost = end_lost_after(
        wire, store, lambda: write_stick(wire.bench.desk.chain, wire.uplink, stick)
    )

    _, journal = started_behind_a_loss(wire)

    seq = Event.from_bytes(lost).seq
    boot = Event.from_bytes(journal.event(seq + 1))
    assert (boot.type, boot.prev) == (EventType.BOOT, event_hash(lost, journal.state.suite))


def test_numbers_that_have_left_are_not_used_again(wire: Wire, store: FileKeyStore) -> None:
    """A bad sector takes the end of a journal whose batch is on its way, its receipt not here."""
    at_server = end_lost_after(
        wire, store, lambda: wire.uplink.exchange(wire.uplink.plan() or pytest.fail("nothing"))
    )
    lost = Event.from_bytes(at_server).seq

    chain, journal = started_behind_a_loss(wire)

    boot = Event.from_bytes(journal.event(lost + 1))
    assert (boot.type, boot.prev) == (EventType.BOOT, event_hash(at_server, journal.state.suite))
    assert Journal.open(wire.bench.journal_path).state == journal.state
    wire.bench.desk.chain = chain
    wire.connect()
    wire.sync()
    assert wire.office.events[lost] == at_server
    assert (wire.journal.state.unsent, wire.uplink.unseen) == (0, 0)


def test_a_header_of_another_terminal_skips_nothing(wire: Wire, store: FileKeyStore) -> None:
    """What a stranger's key has signed, or no key, says nothing about our numbers."""
    wire.bench.tap(issue(store, 1))
    plan = wire.uplink.plan() or pytest.fail("nothing to send")
    path, state = wire.bench.folder / OUTBOX, wire.journal.state
    forged = sign(replace(plan.header, first_seq=99), Identity.from_seed(bytes(32)))
    for raw in (b"", bytes(HEADER_SIZE), forged.to_bytes()):
        path.write_bytes(raw)
        assert kept_header(Folder(wire.bench.folder), state) is None


@pytest.mark.parametrize("name", [OUTBOX, STICK, HIGH_WATER])
def test_rotten_files_beside_the_journal_stop_no_upload(
    wire: Wire, store: FileKeyStore, tmp_path: Path, name: str
) -> None:
    """What a bad sector left of a small file gives no number, and the next start uploads."""
    wire.bench.tap(issue(store, 1))
    (tmp_path / "stick").mkdir()
    write_stick(wire.bench.desk.chain, wire.uplink, tmp_path / "stick")
    wire.sync()
    path = wire.bench.folder / name
    path.write_bytes(b"\xff" * len(path.read_bytes()))
    wire.restart()
    wire.bench.tap(issue(store, 2))

    wire.sync()

    assert wire.journal.state.unsent == 0
    assert wire.journal.state.batch_no < 10
