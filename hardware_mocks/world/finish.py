# SPDX-License-Identifier: Apache-2.0
"""Heal everything, let everybody talk once, and hold the whole world against the invariants."""

from __future__ import annotations

import sqlalchemy as sa

from hardware_mocks.world import checks, successor, truth
from hardware_mocks.world.book import Book
from hardware_mocks.world.box import Box
from hardware_mocks.world.faults import demand
from hardware_mocks.world.stock import OWNERS, SPARE_CARDS, WRONG_CARD, stock
from hardware_mocks.world.world import World
from server.ingest import settlement
from server.ingest.models import StoredEvent
from server.reconciliation.services import reconcile
from server.timebank.checking import check as check_ledger
from server.timebank.services import post_differences
from swipe.kinds import PROVEN_TYPES, BatchKind, EventType
from terminal.keypad import Key
from terminal.policy import Say

PAUSE_MS = 150_000  # longer than a duplicate, a guardian's word, and a healing journal
# A sound card at a sound terminal ends with one of everything but these.
NO_END = frozenset({Say.AGAIN, Say.CARD_FAULT, Say.MUTE, Say.NOT_SAVED})

# What a receipt itself brings forth waits for the next exchange, unless everything is asked for.
LEFT_OVER = {EventType.ACK_ANCHOR, EventType.TIME_SET, EventType.CONFIG}
_VERDICTS = sa.select(StoredEvent.seq, StoredEvent.verdict, StoredEvent.type).where(
    StoredEvent.terminal_id == sa.bindparam("terminal")
)


def opened(world: World) -> list[Box]:
    """Return the terminals that were ever taken out of their boxes."""
    return [world.boxes[number] for number in sorted(world.used or {0})]


def heal(world: World) -> None:
    """Give every terminal power, disk, line and PSAM, and lay every card down once."""
    for box in opened(world):
        world.unpack(box)
        box.link.down = False
        box.disk.room, box.disk.broken_syncs = None, 0
        box.socket.chip = box.socket.chip or world.psams[box.number]
        successor.finish(world, box)
        if box.running is None:
            box.power_on()
            checks.after_start(world, box)
        demand(box.running is not None, "I14", f"terminal {box.number} does not start")
        box.chores()
        checks.after_step(world, box)
    world.time.pass_ms(PAUSE_MS)
    for card in range(len(OWNERS)):
        boxes = opened(world)
        box = boxes[card % len(boxes)]
        outcome = world.present(box, card, {"do": "tap", "box": box.number})
        demand(outcome is not None, "I14", f"card {card} gets no answer")
        assert outcome is not None
        said = f"{outcome.say.name} {outcome.code}"
        demand(outcome.say not in NO_END, "I14", f"sound card {card} ends with {said}")
        world.time.pass_ms(1_000)
        box.chores()
        checks.after_step(world, box)


def talk(world: World) -> None:
    """Settle and upload once at every terminal; after that both sides agree (I8)."""
    for box in opened(world):
        world.time.pass_ms(PAUSE_MS)
        box.link.deliver_late()
        book = world.book(box)
        box.press(Key.SETTLE)
        problem = box.sync(BatchKind.SETTLEMENT, everything=world.thorough)
        checks.after_step(world, box)
        if book.waived:
            continue  # what may be asked of it was asked after every step
        demand(problem is None, "I8", f"terminal {box.number} cannot upload: {problem}")
        _agreed(world, box)


def _agreed(world: World, box: Box) -> None:
    running, book = box.running, world.book(box)
    assert running is not None
    state = running.journal.state
    held = world.office.held(box.terminal_id)
    for seq, raw in book.events.items():
        if seq > state.covered and book.parsed[seq].type in LEFT_OVER:
            continue
        demand(held.get(seq) == raw, "I8", f"event {seq} is not at the server after a sync")
    strange = {seq for seq in held if seq > book.base} - set(book.events)
    demand(not strange, "I8", f"the server holds {sorted(strange)} that nobody made")
    gap = running.station.uplink.gap_unfilled
    rest = {event.type for seq, event in book.parsed.items() if seq > state.covered}
    allowed = set() if world.thorough else LEFT_OVER
    demand(rest <= allowed and not gap, "I8", "not everything is covered")
    _settled(world, box)


def _settled(world: World, box: Box) -> None:
    """The server counts in each closed period what its CLOSE says (I6)."""
    parsed = world.book(box).parsed
    closes = [seq for seq, event in parsed.items() if event.type == EventType.CLOSE]
    with world.office.database.reading() as session:
        for seq in closes:
            found = settlement.compare(session, box.terminal_id, seq).state
            demand(found == settlement.EQUAL, "I6", f"CLOSE {seq} is {found} at the server")


def judge(world: World) -> None:
    """Hold verdicts, hours and ledger against what truly happened."""
    office = world.office
    office.look_at_the_clock()
    office.drain()
    demand(not office.drained_failures, "I10", "a person could not be derived")
    _verdicts(world)
    if world.thorough:
        _derived_again(world)
    with office.database.reading() as session:
        found = check_ledger(session)
        demand(found.sound, "I11", "; ".join(found.faults))
    orphans = office.database.orphans()
    demand(not orphans, "I11", f"rows that point at nothing: {orphans[:3]}")
    truth.check_hours(world)
    world.phones.judge()
    if world.cardlife is not None:
        world.cardlife.judge()


def _derived_again(world: World) -> None:
    """All people at once and from scratch have the same hours as piece by piece (I3)."""
    now_ms = world.office.clock.utc_ms()
    with world.office.database.writing() as session:
        again = reconcile(session, None, now_ms)
        demand(
            again.new_intervals == again.new_exceptions == 0,
            "I3",
            f"derived from scratch {again.new_intervals} intervals and "
            f"{again.new_exceptions} exceptions differ",
        )
        post_differences(session, None, now_ms)


def _set_apart(book: Book) -> set[bytes]:
    """Return the PSAMs that skipped so many numbers that the server believes none of them."""
    last: dict[bytes, int] = {}
    found = set()
    for event in book.parsed.values():
        if event.type in PROVEN_TYPES:
            before = last.get(event.psam_no)
            if before is not None and event.psam_seq > before + checks.QUARANTINE_FROM:
                found.add(event.psam_no)
            last[event.psam_no] = max(event.psam_seq, before or 0)
    return found


def _verdicts(world: World) -> None:
    """An honest tap is believed, whatever else was handed in (I10)."""
    apart = set().union(*(_set_apart(book) for book in world.books))
    known = set(stock().serials[: len(OWNERS)]) | world.phones.serials
    issued = {stock().serials[card] for card in SPARE_CARDS}
    for box in world.boxes:
        book = world.book(box)
        with world.office.database.reading() as session:
            rows = session.execute(_VERDICTS, {"terminal": box.terminal_id}).all()
        for seq, verdict, kind in rows:
            event = book.parsed.get(seq)
            if event is None or seq in book.verdicts_waived or book.waived:
                continue
            if event.psam_no in apart or event.card_asn == stock().serials[WRONG_CARD]:
                continue
            proven = kind < EventType.OPEN and kind not in truth.UNPROVEN
            wanted = 0 if proven else 7
            if proven and event.card_asn not in known:
                wanted = 4
            if proven and event.card_asn in issued and verdict == 0:
                continue  # registered by then, or not yet
            demand(verdict == wanted, "I10", f"event {seq} of an honest terminal: {verdict}")
