# SPDX-License-Identifier: Apache-2.0
"""Damage in the middle of a journal, and checkpoints: what is named, kept and trusted."""

from __future__ import annotations

import dataclasses

import pytest

from swipe import payloads
from swipe.event import EVENT_SIZE, sign
from swipe.frames import FrameKind, frame
from swipe.kinds import EventType, JournalState
from terminal import checkpoint
from terminal.errors import NotSaved
from terminal.journal import Journal
from terminal.scan import EVENT_AT, SEARCH_SIZE
from tests.contracts.journal.cuts import sample
from tests.contracts.journal.disks import PAGE, MemoryDisk, SimulatedDisk
from tests.contracts.journal.frames import (
    HEADER,
    IDENTITY,
    add_tap,
    intent_of,
    next_event,
    open_on,
    receipt_for,
)
from tests.factories import make_identity


def test_hole_is_named_and_what_follows_is_kept() -> None:
    """A bad sector gives its place, its lost numbers, and every event behind it."""
    disk = SimulatedDisk(sample(40))
    whole = open_on(disk).state
    disk.bad = {2}
    journal = open_on(disk)

    (hole,) = journal.repair.holes
    assert journal.repair.state is JournalState.HOLE
    assert hole.unreadable
    assert hole.offset < 3 * PAGE <= hole.offset + hole.length
    ((first, last),) = journal.state.lost()
    assert journal.state.last_seq == whole.last_seq
    assert journal.events(last + 1, whole.last_seq)[-1] == journal.event(whole.last_seq)
    with pytest.raises(KeyError):
        journal.event(first)


def test_an_end_that_is_lost_while_running_is_not_numbered_again() -> None:
    """What was durable before a failure and is gone after it keeps its number."""
    disk = SimulatedDisk(HEADER.to_bytes())
    journal = open_on(disk)
    for _ in range(2):
        add_tap(journal)
    lost = journal.durable_seq
    disk.sync_fails = True
    with pytest.raises(NotSaved):
        add_tap(journal)
    disk.sync_fails = False
    del disk.content[journal.state.offsets[lost - 1] + 9 :]

    journal.recover()
    add_tap(journal)

    assert journal.state.last_seq == lost + 1
    assert journal.state.lost() == [(lost, lost)]
    assert open_on(disk).state.last_seq == lost + 1


def test_hole_wider_than_a_search_is_crossed() -> None:
    """Frames behind more garbage than one search holds are still found."""
    content = sample(3)
    first = SimulatedDisk(content[:64])
    journal = open_on(first)
    raw = bytes(first.content) + b"\xff" * (SEARCH_SIZE + 100) + content[64:]
    journal = open_on(SimulatedDisk(raw))

    assert journal.state.last_seq == open_on(SimulatedDisk(content)).state.last_seq
    assert not journal.state.lost()


def test_sector_that_goes_bad_later_costs_its_event_only() -> None:
    """An event that cannot be read any more is lost; those after it are still given."""
    disk = SimulatedDisk(sample(40))
    journal = open_on(disk)
    last = journal.state.last_seq
    disk.bad = {1}
    head = journal.events(1, last)
    tail = journal.events(len(head) + 1, last)

    assert head
    assert tail
    assert len(head) + len(tail) < last
    assert journal.state.lost()


def test_event_that_changed_under_its_crc_is_lost() -> None:
    """A flipped bit in an event is found when it is read back, not by the server."""
    disk = SimulatedDisk(sample(4))
    journal = open_on(disk)
    disk.content[journal.state.offsets[1] + 50] ^= 1

    with pytest.raises(KeyError):
        journal.event(2)


def test_unreadable_end_is_left_alone() -> None:
    """An end that cannot be read is not cut: writing goes on behind it, with unused numbers."""
    content = sample(40)
    disk = SimulatedDisk(content)
    known = open_on(disk).state.last_seq
    disk.bad = {len(content) // PAGE}
    journal = open_on(disk)
    event = add_tap(journal)

    assert len(disk.content) > len(content)
    assert event.seq > known
    assert open_on(disk).state == journal.state
    disk.bad = set()
    assert open_on(disk).state.last_seq == event.seq, "and if it comes back, nothing collides"
    assert open_on(disk).event(known)


def test_start_goes_on_from_a_checkpoint() -> None:
    """A start from a checkpoint gives the state that reading everything gives."""
    disk = SimulatedDisk(sample(30))
    journal = open_on(disk)
    mark = journal.checkpoint()
    add_tap(journal)
    journal.add((FrameKind.RECEIPT, receipt_for(journal)))
    journal.add((FrameKind.INTENT, intent_of(next_event(journal))))
    again = Journal(disk, HEADER, mark)

    assert again.repair.frames == 4
    assert again.state == journal.state
    assert again.state == open_on(disk).state


def test_checkpoint_holds_every_field() -> None:
    """Writing and reading a checkpoint loses no field of the state, an open INTENT included."""
    disk = SimulatedDisk(sample(9))
    journal = open_on(disk)
    journal.add((FrameKind.INTENT, intent_of(next_event(journal))))
    found = checkpoint.load(journal.checkpoint(), HEADER, disk)

    assert found is not None
    for item in dataclasses.fields(journal.state):
        assert getattr(found[0], item.name) == getattr(journal.state, item.name), item.name


@pytest.mark.parametrize("at", [0, 8, 20, 41, 60, 115, -1])
def test_damaged_checkpoint_is_not_used(at: int) -> None:
    """Any flipped bit makes the start read the whole journal."""
    disk = SimulatedDisk(sample(9))
    mark = bytearray(open_on(disk).checkpoint())
    mark[at] ^= 1

    assert checkpoint.load(bytes(mark), HEADER, disk) is None
    assert Journal(disk, HEADER, bytes(mark)).state == open_on(disk).state


def test_checkpoint_of_another_past_is_not_used() -> None:
    """A checkpoint newer than the journal, or of other events, is left aside."""
    disk = SimulatedDisk(sample(9))
    mark = open_on(disk).checkpoint()
    older = SimulatedDisk(bytes(disk.content[:-300]))
    other = SimulatedDisk(HEADER.to_bytes())
    journal = open_on(other)
    while other.size < disk.size:
        add_tap(journal, activity=99)

    assert checkpoint.load(mark, HEADER, older) is None
    assert checkpoint.load(mark, HEADER, other) is None


def test_long_journal_leaves_a_checkpoint() -> None:
    """A start that had to read much writes a checkpoint; the next start reads what came after."""
    disk = MemoryDisk()
    Journal.begin(disk, HEADER)
    content = frame(FrameKind.ABANDON, bytes(4)) * 20_000
    journal = Journal.on(disk)
    add_tap(journal)
    disk.open("journal.yika").append(content)

    assert Journal.on(disk).repair.frames == 20_002
    assert Journal.on(disk).repair.frames == 0


def changed(content: bytes, taps: int) -> tuple[SimulatedDisk, tuple[bytes, ...]]:
    """Add two changes of key with taps behind each; return the disk and the later keys."""
    disk = SimulatedDisk(content)
    journal = open_on(disk)
    later = (make_identity("second"), make_identity("third"))
    old = IDENTITY
    for fresh in later:
        payload = payloads.build(EventType.KEY_ROTATE, public_key=fresh.public_key)
        told = next_event(journal, type=EventType.KEY_ROTATE, payload=payload)
        journal.add_event(sign(told, old))
        old = fresh
        for _ in range(taps):
            journal.add_event(sign(next_event(journal), fresh))
    return disk, tuple(fresh.public_key for fresh in later)


@pytest.mark.parametrize("page", range(5))
def test_lost_change_of_key_costs_its_page_only(page: int) -> None:
    """Where the event that tells of a new key is unreadable, what that key signed is kept."""
    disk, later = changed(sample(10), taps=30)
    whole = Journal(disk, HEADER, None, later)
    lost = _numbers_in(whole, page)
    disk.bad = {page}
    journal = Journal(disk, HEADER, None, later)

    assert disk.size > page * PAGE
    assert journal.state.last_seq >= whole.state.last_seq
    for seq in range(1, whole.state.last_seq + 1):
        if seq not in lost:
            assert journal.event(seq) == whole.event(seq)
    assert journal.goes_on_with(later[-1])


def _numbers_in(journal: Journal, page: int) -> set[int]:
    """Return the numbers of the events whose frames touch a page."""
    starts = {seq: journal.state.offsets[seq - 1] for seq in range(1, journal.state.last_seq + 1)}
    first, last = page * PAGE, (page + 1) * PAGE
    return {seq for seq, at in starts.items() if at < last and at + EVENT_AT + EVENT_SIZE > first}


def test_older_journal_goes_on_with_a_later_key_of_the_terminal() -> None:
    """A journal from before the change is the terminal's; with a stranger's key it is not."""
    content = sample(10)
    _, later = changed(content, taps=1)
    journal = Journal(SimulatedDisk(content), HEADER, None, later)

    assert not journal.goes_on_with(make_identity("stranger").public_key)
    assert journal.goes_on_with(later[-1])
    assert journal.state.public_keys == [IDENTITY.public_key, later[-1]]
    journal.recover()
    assert journal.state.public_keys == [IDENTITY.public_key, later[-1]]
    assert not open_on(SimulatedDisk(content)).goes_on_with(later[-1]), "nobody told of it"
