# SPDX-License-Identifier: Apache-2.0
"""The offline verifier gives each kind of damage its own name, and never stops early."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest

from keys.identity import Identity
from swipe.errors import WrongLength, WrongMagic
from swipe.event import Event, sign
from swipe.findings import FINDINGS_KEPT, FindingKind, Report
from swipe.frames import FILE_HEADER_SIZE, JOURNAL, FrameKind, frame
from swipe.kinds import EventType, ReceiptStatus, Result
from swipe.payloads import build
from swipe.receipt import Receipt
from swipe.verify import CHUNK_EVENTS, PROGRESS_STEP, Pins, verify_stream
from tests.factories import (
    KEY_ID,
    TERMINAL_ID,
    event_frames,
    make_batch,
    make_chain,
    make_event,
    make_file,
    make_identity,
    make_receipt,
)

K = FindingKind
IDENTITY = make_identity()
SERVER = make_identity("server")
CHAIN = make_chain(6, IDENTITY)
FRAMES = event_frames(CHAIN)
FRAME_SIZE = 8 + 1 + 224
BODY_AT = 9


def _verify(blob: bytes, **pins: bytes) -> Report:
    return verify_stream(io.BytesIO(blob), "test", Pins(**pins))


def _kinds(blob: bytes, **pins: bytes) -> set[FindingKind]:
    return set(_verify(blob, **pins).faults)


def _flip(raw: bytes, at: int, bit: int = 0) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]


def _reframed(raw: bytes) -> bytes:
    return frame(FrameKind.EVENT, raw)


def _batch_file(events: list[Event], *, cut: int = 3) -> bytes:
    parts = [events[:cut], events[cut:]]
    bodies = [make_batch(part, IDENTITY, batch_no=i + 1) for i, part in enumerate(parts) if part]
    return make_file([frame(FrameKind.BATCH, body) for body in bodies])


def test_a_clean_export_is_clean() -> None:
    """An untouched export has no finding and says what it holds."""
    report = _verify(make_file(FRAMES))

    assert report.clean
    assert report.findings == []
    assert (report.events, report.first_seq, report.last_seq) == (6, 1, 6)
    assert report.terminal_id == TERMINAL_ID
    assert report.line == "完好 CLEAN test: 6 events 1–6, 0 batches, 0 receipts"


@pytest.mark.parametrize("at", range(FRAME_SIZE))
def test_one_flipped_bit_anywhere_in_a_frame(at: int) -> None:
    """A flip in the head, the content or the signature has its own verdict, and only that."""
    frames = [*FRAMES[:2], _flip(FRAMES[2], at, at % 8), *FRAMES[3:]]
    expected = (
        K.FRAME_DAMAGED
        if at < BODY_AT
        else K.CONTENT_ALTERED
        if at < BODY_AT + 160
        else K.SIGNATURE_BAD
    )
    report = _verify(make_file(frames))

    assert set(report.faults) == {expected}
    assert sum(report.faults.values()) == 1
    assert report.findings[0].offset == FILE_HEADER_SIZE + 2 * FRAME_SIZE


def test_a_flip_is_told_by_field_and_bit() -> None:
    """The checksum shows which one bit was flipped, so the report can name the field."""
    frames = [*FRAMES[:2], _flip(FRAMES[2], BODY_AT + 33, 6), *FRAMES[3:]]
    finding = _verify(make_file(frames)).findings[0]

    assert finding.seq == 3
    assert finding.en == "altered: field utc_s (byte 33, bit 6)"
    assert "utc_s" in finding.zh


@pytest.mark.parametrize("at", range(0, 224, 5))
@pytest.mark.parametrize("position", range(5))
def test_a_flip_with_a_mended_checksum(at: int, position: int) -> None:
    """With the checksum made right again, the successor's link tells that bytes were altered."""
    frames = list(FRAMES)
    frames[position] = _reframed(_flip(CHAIN[position].to_bytes(), at))

    assert _kinds(make_file(frames)) == {K.CONTENT_ALTERED}


@pytest.mark.parametrize("at", range(0, 224, 5))
def test_a_flip_in_the_last_record_with_a_mended_checksum(at: int) -> None:
    """Without successor and checksum all that can be said is that the signature is bad."""
    frames = [*FRAMES[:5], _reframed(_flip(CHAIN[5].to_bytes(), at))]

    assert _kinds(make_file(frames)) == {K.SIGNATURE_BAD}


@pytest.mark.parametrize("position", range(1, 5))
def test_one_record_removed(position: int) -> None:
    """A missing record is a counter gap with its number, and nothing else."""
    report = _verify(make_file(FRAMES[:position] + FRAMES[position + 1 :]))

    assert report.faults == {K.COUNTER_GAP: 1}
    assert report.findings[0].en == f"records {position + 1} to {position + 1} are missing"


def test_a_journal_must_begin_at_one() -> None:
    """The first record removed from a journal is a gap; an export may begin anywhere."""
    assert _kinds(make_file(FRAMES[1:], flags=JOURNAL)) == {K.COUNTER_GAP}
    assert _kinds(make_file(FRAMES[1:])) == set()


@pytest.mark.parametrize("position", range(5))
def test_two_records_swapped(position: int) -> None:
    """Two neighbours in the wrong order break the linkage; nothing is missing or altered."""
    frames = list(FRAMES)
    frames[position : position + 2] = frames[position : position + 2][::-1]
    report = _verify(make_file(frames))

    assert report.faults == {K.LINKAGE_BROKEN: 1}
    assert "out of order" in report.findings[0].en


def test_distant_records_swapped() -> None:
    """Records swapped over a distance are all found again, in broken linkage."""
    order = [0, 4, 2, 3, 1, 5]

    assert _kinds(make_file([FRAMES[i] for i in order])) == {K.LINKAGE_BROKEN}


def _forged(seq: int, identity: Identity, **fields: Any) -> Event:
    prev = CHAIN[min(seq, 6) - 1].prev
    return make_event(identity, seq=seq, prev=prev, site=77, **fields)


@pytest.mark.parametrize(
    ("inserted", "kind", "text"),
    [
        (CHAIN[1], K.LINKAGE_BROKEN, "stands twice"),
        (CHAIN[2], K.LINKAGE_BROKEN, "stands twice"),
        (_forged(4, make_identity("thief")), K.LINKAGE_BROKEN, "not signed by this terminal"),
        (_forged(2, make_identity("thief")), K.LINKAGE_BROKEN, "not signed by this terminal"),
        (_forged(9, make_identity("thief")), K.LINKAGE_BROKEN, "not signed by this terminal"),
        (_forged(4, IDENTITY, terminal_id=5), K.LINKAGE_BROKEN, "belongs to terminal"),
        (
            _forged(4, make_identity("other"), terminal_id=5),
            K.LINKAGE_BROKEN,
            "not signed by this terminal",
        ),
        (_forged(3, IDENTITY), K.FORK, "two different signed records"),
    ],
)
def test_one_record_inserted(inserted: Event, kind: FindingKind, text: str) -> None:
    """An inserted record breaks the linkage, whoever made it; a signed double is a fork."""
    frames = FRAMES[:3] + event_frames([inserted]) + FRAMES[3:]
    report = _verify(make_file(frames))

    assert report.faults == {kind: 1}
    assert text in report.findings[0].en


@pytest.mark.parametrize("at_end", [False, True])
def test_a_record_signed_by_another_key(*, at_end: bool) -> None:
    """A record that the chain holds but another key signed is a bad signature."""
    changed = sign(CHAIN[2], make_identity("thief"))
    rest = [] if at_end else make_chain(3, IDENTITY, start=changed)

    assert _kinds(make_file(event_frames([*CHAIN[:2], changed, *rest]))) == {K.SIGNATURE_BAD}


def test_a_record_altered_with_the_terminals_own_key() -> None:
    """Whoever has the key can sign anew, but the successor's link gives it away."""
    frames = list(FRAMES)
    frames[2:3] = event_frames([sign(dataclasses.replace(CHAIN[2], site=99), IDENTITY)])
    report = _verify(make_file(frames))

    assert report.faults == {K.LINKAGE_BROKEN: 1}
    assert report.findings[0].seq == 4


def test_a_chain_of_another_terminal_is_broken_at_its_first_record() -> None:
    """Record 1 must begin at the terminal's own number and key."""
    foreign = sign(dataclasses.replace(CHAIN[0], prev=bytes(32)), IDENTITY)
    report = _verify(make_file(event_frames([foreign])))

    assert report.faults == {K.LINKAGE_BROKEN: 1}
    assert "begin the chain" in report.findings[0].en


def test_nothing_stops_the_reading() -> None:
    """Several faults of different families in one file are all found, each once."""
    chain = make_chain(40, IDENTITY)
    frames = event_frames(chain)
    frames[4] = _flip(frames[4], BODY_AT + 50)
    frames[20], frames[21] = frames[21], frames[20]
    frames[30] = _flip(frames[30], BODY_AT + 200)
    frames[35] = bytes(100) + frames[35]
    del frames[10]
    report = _verify(make_file(frames))

    assert report.faults == {
        K.LINKAGE_BROKEN: 1,
        K.CONTENT_ALTERED: 1,
        K.SIGNATURE_BAD: 1,
        K.COUNTER_GAP: 1,
        K.FRAME_DAMAGED: 1,
    }
    assert report.events == 39
    assert report.line.startswith("有误 FAULTY test: linkage-broken ×1, content-altered ×1")


@pytest.mark.parametrize("end", range(FILE_HEADER_SIZE, FILE_HEADER_SIZE + 2 * FRAME_SIZE, 11))
def test_a_cut_tail_is_damage(end: int) -> None:
    """A file cut inside a frame says so and keeps what was whole."""
    blob = make_file(FRAMES)[:end]
    whole, rest = divmod(end - FILE_HEADER_SIZE, FRAME_SIZE)
    report = _verify(blob)

    assert report.events == whole
    assert set(report.faults) == ({K.FRAME_DAMAGED} if rest else set())


@pytest.mark.parametrize("garbage", [bytes(5000), b"\xff" * 5000, bytes(range(250)) * 20])
def test_garbage_between_frames_is_skipped(garbage: bytes) -> None:
    """A bad page in the middle is one hole; the records after it are read."""
    report = _verify(make_file([*FRAMES[:3], garbage, *FRAMES[3:]]))

    assert report.faults == {K.FRAME_DAMAGED: 1}
    assert report.events == 6
    assert "5000 bytes" in report.findings[0].en


def test_a_page_over_two_records() -> None:
    """A bad page alters the record it begins in and loses the one whose head it covers."""
    blob = make_file(FRAMES)
    start = FILE_HEADER_SIZE + FRAME_SIZE + 100
    report = _verify(blob[:start] + bytes(300) + blob[start + 300 :])

    assert report.faults == {K.CONTENT_ALTERED: 1, K.COUNTER_GAP: 1, K.FRAME_DAMAGED: 1}
    assert report.findings[-1].facts == {"first": 3, "last": 3}


@pytest.mark.parametrize("at", range(FILE_HEADER_SIZE))
def test_one_flipped_bit_in_the_file_header_is_mended(at: int) -> None:
    """The header's checksum gives the flipped bit back, so the records can still be checked."""
    report = _verify(_flip(make_file(FRAMES), at, at % 8))

    assert report.faults == {K.FRAME_DAMAGED: 1}
    assert report.events == 6


def test_a_file_of_another_kind_is_refused() -> None:
    """A photograph is no journal, and neither is an empty file."""
    with pytest.raises(WrongMagic):
        _verify(b"\x89PNG\r\n" + bytes(100))
    with pytest.raises(WrongLength):
        _verify(b"")


def test_a_pinned_key_goes_before_the_files_own() -> None:
    """A file made anew under a thief's key is faulty for whoever knows the true one."""
    thief = make_identity("thief")
    blob = make_file(event_frames(make_chain(3, thief)), thief)

    assert _kinds(blob) == set()
    assert K.KEY_MISMATCH in _kinds(blob, public_key=IDENTITY.public_key)
    assert K.SIGNATURE_BAD in _kinds(blob, public_key=IDENTITY.public_key)
    assert _kinds(make_file(FRAMES), public_key=IDENTITY.public_key) == set()


def test_a_changed_key_is_followed() -> None:
    """After KEY_ROTATE, signed with the old key, records are signed with the new one."""
    new = make_identity("new")
    payload = build(EventType.KEY_ROTATE, public_key=new.public_key)
    rotate = {"type": EventType.KEY_ROTATE, "payload": payload}
    before = make_chain(3, IDENTITY, changes=[{}, {}, rotate])
    after = make_chain(3, new, start=before[-1], changes=[{"key_id": KEY_ID + 1}] * 3)

    assert _kinds(make_file(event_frames(before + after))) == set()
    assert K.SIGNATURE_BAD in _kinds(make_file(event_frames(before[:2] + after)))


# --- batches -----------------------------------------------------------------------------------


def test_a_clean_export_of_batches_is_clean() -> None:
    """Batches are checked as wholes and event by event; overlap with events is no fault."""
    report = _verify(_batch_file(CHAIN))
    body = make_batch(CHAIN[2:], IDENTITY, batch_no=7)
    overlapping = _verify(make_file([*FRAMES, frame(FrameKind.BATCH, body)]))

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
    flipped = frame(FrameKind.BATCH, _flip(BATCH, at)) if mended else _flip(whole, at + BODY_AT)
    signature = at - 192 - 224 >= 160 and not mended

    expected = K.SIGNATURE_BAD if signature else K.CONTENT_ALTERED
    assert _kinds(make_file([flipped])) == {expected}


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

    assert _kinds(make_file([frame(FrameKind.BATCH, body)])) == {kind}


@pytest.mark.parametrize("at", range(0, 192, 7))
def test_a_flip_in_a_batch_header(at: int) -> None:
    """A flipped header is a bad batch; its events stand by themselves."""
    report = _verify(make_file([frame(FrameKind.BATCH, _flip(BATCH, at))]))

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
    report = _verify(_with_receipts([FIRST, FIRST, SECOND]), server_key=SERVER.public_key)

    assert report.clean
    assert report.findings == []
    assert report.receipts == 2


def test_without_the_servers_key_the_report_says_so() -> None:
    """What could not be checked is a remark, not a fault."""
    report = _verify(_with_receipts([FIRST, SECOND]))

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
    report = _verify(_with_receipts(receipts), server_key=SERVER.public_key)

    assert report.faults == {K.RECEIPT_BAD: 1}
    assert text in report.findings[0].en


def test_a_cut_off_tail_is_known_by_its_receipt() -> None:
    """Records cut off the end leave no trace in the chain, but in the receipt that names them."""
    assert _kinds(_with_receipts([FIRST, SECOND], FRAMES[:5])) == {K.RECEIPT_BAD}
    assert _kinds(_with_receipts([FIRST], FRAMES[:5])) == set()


def test_a_gap_receipt_is_fine() -> None:
    """A receipt with status GAP follows the chain like any other."""
    gap = make_receipt(
        make_batch(CHAIN[3:], IDENTITY), SERVER, status=ReceiptStatus.GAP, flags=3, up_to_seq=0
    )

    assert _kinds(_with_receipts([gap])) == set()


# --- values ------------------------------------------------------------------------------------


def test_totals_are_followed() -> None:
    """A running total that does not continue is found at its record."""
    report = _verify(
        make_file(event_frames(make_chain(4, IDENTITY, changes=[{}, {}, {"n_in": 9}])))
    )

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
    good, bad = (
        _verify(make_file(event_frames(_closed(**totals)))) for totals in ({}, {"n_in": 3})
    )

    assert good.clean
    assert bad.faults == {K.TOTALS_WRONG: 1}
    assert bad.findings[0].en == "settlement total n_in is 3, recounted 2"


def test_settlement_over_a_gap_is_not_recounted() -> None:
    """Totals over records that are not all there are left alone; the gap is the finding."""
    events = _closed()

    assert _kinds(make_file(event_frames([*events[:2], *events[3:]]))) == {K.COUNTER_GAP}


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
    report = _verify(make_file(event_frames(make_chain(1, IDENTITY, changes=[changes]))))

    assert report.faults == {K.FORM_BAD: 1}
    assert text in report.findings[0].en


@pytest.mark.parametrize("psam_seq", [1, 2, 19])
def test_psam_numbers_that_do_not_rise_are_a_remark(psam_seq: int) -> None:
    """A transaction number that stands still, goes back or jumps is remarked upon."""
    changes = [{"psam_seq": 2}, {"psam_seq": psam_seq}]
    report = _verify(make_file(event_frames(make_chain(2, IDENTITY, changes=changes))))

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
    report = _verify(make_file(frames, flags=JOURNAL), server_key=SERVER.public_key)

    assert report.clean
    assert (report.intents, report.receipts, report.events) == (1, 1, 6)


def test_an_altered_intent_is_damage() -> None:
    """An intent is not signed, but its checksum is checked."""
    intent = frame(FrameKind.INTENT, CHAIN[0].signed_bytes)

    assert _kinds(make_file([_flip(intent, 40), *FRAMES])) == {K.FRAME_DAMAGED}


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
    report = _verify(make_file(frames))

    assert report.faults == {K.LINKAGE_BROKEN: count}
    assert len(report.findings) == FINDINGS_KEPT
    assert report.as_json()["findings_left_out"] == count - FINDINGS_KEPT
