# SPDX-License-Identifier: Apache-2.0
"""What is stored is a function of the set of events, whatever the order, splits and repeats."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.evidence import LogRecord
from server.ingest.models import Batch, StoredEvent
from server.ingest.verdicts import Verdict
from swipe import merkle
from swipe.event import Event, event_hash
from swipe.receipt import Receipt
from tests.integration.server.rig import Post, Rig

CHAIN = 9
_posts = itertools.count(1)

# Cuts of the chain into batches, plus batches anywhere, all shuffled.
UPLOADS = st.tuples(
    st.sets(st.integers(1, CHAIN - 1), max_size=5),
    st.lists(st.tuples(st.integers(0, CHAIN - 1), st.integers(1, CHAIN)), max_size=4),
    st.randoms(use_true_random=False),
)


def pieces(drawn: tuple[set[int], list[tuple[int, int]], object]) -> list[tuple[int, int]]:
    """Return (first, last) index pairs that together cover the chain, in shuffled order."""
    cuts, extra, random = drawn
    edges = [0, *sorted(cuts), CHAIN]
    cover = list(itertools.pairwise(edges))
    cover += [(first, min(first + length, CHAIN)) for first, length in extra]
    random.shuffle(cover)  # type: ignore[attr-defined]
    return cover


def upload_all(rig: Rig, post: Post, events: Sequence[Event], spans: list[tuple[int, int]]) -> None:
    """Upload the pieces, every second one twice."""
    for number, (first, last) in enumerate(spans, 1):
        body = post.batch(events[first:last], number)
        answer = rig.put(body, number, post.terminal_id)
        assert answer.status == 200
        if number % 2:
            assert rig.put(body, number, post.terminal_id).body == answer.body


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(drawn=UPLOADS)
def test_any_order_gives_the_same_stored_set(sqlite_rig: Rig, drawn: object) -> None:
    """Random orders, splits and repeats end in the same events, prefix and set of leaves."""
    rig, post = sqlite_rig, sqlite_rig.add_post(next(_posts))
    events = post.chain(CHAIN, rig.store)

    upload_all(rig, post, events, pieces(drawn))  # type: ignore[arg-type]

    with rig.database.reading() as session:
        rows = session.execute(
            sa.select(StoredEvent.raw, StoredEvent.verdict, StoredEvent.event_hash)
            .where(StoredEvent.terminal_id == post.terminal_id)
            .order_by(StoredEvent.seq)
        ).all()
        last = session.scalars(
            sa.select(Batch.receipt)
            .where(Batch.terminal_id == post.terminal_id)
            .order_by(Batch.id.desc())
            .limit(1)
        ).one()
    assert [bytes(row.raw) for row in rows] == [event.to_bytes() for event in events]
    assert {row.verdict for row in rows} == {Verdict.OK}
    assert [bytes(row.event_hash) for row in rows] == [event_hash(event) for event in events]
    assert Receipt.from_bytes(last).up_to_seq == CHAIN


def leaves_in_order(rig: Rig) -> list[bytes]:
    """Return every leaf of the log by its number."""
    with rig.database.reading() as session:
        events = session.execute(sa.select(StoredEvent.leaf_index, StoredEvent.event_hash))
        leaves = {index: bytes(leaf) for index, leaf in events}
        assert not session.scalars(sa.select(LogRecord.leaf_index)).all()
    assert sorted(leaves) == list(range(len(leaves)))
    return [leaves[index] for index in range(len(leaves))]


def test_receipt_commits_to_the_log(rig: Rig) -> None:
    """The root in a receipt is the RFC 6962 root over all stored events in order of storing."""
    events = rig.chain(7)
    rig.upload(events[4:], 1)

    receipt = rig.receipt(events[:5], 2)

    leaves = leaves_in_order(rig)
    assert set(leaves) == {event_hash(event) for event in events}
    assert (receipt.log_size, receipt.log_root) == (7, merkle.root(leaves))


@pytest.mark.parametrize("same", [True, False])
def test_concurrent_uploads_of_one_terminal(rig: Rig, same: bool) -> None:
    """Uploads of one terminal at the same time are all answered and stored once."""
    events = rig.chain(24)
    bodies = [rig.batch(events[6 * n : 6 * n + 6], n + 1) for n in range(4)]
    jobs = [(bodies[0], 1)] * 4 if same else [(body, n) for n, body in enumerate(bodies, 1)]
    answers: list[bytes] = []

    def put(body: bytes, number: int) -> None:
        answers.append(rig.put(body, number).body)

    threads = [threading.Thread(target=put, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    stored = 6 if same else 24
    receipts = [Receipt.from_bytes(answer) for answer in answers]
    assert len(receipts) == 4
    assert len(set(answers)) == (1 if same else 4)
    assert len(rig.stored()) == stored
    assert max(receipt.up_to_seq for receipt in receipts) == stored
    assert len(leaves_in_order(rig)) == stored


def test_concurrent_uploads_of_different_terminals(rig: Rig) -> None:
    """Terminals that upload at the same time share one log without a lost or doubled leaf."""
    posts = [rig.add_post(number) for number in range(4)]
    chains = [post.chain(5, rig.store) for post in posts]

    def put(post: Post, events: list[Event]) -> None:
        for number in range(5):
            body = post.batch(events[number : number + 1], number + 1)
            assert rig.put(body, number + 1, post.terminal_id).status == 200

    threads = [threading.Thread(target=put, args=pair) for pair in zip(posts, chains, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    expected = {event_hash(event) for events in chains for event in events}
    assert set(leaves_in_order(rig)) == expected
