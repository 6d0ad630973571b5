# SPDX-License-Identifier: Apache-2.0
"""Random events of a terminal in random order, pieces, copies and at random times: one result."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.ingest import overview
from server.ingest.models import Batch, Settlement, StoredEvent, StoredRange
from server.ingest.ranges import Run, joined, prefix
from server.terminals.models import Terminal
from swipe.event import Event, event_hash, sign, tap_counts
from swipe.kinds import EventType, ReceiptStatus
from swipe.payloads import build
from swipe.receipt import Receipt
from swipe.receipt import verify as verify_receipt
from tests.factories import make_event, make_tap
from tests.integration.server.rig import NOW_MS, Post, Rig

_posts = itertools.count(1)
QUIET = {"card_kind": 0, "cg_type": 0, "dpk_idx": 0, "card_asn": bytes(10), "psam_no": bytes(6)}
# What each drawn letter makes: taps in and out, one with wrong proofs, one badly signed, a boot,
# and a CLOSE over everything since the last.
KINDS = "ioiowsbc"
RECIPES = st.text(alphabet=KINDS, min_size=1, max_size=14)


def make(rig: Rig, post: Post, recipe: str) -> list[Event]:
    """Make the chain that a recipe says."""
    events: list[Event] = []
    counts, since = [0, 0], 0
    for number, letter in enumerate(recipe, 1):
        fields: dict[str, Any] = post.fields | {"seq": number, "up_s": 60 * number}
        fields |= {"n_in": counts[0], "n_out": counts[1], "card_ctr": number, "psam_seq": number}
        if events:
            fields["prev"] = event_hash(events[-1])
        if letter in "bc":
            kind = EventType.BOOT if letter == "b" else EventType.CLOSE
            payload = build(kind)
            if letter == "c":
                period = events[since:]
                totals = [sum(tap_counts(event)[side] for event in period) for side in (0, 1)]
                span = {"first_seq": since + 1, "last_seq": number - 1}
                payload = build(kind, n_in=totals[0], n_out=totals[1], **span)
                since = number
            fields = {k: v for k, v in fields.items() if k not in ("card_ctr", "psam_seq")}
            event = make_event(post.identity, type=kind, payload=payload, **(fields | QUIET))
        else:
            kind = EventType.OUT if letter == "o" else EventType.IN
            event = make_tap(rig.store, post.identity, type=kind, **fields)
        if letter == "w":
            event = sign(Event(**(event.__dict__ | {"tac": b"wong"})), post.identity)
        if letter == "s":
            event = Event(**(event.__dict__ | {"signature": bytes(64)}))
        events.append(event)
        added = tap_counts(event)
        counts = [counts[0] + added[0], counts[1] + added[1]]
    return events


def deliver(rig: Rig, post: Post, events: Sequence[Event], dice: random.Random) -> None:
    """Upload the chain in random pieces and order, some twice, with pauses, checking receipts."""
    cuts = sorted(dice.sample(range(1, len(events)), dice.randint(0, len(events) - 1)))
    spans = list(itertools.pairwise([0, *cuts, len(events)]))
    spans += [spans[dice.randrange(len(spans))] for _ in range(dice.randint(0, 2))]
    dice.shuffle(spans)
    held: list[Run] = []
    anchor = bytes(8)
    for number, (first, last) in enumerate(spans, 1):
        rig.clock.now_ms += dice.choice([0, 1000, 86_400_000, -60_000])
        answer = rig.put(post.batch(events[first:last], number), number, post.terminal_id)
        assert answer.status == 200, answer.problem
        receipt = Receipt.from_bytes(answer.body)
        held = joined(held, Run(first + 1, last))
        expected = prefix(held)
        assert verify_receipt(receipt, rig.server_identity.public_key)
        assert receipt.head == event_hash(events[last - 1])
        assert (receipt.up_to_seq, receipt.flags) == (expected.up_to, expected.missing)
        assert receipt.status == (ReceiptStatus.GAP if expected.missing else ReceiptStatus.OK)
        assert receipt.prev_receipt == anchor
        anchor = receipt.anchor
        again = rig.put(post.batch(events[first:last], number), number, post.terminal_id)
        assert again.replay
        assert again.body == answer.body


def state(rig: Rig, post: Post) -> dict[str, Any]:
    """Return what is kept of a terminal, but for order and instants of arrival."""
    own = post.terminal_id
    with rig.database.reading() as session:
        columns = (StoredEvent.seq, StoredEvent.type, StoredEvent.proof, StoredEvent.verdict)
        rows = session.execute(
            sa.select(*columns).where(StoredEvent.terminal_id == own).order_by(StoredEvent.seq)
        )
        runs = session.execute(
            sa.select(StoredRange.first_seq, StoredRange.last_seq).where(
                StoredRange.terminal_id == own
            )
        )
        settled = session.execute(
            sa.select(Settlement.close_seq, Settlement.state)
            .where(Settlement.terminal_id == own)
            .order_by(Settlement.close_seq)
        )
        terminal = session.get_one(Terminal, own)
        held = overview.holdings(session)[own]
        last = session.scalar(
            sa.select(Batch.up_to_seq).where(Batch.terminal_id == own).order_by(Batch.id.desc())
        )
        return {
            "events": [tuple(row) for row in rows],
            "runs": [tuple(row) for row in runs],
            "settled": [tuple(row) for row in settled],
            "terminal": (terminal.state, terminal.bad_proofs),
            "holding": (held.up_to, held.missing, held.events, held.forked_from),
            "up_to": last,
        }


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(recipe=RECIPES, seed=st.integers(0, 2**32))
def test_the_state_is_a_function_of_the_set(sqlite_rig: Rig, recipe: str, seed: int) -> None:
    """However the events of a chain come, what is kept is what one upload in order leaves."""
    rig = sqlite_rig
    plain, mixed = rig.add_post(next(_posts)), rig.add_post(next(_posts))
    rig.clock.now_ms = NOW_MS
    whole = rig.put(plain.batch(make(rig, plain, recipe), 1), 1, plain.terminal_id)
    assert whole.status == 200, whole.problem

    events = make(rig, mixed, recipe)
    deliver(rig, mixed, events, random.Random(seed))

    assert state(rig, mixed) == state(rig, plain)
    stored = rig.stored_of([mixed.terminal_id])
    assert stored == {(mixed.terminal_id, each.seq): each.to_bytes() for each in events}
