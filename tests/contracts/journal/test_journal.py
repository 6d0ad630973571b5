# SPDX-License-Identifier: Apache-2.0
"""The journal's promises, the same on a file and on a simulated disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from swipe.chain import PSAM_STEP_MAX
from swipe.event import Event
from swipe.frames import FILE_HEADER_SIZE, FrameKind, frame
from swipe.kinds import EventType, JournalState, Result
from terminal.errors import JournalForeign, NotSaved
from terminal.journal import Journal, read_only
from terminal.storage import FileStorage, Storage
from tests.contracts.journal.disks import SimulatedDisk
from tests.contracts.journal.frames import (
    HEADER,
    add_note,
    add_tap,
    chain_holds,
    intent_of,
    next_event,
    open_on,
    receipt_for,
    torn,
)
from tests.factories import TERMINAL_ID

Reopen = Callable[[], Storage]


@pytest.fixture(params=["file", "simulated"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Reopen:
    """Open one and the same storage again and again; a header stands in it."""
    if request.param == "file":
        path = tmp_path / "journal"
        Journal.create(path, HEADER)
        return lambda: FileStorage(path)
    disk = SimulatedDisk(HEADER.to_bytes())
    return lambda: disk


def test_events_come_back_by_number(reopen: Reopen) -> None:
    """An event is read back byte for byte, also after a restart."""
    journal = open_on(reopen())
    events = [add_tap(journal) for _ in range(5)]

    again = open_on(reopen())

    assert [again.event(seq) for seq in range(1, 6)] == [e.to_bytes() for e in events]
    assert again.repair.state is JournalState.CLEAN
    assert chain_holds(again)


def test_state_is_what_is_read(reopen: Reopen) -> None:
    """A restart knows exactly what the running program knew."""
    journal = open_on(reopen())
    add_tap(journal)
    add_tap(journal, type=EventType.OUT)
    add_note(journal, EventType.OPEN, mode=3, cfg_ver=4)
    add_note(journal, EventType.CONFIG, kind=3, psam_no=bytes.fromhex("880000000001"))
    journal.add((FrameKind.RECEIPT, receipt_for(journal)))
    add_note(journal, EventType.ACK_ANCHOR, receipt_hash=bytes(32))
    add_tap(journal, card_asn=bytes(10))

    again = open_on(reopen())

    assert again.state == journal.state


def test_unknown_number_is_a_key_error(reopen: Reopen) -> None:
    """Numbers that were never written raise, they do not return something else's bytes."""
    journal = open_on(reopen())
    add_tap(journal)

    for seq in (0, 2):
        with pytest.raises(KeyError):
            journal.event(seq)


def test_open_intent_is_reported(reopen: Reopen) -> None:
    """An INTENT without event stands in the state until an event or ABANDON closes it."""
    journal = open_on(reopen())
    event = next_event(journal)
    journal.add((FrameKind.INTENT, intent_of(event)))

    assert open_on(reopen()).state.intent == intent_of(event)

    journal.add((FrameKind.ABANDON, event.seq.to_bytes(4)))

    assert open_on(reopen()).state.intent is None


def test_torn_event_takes_the_number_of_its_intent(reopen: Reopen) -> None:
    """The event of an open INTENT fits the chain at the INTENT's own place."""
    journal = open_on(reopen())
    add_tap(journal)
    intent = intent_of(next_event(journal))
    journal.add((FrameKind.INTENT, intent))
    again = open_on(reopen())
    again.add_event(torn(intent))

    assert again.state.last_seq == 2
    assert Event.from_bytes(again.event(2)).result == Result.TORN
    assert chain_holds(again)


def test_receipt_moves_what_is_covered(reopen: Reopen) -> None:
    """A receipt covers what it says, and its hash is the next anchor."""
    journal = open_on(reopen())
    for _ in range(3):
        add_tap(journal)
    journal.add((FrameKind.RECEIPT, receipt_for(journal)))
    add_tap(journal)

    state = open_on(reopen()).state

    assert (state.covered, state.unsent, state.events) == (3, 1, 4)
    assert state.receipt is not None
    assert state.anchor == state.receipt.anchor


def test_header_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A file that is no journal is named, not repaired."""
    path = tmp_path / "journal"
    path.write_bytes(b"name,time\n" * 20)

    with pytest.raises(JournalForeign):
        Journal.open(path)

    assert path.read_bytes() == b"name,time\n" * 20


def test_existing_journal_is_never_made_anew(tmp_path: Path) -> None:
    """Creating over a journal fails and leaves it alone."""
    path = tmp_path / "journal"
    Journal.create(path, HEADER)
    content = path.read_bytes()

    with pytest.raises(FileExistsError):
        Journal.create(path, HEADER)

    assert path.read_bytes() == content


def test_full_disk_loses_nothing_and_recovers() -> None:
    """A record that does not fit is refused; what stands before it stays, and later ones fit."""
    disk = SimulatedDisk(HEADER.to_bytes())
    journal = open_on(disk)
    add_tap(journal)
    disk.room = disk.size + 10
    with pytest.raises(NotSaved):
        add_tap(journal)
    disk.room = None
    add_tap(journal)

    assert journal.state.last_seq == 2
    assert not journal.failed
    assert open_on(disk).state == journal.state


def test_failed_sync_blocks_until_recovered() -> None:
    """After a failed sync nothing more is taken until the file was read again."""
    disk = SimulatedDisk(HEADER.to_bytes())
    journal = open_on(disk)
    add_tap(journal)
    disk.sync_fails = True
    with pytest.raises(NotSaved):
        add_tap(journal)
    disk.sync_fails = False
    with pytest.raises(NotSaved):
        journal.add_event(next_event(journal))
    journal.recover()
    add_tap(journal)

    assert chain_holds(journal)


def test_recovery_fails_while_the_disk_does() -> None:
    """Recovering needs a sync that works."""
    disk = SimulatedDisk(HEADER.to_bytes())
    journal = open_on(disk)
    disk.sync_fails = True
    with pytest.raises(NotSaved):
        add_tap(journal)
    with pytest.raises(NotSaved):
        journal.recover()

    assert journal.failed


def test_only_synced_events_count_as_durable(reopen: Reopen) -> None:
    """The number up to which events may leave the terminal follows the syncs."""
    journal = open_on(reopen())
    add_tap(journal)
    journal.add_event(next_event(journal), durable=False)

    assert (journal.durable_seq, journal.state.last_seq) == (1, 2)

    journal.add()

    assert journal.durable_seq == 2


def test_damage_in_the_middle_leaves_a_hole() -> None:
    """One rotten event is lost; those after it are kept and the numbering goes on."""
    disk = SimulatedDisk(HEADER.to_bytes())
    journal = open_on(disk)
    events = [add_tap(journal) for _ in range(4)]
    offset = journal.state.offsets[1]
    disk.content[offset + 100] ^= 0x40

    again = open_on(disk)

    assert again.state.last_seq == 4
    assert again.event(3) == events[2].to_bytes()
    assert (again.state.events, again.repair.cut_bytes) == (3, 0)
    with pytest.raises(KeyError):
        again.event(2)


def test_server_asking_for_a_lost_event_gets_the_rest() -> None:
    """A gap that is a hole here too cannot be filled: what follows counts as covered."""
    disk = SimulatedDisk(HEADER.to_bytes())
    journal = open_on(disk)
    for _ in range(4):
        add_tap(journal)
    disk.content[journal.state.offsets[1] + 100] ^= 0x40
    again = open_on(disk)
    gap = receipt_for(again, status=1, flags=1, up_to_seq=1)
    again.add((FrameKind.RECEIPT, gap))

    assert (again.state.covered, again.state.unsent) == (4, 0)
    assert open_on(disk).state == again.state


def test_server_asking_for_a_kept_event_gets_it_again() -> None:
    """A gap this journal can fill makes everything from it on unsent."""
    disk = SimulatedDisk(HEADER.to_bytes())
    journal = open_on(disk)
    for _ in range(4):
        add_tap(journal)
    journal.add((FrameKind.RECEIPT, receipt_for(journal)))
    journal.add((FrameKind.RECEIPT, receipt_for(journal, status=1, flags=1, up_to_seq=1)))

    assert (journal.state.covered, journal.state.unsent) == (1, 3)


def test_damaged_last_intent_still_names_its_card() -> None:
    """An INTENT with a wrong CRC at the very end is cut, and its card and number are told."""
    disk = SimulatedDisk(HEADER.to_bytes())
    journal = open_on(disk)
    add_tap(journal)
    intent = next_event(journal)
    journal.add((FrameKind.INTENT, intent_of(intent)))
    disk.content[-1] ^= 1  # the last byte of prev

    repair = open_on(disk).repair

    assert repair.state is JournalState.TAIL_CUT
    assert repair.damaged_intent is not None
    assert repair.damaged_intent.card_asn == intent.card_asn
    assert repair.damaged_intent.psam_seq == intent.psam_seq


@pytest.mark.parametrize(
    "fields",
    [
        {"type": EventType.BOOT},
        {"type": EventType.TORN_RESOLVED},
        {"type": 0xEE},
        {"seq": 9},
        {"prev": bytes(32)},
        {"terminal_id": TERMINAL_ID + 1},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_an_intent_that_cannot_be_is_not_taken(fields: dict[str, object]) -> None:
    """A right CRC around impossible fields opens no tap and names no PSAM number."""
    disk = SimulatedDisk(HEADER.to_bytes())
    journal = open_on(disk)
    add_tap(journal)
    wrong = replace(next_event(journal, psam_seq=0xDEAD_BEEF), **fields)  # type: ignore[arg-type]
    disk.content += frame(FrameKind.INTENT, intent_of(wrong))
    again = open_on(disk)

    assert (again.state.intent, again.state.psam_last) == (None, journal.state.psam_last)
    assert add_tap(again).seq == 2


@pytest.mark.parametrize(
    ("step", "taken"), [(1, True), (PSAM_STEP_MAX, True), (PSAM_STEP_MAX + 1, False)]
)
def test_an_unproven_psam_number_moves_only_a_little(step: int, *, taken: bool) -> None:
    """An open INTENT and its torn event move the last number by a bounded step; a proof by any."""
    disk = SimulatedDisk(HEADER.to_bytes())
    journal = open_on(disk)
    known = add_tap(journal).psam_seq
    event = next_event(journal, psam_seq=known + step)
    journal.add((FrameKind.INTENT, intent_of(event)))
    opened = journal.state.psam_last
    journal.add_event(torn(intent_of(event)))
    closed = journal.state.psam_last
    add_tap(journal, psam_seq=known + 5_000)

    assert opened == closed == known + (step if taken else 0)
    assert journal.state.psam_last == known + 5_000
    assert open_on(disk).state == journal.state


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"\x00\x00\x00\xa1" + bytes(4) + b"\x02" + bytes(160),  # of no terminal
        b"\x00\x00\x00\xa1" + bytes(4) + b"\x02" + bytes(20),  # too short
        b"\x00\x00\x00\xe1" + bytes(4) + b"\x01" + bytes(224),  # no INTENT
    ],
)
def test_nothing_is_read_into_rubbish(tail: bytes) -> None:
    """A tail that cannot be our INTENT names no card."""
    disk = SimulatedDisk(HEADER.to_bytes() + tail)

    repair = open_on(disk).repair

    assert repair.damaged_intent is None
    assert disk.size == FILE_HEADER_SIZE


def test_reading_along_changes_nothing(tmp_path: Path) -> None:
    """A reader beside the program sees whole frames and repairs nothing."""
    path = tmp_path / "journal"
    Journal.create(path, HEADER)
    journal = Journal.open(path)
    add_tap(journal)
    with path.open("ab") as file:
        file.write(frame(FrameKind.ABANDON, bytes(4))[:7])
    size = path.stat().st_size

    _, state, repair = read_only(path)

    assert (state.last_seq, repair.state) == (1, JournalState.TAIL_CUT)
    assert path.stat().st_size == size
