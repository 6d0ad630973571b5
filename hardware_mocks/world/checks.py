# SPDX-License-Identifier: Apache-2.0
"""The cheap form of the invariants, after every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware_mocks.world.book import TAPS, Book
from hardware_mocks.world.box import Box
from hardware_mocks.world.faults import demand
from hardware_mocks.world.stock import SPARE_PSAM, STRANGE_PSAM, psam_number
from swipe import payloads
from swipe.event import Event
from swipe.kinds import CardKind, EventType, JournalState, Result, TamperKind
from terminal.files import JOURNAL
from terminal.policy import Say
from terminal.tap import Outcome
from terminal.uplink import farthest_header, stored_receipt

if TYPE_CHECKING:
    from hardware_mocks.world.world import World

NOT_ACCEPTED = frozenset({Say.NOT_SAVED})
# A second tap within a minute; a second less, because the terminal counts in its own.
DUPLICATE_MS = 59_000
TAIL = 8 * 1024
# A PSAM that skips more is set apart, and none of its taps believed until staff has looked.
QUARANTINE_FROM = 1_000


def after_start(world: World, box: Box) -> None:
    """Hold a new start against everything that was durable before."""
    book = world.book(box)
    if box.running is None:
        return
    if book.waived:
        _begin_again(book, box)
    book.again(box)
    book.last_green.clear()
    _beyond_receipt(box)
    _beyond_what_left(box)


def _beyond_what_left(box: Box) -> None:
    """A number that a batch has carried, on the line or on a stick, is never used again (I2)."""
    running = box.running
    assert running is not None
    header = farthest_header(box.disk, running.journal.state)
    last = running.journal.state.last_seq
    if header is not None:
        demand(last > header.last_seq, "I2", f"event {last} follows a batch with later ones")


def _beyond_receipt(box: Box) -> None:
    """A number that a receipt on the disk confirms is never used again (I2)."""
    running = box.running
    assert running is not None
    found = stored_receipt(box.disk, running.station.passport.server_key, box.terminal_id)
    if found is None:
        return
    receipt = found[0]
    last = running.journal.state.last_seq
    if receipt.missing is None:
        demand(last > receipt.up_to_seq, "I2", f"event {last} follows a receipt for later ones")


def after_step(world: World, box: Box) -> None:
    """Enter what became durable, and hold the terminal against it."""
    running = box.running
    if running is None:
        return
    book = world.book(box)
    fresh = book.take(box)
    _mark(book, box, fresh)
    _holes(book, box, fresh)
    _commits(book, box)
    _receipts(world, book, box)


def heard(world: World, box: Box, card: int, outcome: Outcome) -> None:
    """A light or tone for a tap: its event must be safe already (I1)."""
    event = outcome.event
    if event is None or outcome.say in NOT_ACCEPTED:
        return
    raw = event.to_bytes()
    file = box.disk.grown[JOURNAL]
    safe = bytes(file.content[max(0, file.durable - TAIL) : file.durable])
    demand(raw in safe, "I1", f"{outcome.say.name} for event {event.seq}, which is not durable")
    book = world.book(box)
    book.beeps[event.seq] = card
    world.counted["beeps"] += 1
    green = event.type in TAPS and event.result == Result.OK
    before = book.last_green.get(card)
    if green and before is not None and event.type == EventType.OUT:
        same = before.boot == event.boot and before.seq not in book.voided
        passed = event.up_total_ms - before.up_total_ms
        demand(
            not same or passed >= DUPLICATE_MS,
            "R5",
            f"event {event.seq} is an OUT {passed} ms after event {before.seq}",
        )
    if green:
        book.last_green[card] = event


def expect_hole(world: World, box: Box, counter: int) -> None:
    """Remember that the next number of this PSAM is not the one the terminal waits for.

    By chance it may be: a PSAM one ahead of what a spoilt journal knows, set back by one.
    """
    running = box.running
    if running is not None:
        known = running.desk.psam_seen or running.journal.state.psam_last
        world.book(box).holes_wanted = 0 if counter == known else known


def _begin_again(book: Book, box: Box) -> None:
    """After a rollback or a damage only what the journal holds now can be asked for."""
    running = box.running
    assert running is not None
    held = {}
    for seq in range(1, running.journal.durable_seq + 1):
        try:
            held[seq] = running.journal.event(seq)
        except KeyError:
            continue
    for seq, raw in book.events.items():
        if held.get(seq) not in (None, raw):
            book.forked = True
    book.events = held
    book.parsed = {seq: Event.from_bytes(raw) for seq, raw in held.items()}
    book.commits.clear()
    book.covered = 0
    _forget_told(book, box)
    last = max(held, default=0)
    book.hot_ver = book.parsed[last].hot_ver if last else 0
    book.holes_wanted = 0


def _forget_told(book: Book, box: Box) -> None:
    """Where this start stands in the place of what told of a set clock, nothing tells of it.

    An older disk was put back and nothing beside the journal shows it, or a bad sector at the very
    end took what told: that is a torn write. A start that knows of lost events must know better.
    """
    told, running = box.clock_told, box.running
    assert running is not None
    boot = running.station.chain.boot
    starts = (e for e in book.parsed.values() if e.type == EventType.BOOT and e.boot == boot)
    start = max(starts, key=lambda event: event.seq, default=None)
    if start is None:
        return
    state = payloads.parse(EventType.BOOT, start.payload)["journal_state"]
    if state == JournalState.ROLLED_BACK:
        return
    if told is not None and start.seq <= told[1]:
        box.clock_set, box.clock_told = (boot - 1, told[0]), None
    elif box.clock_set is not None and box.clock_set[0] >= boot:  # a start that is forgotten
        box.clock_set = (boot - 1, box.clock_set[1])


def _mark(book: Book, box: Box, fresh: list[Event]) -> None:
    """Note which events carry evidence of a PSAM that the server cannot believe."""
    for event in fresh:
        if event.card_kind == CardKind.TOKEN:
            continue
        if event.type in TAPS or event.type in (EventType.GUARDIAN, EventType.TRAINING):
            top = book.psam_top.get(event.psam_no, 0)
            if event.psam_seq <= top or event.psam_seq > top + QUARANTINE_FROM:
                book.verdicts_waived.add(event.seq)
            book.psam_top[event.psam_no] = max(top, event.psam_seq)
        if event.psam_no in _strange(box.number):
            book.verdicts_waived.add(event.seq)


def _strange(number: int) -> set[bytes]:
    """Return the PSAMs that are not enrolled to a terminal."""
    own = {number} | ({SPARE_PSAM} if number == 0 else set())
    return {psam_number(psam) for psam in {SPARE_PSAM, STRANGE_PSAM} - own}


def _holes(book: Book, box: Box, fresh: list[Event]) -> None:
    """A PSAM whose number is not the next one is reported after the tap that shows it (I7).

    The report is a note: on a full disk it waits until there is room, which the tap still had.
    """
    if not book.holes_wanted:
        return
    told = any(
        event.type == EventType.TAMPER and event.payload[0] == TamperKind.PSAM_HOLE
        for event in fresh
    )
    if told or any(event.type == EventType.BOOT for event in fresh):
        book.holes_wanted = 0
        return
    if box.disk.room is not None or box.disk.broken_syncs:
        return
    fresh = [event for event in fresh if event.card_kind != CardKind.TOKEN]
    numbers = {e.psam_seq for e in fresh if e.type in TAPS and e.result == Result.OK}
    if book.holes_wanted + 1 in numbers:
        # A cut had left the PSAM one ahead: set back by one, it shows the number waited for.
        book.holes_wanted = 0
        return
    # What is written of a torn tap has the number from before, and asked the PSAM for none.
    last = (Result.TORN, book.holes_wanted)
    shown = [e for e in fresh if e.type in TAPS and (e.result, e.psam_seq) != last]
    demand(not shown, "I7", "a PSAM with another number than the next one was not reported")


def _commits(book: Book, box: Box) -> None:
    """What a card has committed stands in the journal, whatever happened since (I14)."""
    running = box.running
    assert running is not None
    state = running.journal.state
    if not book.commits or running.journal.failed or state.intent is not None:
        return
    known = {(event.card_asn, _psam_seq(event)) for event in book.parsed.values()}
    for commit in book.commits:
        demand(
            book.waived or (commit.asn, commit.psam_seq) in known,
            "I14",
            f"card {commit.card} made PSAM number {commit.psam_seq}, the journal has nothing of it",
        )
    book.commits.clear()


def _psam_seq(event: Event) -> int:
    if event.type == EventType.TORN:
        return int.from_bytes(event.payload[6:10])
    return event.psam_seq


def _receipts(world: World, book: Book, box: Box) -> None:
    """A receipt that the terminal believes means that the server holds all up to it (I4)."""
    running = box.running
    assert running is not None
    covered = running.journal.state.covered
    if covered <= book.covered:
        book.covered = covered
        return
    first = max(book.covered, book.base) + 1  # what a dead box told is not this one's to hold
    held = world.office.held(box.terminal_id, first, covered)
    receipt = running.journal.state.receipt
    missing = None if receipt is None else receipt.missing
    for seq in range(first, covered + 1):
        if missing is not None and seq >= missing.start and seq not in held:
            continue  # the server has said that it misses this and what may follow
        ours = book.events.get(seq)
        # A stick may have brought the server a future that the disk has forgotten.
        unsure = ours is None or book.past_unsure or world.sticks is not None
        if book.waived and seq in held and unsure:
            continue
        same = seq in held and held[seq] == ours
        demand(same, "I4", f"a receipt covers event {seq}: {_told(held, seq)}")
    book.covered = covered


def _told(held: dict[int, bytes], seq: int) -> str:
    return "the server holds another one" if seq in held else "the server does not hold it"
