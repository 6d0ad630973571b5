# SPDX-License-Identifier: Apache-2.0
"""The second suite in records: SM3 in the terminal's own hashes, x for the key."""

from __future__ import annotations

import io
import zlib

import pytest

from keys import sm2
from keys.identity import Suite
from swipe import arrays, batch
from swipe.errors import TooMany, WrongMagic
from swipe.event import core_digest, event_hash, genesis_prev
from swipe.findings import FindingKind
from swipe.frames import FileHeader
from swipe.kinds import EventType
from swipe.payloads import build
from swipe.verify import Pins, verify_stream
from tests.factories import (
    KEY_ID,
    TERMINAL_ID,
    event_frames,
    make_batch,
    make_chain,
    make_file,
    make_identity,
)

IDENTITY = make_identity("terminal", Suite.SM2)
CHAIN = make_chain(4, IDENTITY)


def test_hashes_of_the_terminal_are_sm3() -> None:
    """prev, the first prev and h8 are SM3 of the same bytes as in the first suite."""
    event, raw = CHAIN[1], CHAIN[1].to_bytes()
    first = b"yika/chain/1\0" + TERMINAL_ID.to_bytes(8) + IDENTITY.public_key

    assert CHAIN[2].prev == event_hash(event, Suite.SM2) == sm2.sm3(raw)
    assert CHAIN[0].prev == genesis_prev(TERMINAL_ID, IDENTITY.public_key) == sm2.sm3(first)
    assert (
        core_digest(event, Suite.SM2)
        == sm2.sm3(b"yika/core/1\0" + raw[:96] + raw[128:160])[:8]
    )


def test_arrays_agree_with_single_events() -> None:
    """The bulk forms give what the single forms give, in the second suite too."""
    table = arrays.view(b"".join(event.to_bytes() for event in CHAIN))

    hashes = arrays.event_hashes(table, Suite.SM2)
    digests = arrays.core_digests(table, Suite.SM2)

    assert [row.tobytes() for row in hashes] == [event_hash(e, Suite.SM2) for e in CHAIN]
    assert [row.tobytes() for row in digests] == [core_digest(e, Suite.SM2) for e in CHAIN]
    assert arrays.chain_ok(table, CHAIN[0].prev, Suite.SM2).all()
    assert not arrays.chain_ok(table)[1:].any()


def test_batch_head_is_of_the_suite() -> None:
    """A batch of the second suite fits its events by SM3 and not by SHA-256."""
    header, events = batch.split(make_batch(CHAIN, IDENTITY))

    assert batch.verify(header, IDENTITY.public_key)
    assert batch.faults(header, events, Suite.SM2) == []
    assert batch.faults(header, events) == ["head", "chain"]


def test_batch_of_the_second_suite_is_smaller() -> None:
    """More than a hundred events of the second suite are no batch."""
    raw = [CHAIN[0].to_bytes()] * 101
    stamp = batch.BatchStamp(1, KEY_ID, 1, 0)

    with pytest.raises(TooMany, match="100"):
        batch.build_batch(stamp, raw, IDENTITY)


def test_file_header_names_suite_and_x() -> None:
    """A file of the second suite says so in one byte and holds the x of the key."""
    header = FileHeader(TERMINAL_ID, KEY_ID, IDENTITY.public_key)
    raw = header.to_bytes()

    assert (raw[24], raw[28:60]) == (2, IDENTITY.public_key[:32])
    assert FileHeader.from_bytes(raw) == header
    assert FileHeader(TERMINAL_ID, KEY_ID, make_identity().public_key).to_bytes()[24] == 0


def test_file_of_no_known_suite_is_refused() -> None:
    """An unknown suite, and an x that is on no curve, are refused with the header."""
    raw = bytearray(FileHeader(TERMINAL_ID, KEY_ID, IDENTITY.public_key).to_bytes())
    raw[24] = 7
    unknown = bytes(raw[:-4]) + zlib.crc32(raw[:-4]).to_bytes(4)
    raw[24] = 2
    raw[28:60] = b"\xff" * 32
    off_curve = bytes(raw[:-4]) + zlib.crc32(raw[:-4]).to_bytes(4)

    for data in (unknown, off_curve):
        with pytest.raises(WrongMagic):
            FileHeader.from_bytes(data)


def test_export_of_the_second_suite_is_verified_through_a_change_of_key() -> None:
    """The offline verifier follows an SM2 chain over KEY_ROTATE, and names what was altered."""
    new = make_identity("new", Suite.SM2)
    payload = build(EventType.KEY_ROTATE, public_key=new.public_key[:32])
    before = make_chain(
        2, IDENTITY, changes=[{}, {"type": EventType.KEY_ROTATE, "payload": payload}]
    )
    changes = [{"key_id": KEY_ID + 1, "psam_seq": 9 + i} for i in range(2)]
    after = make_chain(2, new, start=before[-1], changes=changes)
    blob = make_file(event_frames(before + after), IDENTITY)

    def faults(data: bytes) -> set[FindingKind]:
        report = verify_stream(io.BytesIO(data), "file", Pins(), None)
        return {finding.kind for finding in report.findings}

    assert faults(blob) == set()
    changed = bytearray(blob)
    changed[64 + 9 + 100] ^= 1
    assert faults(bytes(changed)) != set()
