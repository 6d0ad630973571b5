# SPDX-License-Identifier: Apache-2.0
"""The manifest of a memory stick: what it says, whose it is, and what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swipe.errors import SwipeError
from swipe.stick import (
    MANIFEST_SIZE_MAX,
    Listed,
    Manifest,
    batch_name,
    batch_numbers,
    folder_name,
    folder_terminal,
    manifest_holds,
)
from tests.factories import make_identity

IDENTITY = make_identity()
MANIFEST = Manifest(4711, 9, 1_795_222_800_000, (Listed(3, 1, 40, "ab" * 32),))


def test_manifest_comes_back_whole() -> None:
    """What was sealed is read again, under the terminal's key and no other."""
    found, signed, signature = Manifest.parse(MANIFEST.seal(IDENTITY))

    assert found == MANIFEST
    assert manifest_holds(signed, signature, IDENTITY.public_key)
    assert not manifest_holds(signed, signature, make_identity("other").public_key)


@pytest.mark.parametrize("name", ["terminal_id", "key_id", "made_ms"])
def test_changed_manifest_is_not_signed(name: str) -> None:
    """A number changed on the way breaks the signature."""
    document = json.loads(MANIFEST.seal(IDENTITY))
    document[name] += 1
    _, signed, signature = Manifest.parse(json.dumps(document).encode())

    assert not manifest_holds(signed, signature, IDENTITY.public_key)


def changed(**fields: Any) -> bytes:
    """A manifest with other members."""
    return json.dumps(json.loads(MANIFEST.seal(IDENTITY)) | fields).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b" " * (MANIFEST_SIZE_MAX + 1),
        changed(signature="no hex"),
        changed(signature=7),
        changed(batches=7),
        changed(batches=[7]),
        changed(batches=[{"batch_no": 1}]),
        changed(batches=[{"batch_no": "1", "first_seq": 1, "last_seq": 1, "sha256": ""}]),
        changed(batches=[{"batch_no": 1, "first_seq": 1, "last_seq": 1, "sha256": 7}]),
        changed(terminal_id=-1),
        changed(key_id=True),
        changed(made_ms=1.5),
        changed(more=1),
    ],
)
def test_strange_manifest_is_refused(raw: bytes) -> None:
    """Whatever is no manifest is refused as such."""
    with pytest.raises(SwipeError):
        Manifest.parse(raw)


@given(st.binary(max_size=200))
def test_garbage_is_refused(raw: bytes) -> None:
    """Any bytes that are no manifest are refused, and nothing else happens."""
    with pytest.raises(SwipeError):
        Manifest.parse(raw)


def test_names_lead_nowhere_else() -> None:
    """Only exact names are taken for ours: no path, no other digits."""
    assert folder_terminal(folder_name(7)) == 7
    assert batch_numbers([batch_name(12), batch_name(3)]) == [3, 12]
    for name in ("yika-", "yika-1x", "yika-٣", "../yika-1", "yika-" + "1" * 21):
        assert folder_terminal(name) is None
    for name in ("batch-1.yika", "batch-00000001.yika.part", "../batch-00000001.yika"):
        assert batch_numbers([name]) == []
