# SPDX-License-Identifier: Apache-2.0
"""Commands about the public log, on a local copy of its files: prove, and verify without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from swipe import merkle, tiles
from swipe.batch import HEADER_SIZE
from swipe.errors import BadLog, BadNote, SwipeError
from swipe.event import EVENT_SIZE, Event, event_hash
from swipe.frames import FrameKind, read_file_header
from swipe.notes import NOTE_MAX, Note, Proof, VerifierKey
from swipe.salvage import Piece, salvage

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Hash(click.ParamType[bytes]):
    """Take a leaf of the log, the SHA-256 of an event, in hex."""

    name = "hex"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """Give the 32 bytes."""
        try:
            leaf = bytes.fromhex(str(value))
        except ValueError:
            leaf = b""
        if len(leaf) != merkle.HASH_SIZE:
            self.fail("expected 64 hex digits", param, ctx)
        return leaf


class Verifier(click.ParamType[VerifierKey]):
    """Take the key of a log or witness as one line of text."""

    name = "key"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> VerifierKey:
        """Give the key."""
        try:
            return VerifierKey.from_text(str(value))
        except BadNote as exc:
            return self.fail(str(exc), param, ctx)


leaf_option = click.option("--leaf", type=Hash(), help="the event's SHA-256, or any leaf's bytes")
event_option = click.option(
    "--event", "event", type=(FILE, int), metavar="FILE SEQ", help="an event of a journal or export"
)


@click.command(
    epilog="\n".join(
        (
            "\b",
            "例 Example:",
            "  yika-swipe prove /srv/yika/log --event pos1.export 17 -o 17.tlog-proof",
        )
    )
)
@click.argument("log", type=click.Path(exists=True, file_okay=False, path_type=Path))
@leaf_option
@event_option
@click.option("--index", type=click.IntRange(min=0), help="the number of the leaf, if you know it")
@click.option(
    "-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="file of the proof"
)
def prove(
    log: Path,
    leaf: bytes | None,
    event: tuple[Path, int] | None,
    index: int | None,
    output: Path | None,
) -> None:
    """取存证证明 Prove from a copy of the log's files that something stands in it.

    The proof is text of its own; whoever has the log's key checks it without log and network.
    """
    try:
        proof = _prove(log, _leaf(leaf, event), index)
    except SwipeError as exc:
        raise click.ClickException(f"{exc}; is {log} a whole copy of the log?") from exc
    if output is None:
        click.echo(str(proof), nl=False)
    else:
        output.write_text(str(proof), "utf-8")
        size = proof.note.checkpoint.size
        click.echo(f"{output}: 第 {proof.index} 条，共 {size} leaf {proof.index} of {size}")


@click.command(
    "verify-proof",
    epilog="\n".join(
        (
            "\b",
            "例 Example:",
            "  yika-swipe verify-proof 17.tlog-proof --event pos1.export 17 --log-key yika…+ab12…",
        )
    ),
)
@click.argument("proof", type=FILE)
@click.option("--log-key", type=Verifier(), required=True, help="the key of the log")
@click.option(
    "--witness", "witnesses", type=Verifier(), multiple=True, help="who must have seen it"
)
@leaf_option
@event_option
@click.option("--json", "as_json", is_flag=True, help="answer in JSON, one line")
def verify_proof(
    proof: Path,
    log_key: VerifierKey,
    witnesses: tuple[VerifierKey, ...],
    leaf: bytes | None,
    event: tuple[Path, int] | None,
    as_json: bool,
) -> None:
    """核对存证证明 Check a proof without the log: exit status 0 when it holds."""
    wanted = _leaf(leaf, event)
    if wanted is None:
        raise click.UsageError("say what is proven: --leaf HEX or --event FILE SEQ")
    try:
        text = proof.read_bytes()[: NOTE_MAX + 1].decode()
        found = Proof.from_text(text)
        document = _verify(found, wanted, (log_key, *witnesses))
    except (SwipeError, UnicodeDecodeError) as exc:
        raise click.ClickException(f"{proof}: 证明不成立 the proof does not hold: {exc}") from exc
    line = (
        f"成立 holds: 第 {document['index']} 条，共 {document['size']} "
        f"leaf {document['index']} of {document['size']} · {document['origin']}"
    )
    click.echo(json.dumps(document, ensure_ascii=False) if as_json else line)


def _prove(log: Path, leaf: bytes | None, index: int | None) -> Proof:
    fetch = tiles.folder(log)
    note = Note.from_text(fetch(tiles.CHECKPOINT).decode())
    size = note.checkpoint.size
    tree = tiles.Tiles(size, fetch)
    if index is None:
        if leaf is None:
            raise click.UsageError("say what to prove: --leaf, --event or --index")
        index = next((number for number, entry in tree.entries() if entry == leaf), size)
    if index >= size:
        raise click.ClickException("不在存证中 not in the log: copy its newest files and try again")
    if tree.root() != note.checkpoint.root:
        raise BadLog(str(log), "the tiles do not give the root of the checkpoint")
    proof = Proof(index, tuple(merkle.inclusion_proof(index, size, tree.node)), note)
    if leaf is not None:
        _check(proof, leaf)
    return proof


def _verify(proof: Proof, leaf: bytes, keys: tuple[VerifierKey, ...]) -> dict[str, Any]:
    head = proof.note.checkpoint
    if head.origin != keys[0].name:
        raise BadNote("checkpoint", f"it is of {head.origin}, not of {keys[0].name}")
    for key in keys:
        if not proof.note.signed_by(key):
            raise BadNote("checkpoint", f"no valid signature of {key.name}")
    _check(proof, leaf)
    return {
        "origin": head.origin,
        "index": proof.index,
        "size": head.size,
        "root": head.root.hex(),
        "signed_by": [key.name for key in keys],
    }


def _check(proof: Proof, leaf: bytes) -> None:
    head = proof.note.checkpoint
    leads_to = merkle.verify_inclusion(proof.index, head.size, merkle.leaf_hash(leaf), proof.hashes)
    if leads_to != head.root:
        raise BadNote("proof", f"the leaf is not number {proof.index} of this tree")


def _leaf(leaf: bytes | None, event: tuple[Path, int] | None) -> bytes | None:
    if event is None or leaf is not None:
        return leaf
    path, seq = event
    for raw in _events(path):
        if Event.from_bytes(raw).seq == seq:
            return event_hash(raw)
    raise click.ClickException(f"{path}: 没有第 {seq} 条记录 no event {seq} in this file")


def _events(path: Path) -> Iterator[bytes]:
    """Give every whole event of a journal or export, alone or in a batch."""
    with path.open("rb") as stream:
        read_file_header(stream)
        for piece in salvage(stream):
            if isinstance(piece, Piece) and piece.kind == FrameKind.EVENT:
                yield piece.body
            elif isinstance(piece, Piece) and piece.kind == FrameKind.BATCH:
                body = piece.body[HEADER_SIZE:]
                yield from (body[at : at + EVENT_SIZE] for at in range(0, len(body), EVENT_SIZE))
