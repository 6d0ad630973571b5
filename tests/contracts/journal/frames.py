# SPDX-License-Identifier: Apache-2.0
"""Builders of journal content: right in every link, cheap in every proof."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from swipe import payloads
from swipe.event import Event, event_hash, sign
from swipe.frames import FileHeader, FrameKind
from swipe.kinds import EventType, Result
from swipe.receipt import Receipt
from swipe.receipt import sign as sign_receipt
from terminal.journal import Journal
from terminal.storage import Storage
from tests.factories import KEY_ID, TERMINAL_ID, make_event, make_identity

IDENTITY = make_identity()
SERVER = make_identity("server")
HEADER = FileHeader(TERMINAL_ID, KEY_ID, IDENTITY.public_key)
SRV_KEY_ID = 9


def open_on(storage: Storage) -> Journal:
    """Open a journal on a storage that holds at least the header."""
    return Journal(storage, HEADER)


def next_event(journal: Journal, **fields: object) -> Event:
    """Make the event that comes next in this journal."""
    state = journal.state
    values: dict[str, object] = {
        "seq": state.next_seq,
        "prev": state.head,
        "n_in": state.n_in,
        "n_out": state.n_out,
        "psam_seq": state.psam_last + 1,
        "card_ctr": state.next_seq % 65_535,
        "up_s": state.next_seq,
        "utc_s": 1_795_222_800 + state.next_seq,
    }
    return make_event(IDENTITY, **(values | fields))


def intent_of(event: Event) -> bytes:
    """Return the INTENT of a tap: its 160 bytes before the card has answered."""
    open_event = replace(event, tac=bytes(4), mac2=bytes(4), result=Result.TORN)
    return open_event.signed_bytes


def torn(intent: bytes) -> Event:
    """Return the event that an INTENT without answer becomes."""
    return sign(Event.from_signed_bytes(intent), IDENTITY)


def add_tap(journal: Journal, **fields: object) -> Event:
    """Add the two frames of one tap, each made durable."""
    event = next_event(journal, **fields)
    journal.add((FrameKind.INTENT, intent_of(event)))
    journal.add_event(event)
    return event


def add_note(journal: Journal, kind: EventType, /, **payload: int | bytes) -> Event:
    """Add one event of the terminal itself."""
    event = next_event(journal, type=kind, payload=payloads.build(kind, **payload))
    journal.add_event(event)
    return event


def receipt_for(journal: Journal, **fields: object) -> bytes:
    """Return a signed receipt for everything in the journal."""
    state = journal.state
    values: dict[str, object] = {
        "terminal_id": TERMINAL_ID,
        "batch_no": state.batch_no + 1,
        "up_to_seq": state.last_seq,
        "head": state.head,
        "log_size": state.last_seq,
        "log_root": bytes(32),
        "srv_utc_ms": 1_795_222_800_000 + state.last_seq,
        "key_id": SRV_KEY_ID,
        "prev_receipt": state.anchor,
    }
    return sign_receipt(Receipt(**(values | fields)), SERVER).to_bytes()  # type: ignore[arg-type]


def chain_holds(journal: Journal) -> bool:
    """Say whether every event the journal gives links to the one before."""
    events = [journal.event(seq) for seq in range(1, journal.state.last_seq + 1)]
    return all(Event.from_bytes(b).prev == event_hash(a) for a, b in pairwise(events))
