# SPDX-License-Identifier: Apache-2.0
"""The published log: tiles and checkpoints on disk continue each other, whatever happens."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from server import evidence
from server.db import Database
from server.evidence import LogState
from server.people import audit
from server.transparency import leaves, seals
from server.transparency.errors import LogDiverged
from server.transparency.publishing import Press, publish
from server.transparency.tile_files import LogFolder
from swipe import merkle, tiles
from swipe.event import event_hash
from swipe.notes import VerifierKey
from tests.integration.server.rig import NOW_MS, Rig

ORIGIN = "yika.example/log"


class Cut(Exception):
    """The power goes."""


class CutFolder(LogFolder):
    """A folder whose power goes before its n-th write."""

    def __init__(self, path: Path, writes: int) -> None:
        super().__init__(path)
        self.left = writes

    def _write(self, name: str, data: bytes) -> None:
        if not self.left:
            raise Cut
        self.left -= 1
        super()._write(name, data)


def press_at(rig: Rig, path: Path) -> Press:
    """Return the press of a rig."""
    return Press(rig.database, rig.server_identity, LogFolder(path), ORIGIN)


@pytest.fixture
def press(rig: Rig, tmp_path: Path) -> Press:
    """A press with an empty folder."""
    return press_at(rig, tmp_path / "log")


def append(database: Database, count: int) -> None:
    """Make the log longer by records, each a leaf."""
    with database.writing() as session:
        for number in range(count):
            evidence.append_record(session, NOW_MS, "test", {"n": number})


def stored_leaves(database: Database) -> list[bytes]:
    """Return all leaves as the tables hold them."""
    with database.reading() as session:
        size = session.scalars(sa.select(LogState.size)).one()
        return leaves.read(session, 0, size)


def test_a_checkpoint_signs_what_the_tables_hold(rig: Rig, press: Press) -> None:
    """Size, root, entries and signature of the first checkpoint are those of the stored leaves."""
    events = rig.chain(3)
    rig.upload(events)

    note = publish(press, NOW_MS)

    stored = stored_leaves(rig.database)
    head = note.checkpoint
    assert note.signed_by(VerifierKey.of(ORIGIN, rig.server_identity.public_key))
    assert (head.origin, head.size, head.root) == (ORIGIN, len(stored), merkle.root(stored))
    assert [entry for _, entry in press.folder.tree(head.size).entries()] == stored
    assert set(map(event_hash, events)) < set(stored)
    assert press.folder.note() == note


def test_growing_tiles_are_those_of_the_whole_tree(rig: Rig, press: Press, tmp_path: Path) -> None:
    """A log published piece by piece ends in the same files as one published at once."""
    for count in (1, 254, 1, 3, 250, 600):
        append(rig.database, count)
        publish(press, NOW_MS, seal=False)
    whole = press_at(rig, tmp_path / "whole")
    publish(whole, NOW_MS, seal=False)

    def files(press: Press) -> dict[str, bytes]:
        root = press.folder.path
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }

    grown = files(press)
    assert files(whole).items() <= grown.items()
    assert "tile/0/000.p/255" not in grown


def test_each_checkpoint_continues_the_one_before(rig: Rig, press: Press) -> None:
    """Consistency proofs made from the files hold between any two checkpoints."""
    heads = []
    for count in (1, 7, 300, 1):
        append(rig.database, count)
        heads.append(publish(press, NOW_MS, seal=False).checkpoint)

    tree = press.folder.tree(heads[-1].size)
    for head in heads:
        proof = merkle.consistency_proof(head.size, tree.size, tree.node)
        new = (tree.size, heads[-1].root)
        assert merkle.verify_consistency((head.size, head.root), new, proof)


def test_a_cut_while_writing_is_made_good(sqlite_rig: Rig, tmp_path: Path) -> None:
    """Cut before any write, the files still hold the older checkpoint, and go on from there."""
    path = tmp_path / "log"
    append(sqlite_rig.database, 300)
    first = publish(press_at(sqlite_rig, path), NOW_MS, seal=False).checkpoint
    append(sqlite_rig.database, 250)
    for writes in range(6):  # two tiles, two bundles, one tile above, the checkpoint
        folder = CutFolder(path, writes)
        with pytest.raises(Cut):
            publish(replace(press_at(sqlite_rig, path), folder=folder), NOW_MS, seal=False)
        note = LogFolder(path).note()
        assert note is not None
        assert note.checkpoint == first
        assert LogFolder(path).holds(first.size, first.root)

    assert publish(press_at(sqlite_rig, path), NOW_MS, seal=False).checkpoint.size == 550


def test_damaged_tiles_are_written_again(rig: Rig, press: Press) -> None:
    """Tiles that were changed or lost come back from the tables."""
    append(rig.database, 300)
    head = publish(press, NOW_MS, seal=False).checkpoint
    (press.folder.path / tiles.tile_path(0, 0)).write_bytes(bytes(8192))
    (press.folder.path / tiles.tile_path(1, 0, 1)).unlink()
    append(rig.database, 1)

    publish(press, NOW_MS, seal=False)

    assert press.folder.holds(head.size, head.root)


def test_a_database_from_before_signs_nothing(rig: Rig, press: Press) -> None:
    """Fewer leaves than were published, or others, are told and never signed."""
    append(rig.database, 5)
    publish(press, NOW_MS, seal=False)
    tree = merkle.CompactRange()
    tree.extend([b"x"] * 4)
    other = merkle.CompactRange()
    other.extend([b"x"] * 5)

    for forged in (tree, other):
        with rig.database.writing() as session:
            session.execute(
                sa.update(LogState).values(size=forged.size, frontier=forged.to_bytes())
            )
        with pytest.raises(LogDiverged, match="nothing is signed"):
            publish(press, NOW_MS, seal=False)


def test_every_checkpoint_covers_audit_trail_and_verdicts(rig: Rig, press: Press) -> None:
    """Publishing makes the end of the audit chain and the server's word on each event leaves."""
    rig.upload(rig.chain(3))
    publish(press, NOW_MS)
    publish(press, NOW_MS)

    with rig.database.reading() as session:
        kinds = list(session.scalars(sa.select(evidence.LogRecord.kind)))
        head = seals.last_record(session, seals.AUDIT_HEAD)
        number, digest = audit.head(session)
        rows = seals.Seal.from_body(seals.last_record(session, seals.ROWS) or b"")
    assert sorted(kinds) == [seals.AUDIT_HEAD, seals.ROWS]
    assert head == evidence.canonical(seals.AUDIT_HEAD, {"number": number, "hash": digest.hex()})
    assert (rows.first, rows.last, len(rows.tags)) == (0, 2, 3 * seals.TAG)


def test_two_servers_publish_the_same_log(rig: Rig, tmp_path: Path) -> None:
    """Two servers that upload and publish at once, each into its folder, sign consistent heads."""
    posts = [rig.add_post(number) for number in range(2)]
    presses = [press_at(rig, tmp_path / f"log{number}") for number in range(2)]
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            events = posts[number].chain(6, rig.store)
            for batch in range(6):
                body = posts[number].batch(events[batch : batch + 1], batch + 1)
                assert rig.put(body, batch + 1, posts[number].terminal_id).status == 200
                publish(presses[number], NOW_MS)
        except BaseException as error:  # noqa: BLE001 - told by the test below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failed
    heads = [publish(press, NOW_MS).checkpoint for press in presses]
    assert heads[0] == heads[1]
    assert heads[0].root == merkle.root(stored_leaves(rig.database))


@pytest.fixture
def served(sqlite_rig: Rig, tmp_path: Path) -> tuple[Rig, Path]:
    """A rig with a published log in its data folder."""
    append(sqlite_rig.database, 300)
    publish(press_at(sqlite_rig, tmp_path / "log"), NOW_MS)
    return sqlite_rig, tmp_path


def test_the_files_are_served_as_they_are(served: tuple[Rig, Path]) -> None:
    """Checkpoint and tiles come with their types and lifetimes; nothing else comes at all."""
    rig, folder = served
    client = rig.app(folder).test_client()

    with client.get("/log/checkpoint") as head:
        assert head.data == (folder / "log" / "checkpoint").read_bytes()
        assert head.content_type == "text/plain; charset=utf-8"
    with client.get("/log/tile/0/000") as tile:
        assert len(tile.data) == 8192
        assert "immutable" in tile.headers["Cache-Control"]
    with client.get("/log/tile/entries/000") as entries:
        assert len(tiles.unbundle(entries.data, "x")) == 256
    for path in ("/log/tile/0/999", "/log/.lock", "/log/tile/../checkpoint", "/log/tile/0/0"):
        assert client.get(path).status_code == 404
