# SPDX-License-Identifier: Apache-2.0
"""A start after the worst: an image put back, an end that cannot be read, a disk in memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from keys.store import FileKeyStore
from swipe import payloads
from swipe.event import Event
from swipe.frames import FileHeader, FrameKind
from swipe.kinds import BootCause, EventType, JournalState, TamperKind
from terminal.config import Config, TerminalSection
from terminal.errors import Unreachable
from terminal.files import IDENTITY, JOURNAL
from terminal.journal import Journal
from terminal.recover import BOOT_SKIP, write_recovered
from terminal.station import open_station
from terminal.stick import NoNetwork
from terminal.tap import present
from terminal.transport import Request
from tests.contracts.journal.disks import PAGE, MemoryDisk
from tests.factories import KEY_ID
from tests.integration.terminal.bench import (
    Bench,
    connect,
    hardware_psam,
    issue,
    keys_in,
    software_psam,
)

LOG_RECORD = bytes.fromhex("0003000000000000000900112233445520261121090000")


def memory_bench(bench: Bench) -> tuple[MemoryDisk, Config]:
    """The files of an enrolled terminal in memory; the configuration names no folder."""
    disk = MemoryDisk()
    header = FileHeader(bench.terminal_id, KEY_ID, bench.identity.public_key)
    Journal.begin(disk, header)
    disk.create(IDENTITY, (bench.folder / IDENTITY).read_bytes())
    bench.passport.save(disk)
    return disk, Config(terminal=TerminalSection(name="gate", data_dir="/nowhere"))


def payload_of(events: list[Event], kind: EventType) -> list[dict[str, int | bytes]]:
    """Payloads of all events of a type."""
    return [payloads.parse(kind, event.payload) for event in events if event.type == kind]


def test_station_needs_no_real_disk(bench: Bench, store: FileKeyStore) -> None:
    """Given another disk, a whole station starts and taps without touching its folder."""
    disk, config = memory_bench(bench)
    station = open_station(config, bench.clock, NoNetwork(), bench.psam, disk=disk)
    desk = station.desk(bench.psam, training=False)
    outcome = present(desk, connect(issue(store, 1)))
    again = open_station(config, bench.clock, NoNetwork(), bench.psam, disk=disk)

    assert outcome.decided
    assert station.journal.state.last_seq + 1 == again.journal.state.last_seq
    assert again.journal.state.boot == 2
    assert not Path("/nowhere").exists()
    with pytest.raises(Unreachable):
        NoNetwork().send(Request("GET", "/"))


def test_image_put_back_shows_in_the_psam(tmp_path: Path) -> None:
    """Where all on the disk is old, the PSAM is not: its number tells, at the first tap."""
    store = keys_in(tmp_path)
    bench = Bench(tmp_path / "terminal", store, hardware_psam(store))
    card = issue(store, 1)
    bench.tap(card)
    shutil.copytree(bench.folder, tmp_path / "image")
    for _ in range(3):
        bench.clock.advance(3_600)
        bench.tap(card)
    shutil.rmtree(bench.folder)
    shutil.copytree(tmp_path / "image", bench.folder)
    desk = bench.start()
    bench.clock.advance(3_600)
    bench.tap(card)
    desk.write_notes()

    (told,) = payload_of(bench.events(), EventType.TAMPER)
    assert told["kind"] == TamperKind.PSAM_HOLE
    assert (told["expected"], told["found"]) == (2, 5)


def test_unreadable_end_costs_no_number_twice(bench: Bench, store: FileKeyStore) -> None:
    """Behind an end that cannot be read, neither an event's number nor a start's is used again."""
    disk, config = memory_bench(bench)
    card = issue(store, 1)
    used: set[tuple[int, int]] = set()
    for _ in range(14):
        station = open_station(config, bench.clock, NoNetwork(), bench.psam, disk=disk)
        present(station.desk(bench.psam, training=False), connect(card))
        state = station.journal.state
        used |= {(seq, state.boot) for seq in range(1, state.last_seq + 1)}
        bench.clock.advance(3_600)
    last = station.journal.state
    storage = disk.growing[JOURNAL]
    storage.bad = {storage.size // PAGE}
    again = open_station(config, bench.clock, NoNetwork(), bench.psam, disk=disk)
    boot = Event.from_bytes(again.journal.event(again.journal.state.last_seq))

    assert boot.seq > last.last_seq
    assert boot.boot > last.boot
    assert boot.boot >= BOOT_SKIP
    assert payloads.parse(EventType.BOOT, boot.payload)["journal_state"] == JournalState.HOLE


def test_boot_tells_restart_from_power_on(bench: Bench) -> None:
    """A start whose uptime goes on is a restart of the program; one that begins anew is not."""
    bench.clock.advance(5)
    bench.start()
    (first, second) = payload_of(bench.events(), EventType.BOOT)

    assert (first["cause"], second["cause"]) == (BootCause.POWER_ON, BootCause.RESTART)


def test_log_entries_are_recorded_oldest_first(bench: Bench) -> None:
    """Entries of a card's log become RECOVERED events of the card, durable, in order of time."""
    chain = bench.desk.chain
    asn = bytes.fromhex("00005949000000000007")
    older = bytes.fromhex("0002") + LOG_RECORD[2:]
    entries = [
        {"index": 4, "record": LOG_RECORD.hex()},
        {"index": 5, "record": older.hex()},
    ]
    write_recovered(chain, asn, entries)
    found = [event for event in bench.events() if event.type == EventType.RECOVERED]

    assert [event.card_asn for event in found] == [asn, asn]
    values = payload_of(found, EventType.RECOVERED)
    assert [(v["index"], v["log_record"]) for v in values] == [(5, older), (4, LOG_RECORD)]
    assert chain.journal.durable_seq == chain.journal.state.last_seq
    assert bench.frames(FrameKind.INTENT) == []


@pytest.mark.parametrize(
    "entry",
    [
        {"index": 0, "record": LOG_RECORD.hex()},
        {"index": 31, "record": LOG_RECORD.hex()},
        {"index": 1, "record": "00"},
        {"index": 1, "record": "no hex"},
        {"record": LOG_RECORD.hex()},
        {"index": None, "record": LOG_RECORD.hex()},
    ],
)
def test_strange_entries_are_not_recorded(bench: Bench, entry: dict[str, object]) -> None:
    """What cannot be an entry of a card's log makes no event, nor do those that came with it."""
    before = bench.desk.chain.journal.state.last_seq
    good = {"index": 2, "record": LOG_RECORD.hex()}
    with pytest.raises((ValueError, KeyError, TypeError)):
        write_recovered(bench.desk.chain, bytes(10), [good, entry])

    assert bench.desk.chain.journal.state.last_seq == before


def test_software_psam_is_told_as_one(tmp_path: Path, store: FileKeyStore) -> None:
    """Every tap with a software PSAM says so in bit 7 of its key index."""
    bench = Bench(tmp_path / "terminal", store, software_psam(tmp_path, store))
    outcome = bench.tap(issue(store, 1))

    assert outcome.event is not None
    assert outcome.event.dpk_idx & 0x80
