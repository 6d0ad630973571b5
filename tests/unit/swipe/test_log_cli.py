# SPDX-License-Identifier: Apache-2.0
"""The commands yika-swipe prove and verify-proof, on a local copy of a log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from swipe import merkle, notes, tiles
from swipe.cli import cli
from swipe.event import event_hash
from swipe.frames import FrameKind, frame
from swipe.notes import Checkpoint, VerifierKey
from tests.factories import event_frames, make_batch, make_chain, make_file, make_identity

CHAIN = make_chain(6)
LEAVES = [event_hash(event) for event in CHAIN]
ORIGIN = "yika.example/log"
KEY = str(VerifierKey.of(ORIGIN, make_identity("server").public_key))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Give the folder of a log of six events."""
    folder = tmp_path / "log"
    files = {
        tiles.tile_path(0, 0, 6): b"".join(map(merkle.leaf_hash, LEAVES)),
        tiles.tile_path("entries", 0, 6): tiles.bundle(LEAVES),
        tiles.CHECKPOINT: str(
            notes.sign(Checkpoint(ORIGIN, 6, merkle.root(LEAVES)), make_identity("server"))
        ).encode(),
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Give the path of an export with the events alone and in a batch."""
    path = tmp_path / "pos.export"
    batch = frame(FrameKind.BATCH, make_batch(CHAIN[3:]))
    path.write_bytes(make_file([*event_frames(CHAIN[:3]), batch]))
    return path


def run(*arguments: object) -> Result:
    """Run one command."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.mark.parametrize("seq", [1, 5])
def test_an_exported_event_is_proven_and_verified(log: Path, export: Path, seq: int) -> None:
    """An event, alone or in a batch, gets a proof that holds for it and for no other event."""
    proof = export.with_name("it.tlog-proof")
    made = run("prove", log, "--event", export, seq, "-o", proof)
    held = run("verify-proof", proof, "--event", export, seq, "--log-key", KEY, "--json")
    other = run("verify-proof", proof, "--event", export, 3, "--log-key", KEY)

    assert made.exit_code == held.exit_code == 0, made.output + held.output
    assert json.loads(held.output)["index"] == seq - 1
    assert other.exit_code == 1
    assert "does not hold" in other.output


def test_a_proof_by_number_or_hash_is_the_same(log: Path) -> None:
    """The leaf found by its hash and the leaf asked for by number have one proof."""
    by_hash = run("prove", log, "--leaf", LEAVES[2].hex())
    by_number = run("prove", log, "--index", 2)

    assert by_hash.output == by_number.output
    assert by_hash.output.startswith(notes.PROOF_HEAD)


def test_what_is_not_in_the_log_has_no_proof(log: Path) -> None:
    """An unknown leaf, a number beyond the tree and a wrong pair end with status 1."""
    for wanted in (["--leaf", "00" * 32], ["--index", "6"]):
        done = run("prove", log, *wanted)
        assert (done.exit_code, "not in the log" in done.output) == (1, True)
    assert run("prove", log, "--index", 2, "--leaf", LEAVES[1].hex()).exit_code == 1
    assert run("prove", log).exit_code == 2


def test_a_changed_log_proves_nothing(log: Path) -> None:
    """Tiles that do not give the signed root are named, and so is a tile that is gone."""
    tile = log / tiles.tile_path(0, 0, 6)
    tile.write_bytes(bytes(6 * 32))
    changed = run("prove", log, "--index", 2)
    tile.unlink()
    gone = run("prove", log, "--index", 2)

    assert "do not give the root" in changed.output
    assert "tile/0/000" in gone.output
    assert changed.exit_code == gone.exit_code == 1


def test_who_did_not_sign_is_named(log: Path, tmp_path: Path) -> None:
    """A foreign log key and a witness that did not cosign are refused by name."""
    proof = tmp_path / "it.tlog-proof"
    run("prove", log, "--index", 0, "-o", proof)
    asked = ["verify-proof", proof, "--leaf", LEAVES[0].hex()]
    foreign = VerifierKey.of(ORIGIN, make_identity("other").public_key)
    witness = VerifierKey.of("w.example", make_identity("w").public_key, witness=True)

    assert run(*asked, "--log-key", foreign).exit_code == 1
    missing = run(*asked, "--log-key", KEY, "--witness", witness)
    assert "no valid signature of w.example" in missing.output
    assert run(*asked, "--log-key", "nonsense").exit_code == 2
