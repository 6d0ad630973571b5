# SPDX-License-Identifier: Apache-2.0
"""The offline verifier on batches, receipts, totals and values."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest

from swipe.event import Event
from swipe.findings import FINDINGS_KEPT, FindingKind
from swipe.frames import FILE_HEADER_SIZE, JOURNAL, FrameKind, frame
from swipe.kinds import EventType, ReceiptStatus, Result
from swipe.payloads import build
from swipe.receipt import Receipt
from swipe.verify import CHUNK_EVENTS, PROGRESS_STEP, verify_stream
from tests.factories import (
    event_frames,
    make_batch,
    make_chain,
    make_file,
    make_identity,
    make_receipt,
)
from tests.unit.swipe.damage import BODY_AT, FRAME_SIZE, check, fault_kinds, flip

K = FindingKind
IDENTITY = make_identity()
SERVER = make_identity("server")
CHAIN = make_chain(6, IDENTITY)
FRAMES = event_frames(CHAIN)


def _batch_file(events: list[Event], *, cut: int = 3) -> bytes:
    parts = [events[:cut], events[cut:]]
    bodies = [make_batch(part, IDENTITY, batch_no=i + 1) for i, part in enumerate(parts) if part]
    return make_file([frame(FrameKind.BATCH, body) for body in bodies])


# --- batches -----------------------------------------------------------------------------------


def test_a_clean_export_of_batches_is_clean() -> None:
    """Batches are checked as wholes and event by event; overlap with events is no fault."""
    report = check(_batch_file(CHAIN))
    body = make_batch(CHAIN[2:], IDENTITY, batch_no=7)
    overlapping = check(make_file([*FRAMES, frame(FrameKind.BATCH, body)]))

    assert report.clean
    assert (report.events, report.batches) == (6, 2)
    assert overlapping.clean


def _rebatched(events: list[Event], like: bytes) -> bytes:
    return like[:192] + b"".join(event.to_bytes() for event in events)


BATCH = make_batch(CHAIN, IDENTITY)


@pytest.mark.parametrize("at", range(192 + 224, 192 + 448, 3))
@pytest.mark.parametrize("mended", [False, True])
def test_a_flip_inside_a_batch(at: int, *, mended: bool) -> None:
    """A flip in a batch is the event's fault, and told as such."""
    whole = frame(FrameKind.BATCH, BATCH)
    flipped = frame(FrameKind.BATCH, flip(BATCH, at)) if mended else flip(whole, at + BODY_AT)
    signature = at - 192 - 224 >= 160 and not mended

    expected = K.SIGNATURE_BAD if signature else K.CONTENT_ALTERED
    assert fault_kinds(make_file([flipped])) == {expected}


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        ([0, 1, 3, 4, 5], K.COUNTER_GAP),
        ([0, 2, 1, 3, 4, 5], K.LINKAGE_BROKEN),
        ([0, 1, 2, 3, 4], K.BATCH_BAD),
    ],
)
def test_other_damage_inside_a_batch(order: list[int], kind: FindingKind) -> None:
    """Removed, swapped and cut-off events of a batch have the verdicts of a journal."""
    body = _rebatched([CHAIN[i] for i in order], BATCH)

    assert fault_kinds(make_file([frame(FrameKind.BATCH, body)])) == {kind}


@pytest.mark.parametrize("at", range(0, 192, 7))
def test_a_flip_in_a_batch_header(at: int) -> None:
    """A flipped header is a bad batch; its events stand by themselves."""
    report = check(make_file([frame(FrameKind.BATCH, flip(BATCH, at))]))

    assert set(report.faults) == {K.BATCH_BAD}
    assert report.events == 6


# --- receipts ----------------------------------------------------------------------------------


def _with_receipts(receipts: list[Receipt], frames: list[bytes] | None = None) -> bytes:
    frames = FRAMES if frames is None else frames
    return make_file(frames + [frame(FrameKind.RECEIPT, one.to_bytes()) for one in receipts])


FIRST = make_receipt(make_batch(CHAIN[:3], IDENTITY), SERVER)
SECOND = make_receipt(make_batch(CHAIN[3:], IDENTITY, batch_no=2), SERVER, before=FIRST)


def test_good_receipts_are_counted() -> None:
    """Receipts that follow each other are clean; a repetition is none."""
    report = check(_with_receipts([FIRST, FIRST, SECOND]), server_key=SERVER.public_key)

    assert report.clean
    assert report.findings == []
    assert report.receipts == 2


def test_without_the_servers_key_the_report_says_so() -> None:
    """What could not be checked is a remark, not a fault."""
    report = check(_with_receipts([FIRST, SECOND]))

    assert report.clean
    assert [finding.kind for finding in report.findings] == [K.NOT_CHECKED]


@pytest.mark.parametrize(
    ("receipts", "text"),
    [
        ([FIRST, make_receipt(make_batch(CHAIN[3:]), SERVER)], "does not follow"),
        ([dataclasses.replace(FIRST, log_size=9)], "not the server's"),
        ([make_receipt(make_batch(CHAIN[:3]), SERVER, terminal_id=5)], "belongs to terminal"),
        (
            [FIRST, make_receipt(make_batch(CHAIN[3:]), SERVER, before=FIRST, srv_utc_ms=1)],
            "goes back",
        ),
        (
            [make_receipt(make_batch(CHAIN[:3]), SERVER, head=bytes(32))],
            "not in the file",
        ),
    ],
)
def test_bad_receipts_are_named(receipts: list[Receipt], text: str) -> None:
    """Signature, terminal, chain, time and head of a receipt are each checked."""
    report = check(_with_receipts(receipts), server_key=SERVER.public_key)

    assert report.faults == {K.RECEIPT_BAD: 1}
    assert text in report.findings[0].en


def test_a_cut_off_tail_is_known_by_its_receipt() -> None:
    """Records cut off the end leave no trace in the chain, but in the receipt that names them."""
    assert fault_kinds(_with_receipts([FIRST, SECOND], FRAMES[:5])) == {K.RECEIPT_BAD}
    assert fault_kinds(_with_receipts([FIRST], FRAMES[:5])) == set()


def test_a_gap_receipt_is_fine() -> None:
    """A receipt with status GAP follows the chain like any other."""
    gap = make_receipt(
        make_batch(CHAIN[3:], IDENTITY), SERVER, status=ReceiptStatus.GAP, flags=3, up_to_seq=0
    )

    assert fault_kinds(_with_receipts([gap])) == set()


# --- values ------------------------------------------------------------------------------------


def test_totals_are_followed() -> None:
    """A running total that does not continue is found at its record."""
    report = check(make_file(event_frames(make_chain(4, IDENTITY, changes=[{}, {}, {"n_in": 9}]))))

    assert report.faults == {K.TOTALS_WRONG: 1}
    assert report.findings[0].facts == {"name": "n_in", "found": 9, "expected": 1}


def _closed(**totals: int) -> list[Event]:
    """Make a day: OPEN, IN, OUT, REJECTED, torn IN, CLOSE."""
    values = {"n_in": 2, "n_out": 1, "n_rej": 1, "first_seq": 1, "last_seq": 5, "day": 20_261_121}
    changes: list[dict[str, Any]] = [
        {"type": EventType.OPEN, "payload": build(EventType.OPEN)},
        {"type": EventType.IN},
        {"type": EventType.OUT},
        {"type": EventType.REJECTED, "payload": build(EventType.REJECTED, reason=2)},
        {"type": EventType.IN, "result": Result.TORN},
        {"type": EventType.CLOSE, "payload": build(EventType.CLOSE, **(values | totals))},
    ]
    return make_chain(6, IDENTITY, changes=changes)


def test_settlement_totals_are_recounted() -> None:
    """CLOSE agrees with the records it closes, or the total at fault is named."""
    good, bad = (check(make_file(event_frames(_closed(**totals)))) for totals in ({}, {"n_in": 3}))

    assert good.clean
    assert bad.faults == {K.TOTALS_WRONG: 1}
    assert bad.findings[0].en == "settlement total n_in is 3, recounted 2"


def test_settlement_over_a_gap_is_not_recounted() -> None:
    """Totals over records that are not all there are left alone; the gap is the finding."""
    events = _closed()

    assert fault_kinds(make_file(event_frames([*events[:2], *events[3:]]))) == {K.COUNTER_GAP}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"flags": 0x8000}, "field flags"),
        ({"utc_ms": 1000}, "field utc_ms"),
        ({"type": 0x0C}, "field type"),
        ({"type": EventType.OPEN, "payload": bytes(20) + b"\1" + bytes(11)}, "must be zero"),
    ],
)
def test_forbidden_values_are_named(changes: dict[str, Any], text: str) -> None:
    """A signed record with a value the format does not allow is told by the field."""
    # The totals after a changed type are not at issue here.
    report = check(make_file(event_frames(make_chain(1, IDENTITY, changes=[changes]))))

    assert report.faults == {K.FORM_BAD: 1}
    assert text in report.findings[0].en


@pytest.mark.parametrize("psam_seq", [1, 2, 19])
def test_psam_numbers_that_do_not_rise_are_a_remark(psam_seq: int) -> None:
    """A transaction number that stands still, goes back or jumps is remarked upon."""
    changes = [{"psam_seq": 2}, {"psam_seq": psam_seq}]
    report = check(make_file(event_frames(make_chain(2, IDENTITY, changes=changes))))

    assert report.clean
    assert [finding.kind for finding in report.findings] == [K.PSAM_ORDER]


def test_a_journal_with_all_kinds_of_frames_is_clean() -> None:
    """Intents, abandoned ones, events and receipts stand in one journal."""
    frames = [
        frame(FrameKind.INTENT, CHAIN[0].signed_bytes),
        FRAMES[0],
        frame(FrameKind.ABANDON, (2).to_bytes(4)),
        *FRAMES[1:3],
        frame(FrameKind.RECEIPT, FIRST.to_bytes()),
        *FRAMES[3:],
    ]
    report = check(make_file(frames, flags=JOURNAL), server_key=SERVER.public_key)

    assert report.clean
    assert (report.intents, report.receipts, report.events) == (1, 1, 6)


def test_an_altered_intent_is_damage() -> None:
    """An intent is not signed, but its checksum is checked."""
    intent = frame(FrameKind.INTENT, CHAIN[0].signed_bytes)

    assert fault_kinds(make_file([flip(intent, 40), *FRAMES])) == {K.FRAME_DAMAGED}


def test_progress_is_told_now_and_then() -> None:
    """Whoever waits for a long file is told how far the reading is, not for every frame."""
    garbage = bytes(PROGRESS_STEP + 5)
    blob = make_file([FRAMES[0], garbage, *FRAMES[1:]])
    told: list[int] = []
    verify_stream(io.BytesIO(blob), progress=told.append)

    assert told == [FILE_HEADER_SIZE + FRAME_SIZE + len(garbage)]


def test_a_report_stays_readable() -> None:
    """However much is wrong, a bounded number of findings is kept and the rest is counted."""
    count = CHUNK_EVENTS + 200
    frames = [FRAMES[0]] * (count + 1)
    report = check(make_file(frames))

    assert report.faults == {K.LINKAGE_BROKEN: count}
    assert len(report.findings) == FINDINGS_KEPT
    assert report.as_json()["findings_left_out"] == count - FINDINGS_KEPT
