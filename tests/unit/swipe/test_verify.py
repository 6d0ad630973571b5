# SPDX-License-Identifier: Apache-2.0
"""The offline verifier gives each kind of damage its own name, and never stops early."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from keys.identity import Identity
from swipe.errors import WrongLength, WrongMagic
from swipe.event import Event, sign
from swipe.findings import FindingKind
from swipe.frames import FILE_HEADER_SIZE, JOURNAL, FrameKind, frame
from swipe.kinds import EventType
from swipe.payloads import build
from tests.factories import (
    KEY_ID,
    TERMINAL_ID,
    event_frames,
    make_chain,
    make_event,
    make_file,
    make_identity,
)
from tests.unit.swipe.damage import BODY_AT, FRAME_SIZE, check, fault_kinds, flip

K = FindingKind
IDENTITY = make_identity()
CHAIN = make_chain(6, IDENTITY)
FRAMES = event_frames(CHAIN)


def _reframed(raw: bytes) -> bytes:
    return frame(FrameKind.EVENT, raw)


def test_a_clean_export_is_clean() -> None:
    """An untouched export has no finding and says what it holds."""
    report = check(make_file(FRAMES))

    assert report.clean
    assert report.findings == []
    assert (report.events, report.first_seq, report.last_seq) == (6, 1, 6)
    assert report.terminal_id == TERMINAL_ID
    assert report.line == "完好 CLEAN test: 6 events 1–6, 0 batches, 0 receipts"


@pytest.mark.parametrize("at", range(FRAME_SIZE))
def test_one_flipped_bit_anywhere_in_a_frame(at: int) -> None:
    """A flip in the head, the content or the signature has its own verdict, and only that."""
    frames = [*FRAMES[:2], flip(FRAMES[2], at, at % 8), *FRAMES[3:]]
    expected = (
        K.FRAME_DAMAGED
        if at < BODY_AT
        else K.CONTENT_ALTERED
        if at < BODY_AT + 160
        else K.SIGNATURE_BAD
    )
    report = check(make_file(frames))

    assert set(report.faults) == {expected}
    assert sum(report.faults.values()) == 1
    assert report.findings[0].offset == FILE_HEADER_SIZE + 2 * FRAME_SIZE


def test_a_flip_is_told_by_field_and_bit() -> None:
    """The checksum shows which one bit was flipped, so the report can name the field."""
    frames = [*FRAMES[:2], flip(FRAMES[2], BODY_AT + 33, 6), *FRAMES[3:]]
    finding = check(make_file(frames)).findings[0]

    assert finding.seq == 3
    assert finding.en == "altered: field utc_s (byte 33, bit 6)"
    assert "utc_s" in finding.zh


@pytest.mark.parametrize("at", range(0, 224, 5))
@pytest.mark.parametrize("position", range(5))
def test_a_flip_with_a_mended_checksum(at: int, position: int) -> None:
    """With the checksum made right again, the successor's link tells that bytes were altered."""
    frames = list(FRAMES)
    frames[position] = _reframed(flip(CHAIN[position].to_bytes(), at))

    assert fault_kinds(make_file(frames)) == {K.CONTENT_ALTERED}


@pytest.mark.parametrize("at", range(0, 224, 5))
def test_a_flip_in_the_last_record_with_a_mended_checksum(at: int) -> None:
    """Without successor and checksum all that can be said is that the signature is bad."""
    frames = [*FRAMES[:5], _reframed(flip(CHAIN[5].to_bytes(), at))]

    assert fault_kinds(make_file(frames)) == {K.SIGNATURE_BAD}


@pytest.mark.parametrize("position", range(1, 5))
def test_one_record_removed(position: int) -> None:
    """A missing record is a counter gap with its number, and nothing else."""
    report = check(make_file(FRAMES[:position] + FRAMES[position + 1 :]))

    assert report.faults == {K.COUNTER_GAP: 1}
    assert report.findings[0].en == f"records {position + 1} to {position + 1} are missing"


def test_a_journal_must_begin_at_one() -> None:
    """The first record removed from a journal is a gap; an export may begin anywhere."""
    assert fault_kinds(make_file(FRAMES[1:], flags=JOURNAL)) == {K.COUNTER_GAP}
    assert fault_kinds(make_file(FRAMES[1:])) == set()


@pytest.mark.parametrize("position", range(5))
def test_two_records_swapped(position: int) -> None:
    """Two neighbours in the wrong order break the linkage; nothing is missing or altered."""
    frames = list(FRAMES)
    frames[position : position + 2] = frames[position : position + 2][::-1]
    report = check(make_file(frames))

    assert report.faults == {K.LINKAGE_BROKEN: 1}
    assert "out of order" in report.findings[0].en


def test_distant_records_swapped() -> None:
    """Records swapped over a distance are all found again, in broken linkage."""
    order = [0, 4, 2, 3, 1, 5]

    assert fault_kinds(make_file([FRAMES[i] for i in order])) == {K.LINKAGE_BROKEN}


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
    report = check(make_file(frames))

    assert report.faults == {kind: 1}
    assert text in report.findings[0].en


@pytest.mark.parametrize("at_end", [False, True])
def test_a_record_signed_by_another_key(*, at_end: bool) -> None:
    """A record that the chain holds but another key signed is a bad signature."""
    changed = sign(CHAIN[2], make_identity("thief"))
    rest = [] if at_end else make_chain(3, IDENTITY, start=changed)

    assert fault_kinds(make_file(event_frames([*CHAIN[:2], changed, *rest]))) == {K.SIGNATURE_BAD}


def test_a_record_altered_with_the_terminals_own_key() -> None:
    """Whoever has the key can sign anew, but the successor's link gives it away."""
    frames = list(FRAMES)
    frames[2:3] = event_frames([sign(dataclasses.replace(CHAIN[2], site=99), IDENTITY)])
    report = check(make_file(frames))

    assert report.faults == {K.LINKAGE_BROKEN: 1}
    assert report.findings[0].seq == 4


def test_a_chain_of_another_terminal_is_broken_at_its_first_record() -> None:
    """Record 1 must begin at the terminal's own number and key."""
    foreign = sign(dataclasses.replace(CHAIN[0], prev=bytes(32)), IDENTITY)
    report = check(make_file(event_frames([foreign])))

    assert report.faults == {K.LINKAGE_BROKEN: 1}
    assert "begin the chain" in report.findings[0].en


def test_nothing_stops_the_reading() -> None:
    """Several faults of different families in one file are all found, each once."""
    chain = make_chain(40, IDENTITY)
    frames = event_frames(chain)
    frames[4] = flip(frames[4], BODY_AT + 50)
    frames[20], frames[21] = frames[21], frames[20]
    frames[30] = flip(frames[30], BODY_AT + 200)
    frames[35] = bytes(100) + frames[35]
    del frames[10]
    report = check(make_file(frames))

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
    report = check(blob)

    assert report.events == whole
    assert set(report.faults) == ({K.FRAME_DAMAGED} if rest else set())


@pytest.mark.parametrize("garbage", [bytes(5000), b"\xff" * 5000, bytes(range(250)) * 20])
def test_garbage_between_frames_is_skipped(garbage: bytes) -> None:
    """A bad page in the middle is one hole; the records after it are read."""
    report = check(make_file([*FRAMES[:3], garbage, *FRAMES[3:]]))

    assert report.faults == {K.FRAME_DAMAGED: 1}
    assert report.events == 6
    assert "5000 bytes" in report.findings[0].en


def test_a_page_over_two_records() -> None:
    """A bad page alters the record it begins in and loses the one whose head it covers."""
    blob = make_file(FRAMES)
    start = FILE_HEADER_SIZE + FRAME_SIZE + 100
    report = check(blob[:start] + bytes(300) + blob[start + 300 :])

    assert report.faults == {K.CONTENT_ALTERED: 1, K.COUNTER_GAP: 1, K.FRAME_DAMAGED: 1}
    assert report.findings[-1].facts == {"first": 3, "last": 3}


@pytest.mark.parametrize("at", range(FILE_HEADER_SIZE))
def test_one_flipped_bit_in_the_file_header_is_mended(at: int) -> None:
    """The header's checksum gives the flipped bit back, so the records can still be checked."""
    report = check(flip(make_file(FRAMES), at, at % 8))

    assert report.faults == {K.FRAME_DAMAGED: 1}
    assert report.events == 6


def test_a_file_of_another_kind_is_refused() -> None:
    """A photograph is no journal, and neither is an empty file."""
    with pytest.raises(WrongMagic):
        check(b"\x89PNG\r\n" + bytes(100))
    with pytest.raises(WrongLength):
        check(b"")


def test_a_pinned_key_goes_before_the_files_own() -> None:
    """A file made anew under a thief's key is faulty for whoever knows the true one."""
    thief = make_identity("thief")
    blob = make_file(event_frames(make_chain(3, thief)), thief)

    assert fault_kinds(blob) == set()
    assert K.KEY_MISMATCH in fault_kinds(blob, public_key=IDENTITY.public_key)
    assert K.SIGNATURE_BAD in fault_kinds(blob, public_key=IDENTITY.public_key)
    assert fault_kinds(make_file(FRAMES), public_key=IDENTITY.public_key) == set()


def test_a_changed_key_is_followed() -> None:
    """After KEY_ROTATE, signed with the old key, records are signed with the new one."""
    new = make_identity("new")
    payload = build(EventType.KEY_ROTATE, public_key=new.public_key)
    rotate = {"type": EventType.KEY_ROTATE, "payload": payload}
    before = make_chain(3, IDENTITY, changes=[{}, {}, rotate])
    after = make_chain(3, new, start=before[-1], changes=[{"key_id": KEY_ID + 1}] * 3)

    assert fault_kinds(make_file(event_frames(before + after))) == set()
    assert K.SIGNATURE_BAD in fault_kinds(make_file(event_frames(before[:2] + after)))
