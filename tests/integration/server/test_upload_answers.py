# SPDX-License-Identifier: Apache-2.0
"""Every answer to an upload, and what is stored with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from server.ingest.models import RefusedBatch, StoredEvent
from server.ingest.verdicts import Verdict
from server.terminals.models import Terminal, TerminalKey
from swipe import batch as batches
from swipe import payloads
from swipe import receipt as receipts
from swipe.batch import BatchHeader
from swipe.event import event_hash
from swipe.kinds import EventType, ReceiptStatus
from swipe.receipt import Receipt
from tests.factories import KEY_ID, TERMINAL_ID, make_identity
from tests.integration.server.rig import NOW_MS, Rig, resigned


def header_changed(rig: Rig, body: bytes, **changes: int) -> bytes:
    """Return a batch with header fields changed and the header signed again."""
    header = replace(BatchHeader.from_bytes(body[:192]), **changes)
    return batches.sign(header, rig.terminal_identity).to_bytes() + body[192:]


def test_first_upload_is_stored_and_receipted(rig: Rig) -> None:
    """An upload of taps with true proofs is stored and answered with a valid signed receipt."""
    events = rig.chain(3)

    answer = rig.upload(events)

    receipt = Receipt.from_bytes(answer.body)
    assert answer.status == 200
    assert receipts.verify(receipt, rig.server_identity.public_key)
    assert (receipt.status, receipt.up_to_seq, receipt.flags) == (ReceiptStatus.OK, 3, 0)
    assert receipt.head == event_hash(events[-1])
    assert (receipt.terminal_id, receipt.batch_no, receipt.srv_utc_ms) == (TERMINAL_ID, 1, NOW_MS)
    assert rig.stored() == {event.seq: event.to_bytes() for event in events}
    assert set(rig.verdicts().values()) == {Verdict.OK}


def test_last_byte_of_a_payload_is_not_stored_as_a_result(rig: Rig) -> None:
    """A system event has no result, whatever the last byte of its payload is."""
    tap = rig.chain(1)[0]
    payload = payloads.build(EventType.ACK_ANCHOR, receipt_hash=bytes(31) + b"\xf5")
    anchor = rig.chain_after(tap, payload, type=EventType.ACK_ANCHOR)

    rig.upload([tap, anchor])

    with rig.database.reading() as session:
        stored = session.execute(sa.select(StoredEvent.type, StoredEvent.result))
        results = {row.type: row.result for row in stored}

    assert results == {EventType.IN: 0, EventType.ACK_ANCHOR: 0}


def test_replay_gets_the_identical_receipt(rig: Rig) -> None:
    """The same batch again, later, is answered byte for byte and stores nothing twice."""
    body = rig.batch(rig.chain(2))
    first = rig.put(body)
    rig.clock.now_ms += 86_400_000

    again = rig.put(body)

    assert again.replay
    assert (again.status, again.body) == (200, first.body)
    assert len(rig.stored()) == 2


def test_receipts_chain_and_log_grows(rig: Rig) -> None:
    """Each receipt points at the one before and the log counts every stored event once."""
    events = rig.chain(4)

    first = rig.receipt(events[:2], 1)
    second = rig.receipt(events[1:], 2)

    assert second.prev_receipt == first.anchor
    assert second.log_size - first.log_size == 2


def test_replay_of_a_revoked_terminal_is_still_answered(rig: Rig) -> None:
    """What was acknowledged once stays acknowledged after the terminal is revoked."""
    body = rig.batch(rig.chain(1))
    first = rig.put(body)
    with rig.database.writing() as session:
        session.execute(sa.update(TerminalKey).values(revoked_ms=NOW_MS))

    assert rig.put(body).body == first.body


def test_gap_is_accepted_and_asked_for(rig: Rig) -> None:
    """Events after a missing range are stored; the receipt names the range."""
    events = rig.chain(10)
    rig.upload(events[:2], 1)

    receipt = rig.receipt(events[6:], 2)

    assert (receipt.status, receipt.up_to_seq, receipt.flags) == (ReceiptStatus.GAP, 2, 4)
    assert sorted(rig.stored()) == [1, 2, 7, 8, 9, 10]


def test_filled_gap_moves_the_prefix(rig: Rig) -> None:
    """When the missing range arrives the unbroken prefix reaches the end of what is stored."""
    events = rig.chain(6)
    rig.upload(events[4:], 1)
    rig.upload(events[:2], 2)

    receipt = rig.receipt(events[2:4], 3)

    assert (receipt.status, receipt.up_to_seq) == (ReceiptStatus.OK, 6)


def test_unknown_terminal_is_refused(rig: Rig) -> None:
    """A terminal that nobody enrolled gets 401."""
    assert rig.put(rig.batch(rig.chain(1)), terminal_id=5).status == 401


def test_terminal_not_approved_is_refused(rig: Rig) -> None:
    """A terminal that is not approved yet gets 401."""
    with rig.database.writing() as session:
        session.execute(sa.update(Terminal).values(state="pending"))

    assert rig.upload(rig.chain(1)).status == 401


def test_revoked_key_is_refused(rig: Rig) -> None:
    """A batch under a revoked key gets 401 and nothing is stored."""
    with rig.database.writing() as session:
        session.execute(
            sa.update(TerminalKey).where(TerminalKey.id == KEY_ID).values(revoked_ms=NOW_MS)
        )

    assert rig.upload(rig.chain(1)).status == 401
    assert rig.stored() == {}


def test_wrong_header_signature_is_refused(rig: Rig) -> None:
    """A header signed by another key gets 401."""
    header = BatchHeader.from_bytes(rig.batch(rig.chain(1))[:192])
    body = rig.batch(rig.chain(1))
    forged = batches.sign(header, make_identity("stranger")).to_bytes() + body[192:]

    answer = rig.put(forged)

    assert answer.status == 401
    assert answer.problem is not None
    assert answer.problem.kind == "header-signature"


def test_reused_number_is_refused_and_kept(rig: Rig) -> None:
    """Another content under a known number gets 409 and is kept; its events may come later."""
    events = rig.chain(3)
    rig.upload(events[:1], 1)

    answer = rig.upload(events[1:], 1)

    assert answer.status == 409
    with rig.database.reading() as session:
        kept = session.scalars(sa.select(RefusedBatch.body)).all()
    assert [bytes(body) for body in kept] == [rig.batch(events[1:], 1)]
    assert rig.receipt(events[1:], 2).up_to_seq == 3


@pytest.mark.parametrize("length", [0, 191, 192, 415, 417, 192 + 224 * 1001])
def test_wrong_length_is_refused(rig: Rig, length: int) -> None:
    """A body that cannot be 1 to 1000 whole events gets 413 before anything is computed."""
    assert rig.put(bytes(length)).status == 413


def test_count_other_than_the_length_is_refused(rig: Rig) -> None:
    """A header that counts other than the body is long gets 413."""
    body = rig.batch(rig.chain(2))

    assert rig.put(body[:-224]).status == 413


@pytest.mark.parametrize(
    ("field", "value"),
    [("kind", 0), ("kind", 9), ("flags", 0x8000), ("terminal_id", 5), ("batch_no", 2)],
)
def test_header_field_out_of_place_is_refused(rig: Rig, field: str, value: int) -> None:
    """A validly signed header with a value that does not belong there gets 422."""
    body = header_changed(rig, rig.batch(rig.chain(1)), **{field: value})

    answer = rig.put(body)

    assert answer.status == 422
    assert answer.problem is not None
    assert answer.problem.facts["field"] == field


def test_unknown_version_is_refused(rig: Rig) -> None:
    """A batch of a version this server does not read gets 422."""
    assert rig.put(header_changed(rig, rig.batch(rig.chain(1)), ver=2)).status == 422


def test_flipped_bit_in_an_event_is_refused_and_the_true_batch_accepted(rig: Rig) -> None:
    """A bit flipped on the way gets 422; the same number with the true bytes is stored after."""
    body = bytearray(rig.batch(rig.chain(2)))
    body[192 + 300] ^= 1

    assert rig.put(bytes(body)).status == 422
    assert rig.put(rig.batch(rig.chain(2))).status == 200


def test_flipped_bit_in_a_known_batch_does_not_count_as_reuse(rig: Rig) -> None:
    """A damaged repetition of a known batch gets 422, not 409, and no evidence is kept."""
    body = bytearray(rig.batch(rig.chain(2)))
    rig.put(bytes(body))
    body[192 + 300] ^= 1

    assert rig.put(bytes(body)).status == 422
    with rig.database.reading() as session:
        assert session.scalars(sa.select(RefusedBatch.batch_no)).all() == []


def test_broken_chain_is_refused(rig: Rig) -> None:
    """Events whose links do not hold get 422 although header and root fit them."""
    events = rig.chain(3)
    events[1] = resigned(events[1], rig.terminal_identity, site=9)

    answer = rig.upload(events)

    assert answer.status == 422
    assert answer.problem is not None
    assert answer.problem.facts["faults"] == ["chain"]


def test_chain_that_starts_elsewhere_is_refused(rig: Rig) -> None:
    """Event number 1 that does not hang on the enrolled key gets 422."""
    events = rig.chain(1, changes=[{"prev": bytes(32)}])

    answer = rig.upload(events)

    assert answer.status == 422
    assert answer.problem is not None
    assert answer.problem.kind == "chain-start"


def test_fork_is_refused_kept_and_sets_the_terminal_apart(rig: Rig) -> None:
    """A second content for a stored number gets 422, is kept, and quarantines the terminal."""
    events = rig.chain(3)
    rig.upload(events, 1)
    other = rig.chain(1, start=events[0], changes=[{"site": 9, "psam_seq": 2, "card_ctr": 1}])

    answer = rig.upload(other, 2)

    assert answer.status == 422
    assert answer.problem is not None
    assert (answer.problem.kind, answer.problem.facts["seq"]) == ("fork", 2)
    assert rig.forks() == [(2, "fork")]
    assert rig.terminal().state == "quarantined"
    assert len(rig.stored()) == 3


def test_link_that_contradicts_a_stored_event_is_a_fork(rig: Rig) -> None:
    """An event that continues another history than the stored one is kept as a fork."""
    events = rig.chain(2)
    rig.upload(events, 1)
    branch = rig.chain(1, start=events[0], changes=[{"site": 9}])
    after = rig.chain(1, start=branch[0])

    assert rig.upload(after, 2).status == 422
    assert rig.forks() == [(3, "fork")]


def test_link_that_a_later_stored_event_contradicts_is_a_fork(rig: Rig) -> None:
    """An event that fills a gap but is not what the next stored one continues is a fork."""
    events = rig.chain(3)
    rig.upload(events[:1], 1)
    rig.upload(events[2:], 2)
    other = rig.chain(1, start=events[0], changes=[{"site": 9}])

    assert rig.upload(other, 3).status == 422
    assert rig.forks() == [(2, "fork")]


def test_events_after_a_fork_are_stored_but_marked(rig: Rig) -> None:
    """After a fork uploads are still stored; nothing from the fork on is believed."""
    events = rig.chain(4)
    rig.upload(events[:2], 1)
    rig.upload(rig.chain(1, start=events[0], changes=[{"site": 9}]), 2)

    assert rig.upload(events[2:], 3).status == 200
    assert rig.verdicts() == {
        1: Verdict.OK, 2: Verdict.OK, 3: Verdict.FORKED, 4: Verdict.FORKED,
    }  # fmt: skip


def test_overlap_is_stored_once(rig: Rig) -> None:
    """Batches that overlap store every event once."""
    events = rig.chain(5)
    rig.upload(events[:3], 1)

    assert rig.receipt(events[1:], 2).up_to_seq == 5
    assert sorted(rig.stored()) == [1, 2, 3, 4, 5]


def test_one_bad_event_blocks_nobody_else(rig: Rig) -> None:
    """An event whose own signature is wrong is stored with its verdict, the others as they are."""
    events = rig.chain(1)
    bad = replace(rig.chain(1, start=events[0])[0], signature=bytes(64))
    events += [bad, *rig.chain(1, start=bad, changes=[{"psam_seq": 3, "card_ctr": 3}])]

    assert rig.upload(events).status == 200
    assert rig.verdicts() == {1: Verdict.OK, 2: Verdict.BAD_SIGNATURE, 3: Verdict.OK}
