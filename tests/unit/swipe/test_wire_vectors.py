# SPDX-License-Identifier: Apache-2.0
"""The example bytes are read as they are described, and the wrong ones are refused."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swipe import arrays, batch, errors, frames, receipt
from swipe.event import Event, content_hash, core_digest, event_hash, genesis_prev, verify_event
from swipe.hotlist import CardSet, HotlistBitmap
from swipe.notices import Config
from swipe.payloads import build, parse
from swipe.receipt import Receipt
from swipe.verify import Pins, verify_stream
from tests import vectors

ROOT = Path(__file__).parents[3]
DATA = vectors.content("wire_format")
KEYS = DATA["keys"]
TERMINAL_KEY = bytes.fromhex(KEYS["terminal_public_key"])
SERVER_KEY = bytes.fromhex(KEYS["server_public_key"])
BODY = bytes.fromhex(DATA["batch"]["hex"])
LOST = bytes.fromhex("59490000000000000017")


def _name(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def test_the_file_is_what_the_script_makes() -> None:
    """The committed vectors can be made again, byte for byte."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "script" / "make-vectors"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("vector", DATA["events"], ids=_name)
def test_events(vector: dict[str, Any]) -> None:
    """Fields, hashes and signature of each example are as described."""
    found = Event.from_bytes(bytes.fromhex(vector["hex"]))
    shown = {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in ((name, getattr(found, name)) for name in vector["fields"])
    }

    assert shown == vector["fields"]
    assert core_digest(found).hex() == vector["h8"]
    assert content_hash(found).hex() == vector["content_hash"]
    assert event_hash(found).hex() == vector["event_hash"]
    assert verify_event(found, TERMINAL_KEY)


def test_the_examples_are_one_chain() -> None:
    """From the genesis on, each example follows from the one before and is well formed."""
    table = arrays.view(BODY[batch.HEADER_SIZE :])

    assert DATA["genesis_prev"] == genesis_prev(KEYS["terminal_id"], TERMINAL_KEY).hex()
    assert arrays.chain_ok(table, bytes.fromhex(DATA["genesis_prev"])).all()
    assert arrays.contiguous(table).all()
    assert arrays.form_faults(table) == {}
    assert [event["hex"] for event in DATA["events"]] == [row.tobytes().hex() for row in table]


@pytest.mark.parametrize("vector", DATA["payloads"], ids=_name)
def test_payloads(vector: dict[str, Any]) -> None:
    """Each payload example is built from and parsed into its fields."""
    raw = bytes.fromhex(vector["hex"])
    values = parse(vector["type"], raw)

    assert {k: v.hex() if isinstance(v, bytes) else v for k, v in values.items()} == vector[
        "fields"
    ]
    assert build(vector["type"], **values) == raw


def test_batch() -> None:
    """The example batch is whole and signed."""
    header, events = batch.split(BODY)

    assert batch.verify(header, TERMINAL_KEY)
    assert batch.faults(header, events) == []
    assert (header.n_in, header.n_out, header.n_rej) == (1, 2, 1)


def test_receipts() -> None:
    """The example receipts are signed, follow each other, and tell the gap."""
    first, gap = (Receipt.from_bytes(bytes.fromhex(item["hex"])) for item in DATA["receipts"])

    assert receipt.verify(first, SERVER_KEY)
    assert receipt.verify(gap, SERVER_KEY)
    assert gap.prev_receipt == first.anchor
    assert (first.missing, gap.missing) == (None, range(10, 14))


def test_notices() -> None:
    """The example notices open with the server's key."""
    whole, change, config = (bytes.fromhex(item["hex"]) for item in DATA["notices"])
    newest = HotlistBitmap.from_bytes(whole, SERVER_KEY)
    held = HotlistBitmap(11, 0, CardSet.of([LOST]))

    assert len(newest.cards) == 3
    assert LOST in newest
    assert HotlistBitmap.from_bytes(change, SERVER_KEY, held) == newest
    assert Config.from_bytes(config, SERVER_KEY).json == b'{"version":4}'


def test_frames() -> None:
    """The example frames are read back whole."""
    blob = b"".join(bytes.fromhex(item["hex"]) for item in DATA["frames"])
    reader = frames.FrameReader(io.BytesIO(blob))

    assert [item.kind for item in reader] == [frames.FrameKind.INTENT, frames.FrameKind.ABANDON]
    assert reader.damage is None


@pytest.mark.parametrize("vector", DATA["files"], ids=_name)
def test_files_get_their_verdict(vector: dict[str, Any]) -> None:
    """Each export, clean or damaged, gets exactly the families it was made for."""
    pins = Pins(server_key=SERVER_KEY)
    report = verify_stream(io.BytesIO(bytes.fromhex(vector["hex"])), vector["name"], pins)

    assert [kind.value for kind in report.faults] == vector["faults"]


@pytest.mark.parametrize("vector", DATA["wrong_events"], ids=_name)
def test_wrong_events_are_signed_and_refused_by_field(vector: dict[str, Any]) -> None:
    """A valid signature does not help a value the format forbids."""
    raw = bytes.fromhex(vector["hex"])

    assert verify_event(Event.from_bytes(raw), TERMINAL_KEY)
    assert list(arrays.form_faults(arrays.view(raw))) == [vector["field"]]


@pytest.mark.parametrize("vector", DATA["wrong_batches"], ids=_name)
def test_wrong_batches_are_refused_by_name(vector: dict[str, Any]) -> None:
    """Each wrong batch has its error, or the header fields that do not fit."""
    raw = bytes.fromhex(vector["hex"])
    if "error" in vector:
        with pytest.raises(getattr(errors, vector["error"])):
            batch.split(raw)
        return

    assert batch.faults(*batch.split(raw)) == vector["faults"]


def test_numpy_reads_the_examples_as_the_class_does() -> None:
    """Bulk reading and single reading of the examples agree in every field."""
    table = arrays.view(BODY[batch.HEADER_SIZE :])
    for row, vector in zip(table, DATA["events"], strict=True):
        for name, value in vector["fields"].items():
            seen = row[name].tobytes().hex() if isinstance(value, str) else int(row[name])
            assert seen == value
    assert np.count_nonzero(arrays.is_proven(table)) == 4
