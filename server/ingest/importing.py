# SPDX-License-Identifier: Apache-2.0
"""Take batches that come on a memory stick, exactly as an upload, and put the receipts back.

The stick is not trusted: every batch has its own signature and is taken on its own, so a damaged
or forged file stops no other. The manifest tells what should be there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.ingest.services import Intake, Upload, accept_batch
from server.terminals.models import Terminal, TerminalKey
from swipe.batch import HEADER_SIZE, MAX_BATCH_EVENTS
from swipe.errors import SwipeError
from swipe.event import EVENT_SIZE
from swipe.frames import EXPORT, FileHeader, FrameKind, frame
from swipe.stick import (
    MANIFEST,
    MANIFEST_SIZE_MAX,
    RECEIPTS,
    Listed,
    Manifest,
    batch_name,
    batch_numbers,
    folder_terminal,
    manifest_holds,
)

BATCH_SIZE_MAX = HEADER_SIZE + MAX_BATCH_EVENTS * EVENT_SIZE
# Terminals on one stick; more is no stick of ours.
FOLDERS_MAX = 1_000


@dataclass(slots=True)
class Imported:
    """What became of one terminal's folder: batches stored, known already, and refused and why.

    `left_out` names the numbers of a batch that were not stored because they are a new box's.
    """

    terminal_id: int
    stored: int = 0
    replayed: int = 0
    events: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def import_stick(intake: Intake, stick: Path, now_ms: int) -> list[Imported]:
    """Take everything on a stick, and leave a file of receipts in each terminal's folder.

    Doing it again is harmless: what is stored gets the same receipts.

    Raises:
        Refused: There is no folder of a terminal on it.
        OSError: It cannot be read or written.
    """
    names = sorted(path.name for path in stick.iterdir() if path.is_dir())
    folders = [name for name in names if folder_terminal(name) is not None][:FOLDERS_MAX]
    if not folders:
        raise Refused(
            "empty-stick", "U盘上没有终端数据", f"no terminal's folder (yika-…) in {stick}"
        )
    return [_import_folder(intake, stick / name, now_ms) for name in folders]


def _import_folder(intake: Intake, folder: Path, now_ms: int) -> Imported:
    terminal_id = folder_terminal(folder.name) or 0
    found = Imported(terminal_id)
    with intake.database.reading() as session:
        keys = _keys(session, terminal_id)
    if not keys:
        found.refused[folder.name] = "终端未知 unknown terminal"
        return found
    listed = {item.batch_no: item for item in _manifest(folder, keys, found)}
    receipts: list[bytes] = []
    numbers = batch_numbers([path.name for path in folder.iterdir()])
    for number in sorted({*numbers, *listed}):
        receipt = _take(intake, folder, (terminal_id, number, now_ms), listed.get(number), found)
        if receipt:
            receipts.append(receipt)
    if receipts:
        _give_back(folder, keys, terminal_id, receipts)
    return found


def _take(
    intake: Intake,
    folder: Path,
    about: tuple[int, int, int],
    listed: Listed | None,
    found: Imported,
) -> bytes:
    """Take one batch; return its receipt, or nothing and note why."""
    terminal_id, number, now_ms = about
    name = batch_name(number)
    try:
        with (folder / name).open("rb") as file:
            body = file.read(BATCH_SIZE_MAX + 1)
    except OSError as error:
        found.refused[name] = f"文件读不出 cannot be read: {error.strerror}"
        return b""
    if listed is not None and hashlib.sha256(body).hexdigest() != listed.sha256:
        found.refused[name] = "与清单不符 differs from the manifest"
        return b""
    answer = accept_batch(intake, Upload(terminal_id, number, body, now_ms))
    if answer.problem is not None:
        found.refused[name] = str(answer.problem)
        return b""
    found.replayed += answer.replay
    found.stored += not answer.replay
    found.events += sum(answer.stored.values())
    if answer.left_out:
        found.left_out[name] = f"{answer.left_out.start}–{answer.left_out.stop - 1}"
    return answer.body


def _manifest(folder: Path, keys: list[TerminalKey], found: Imported) -> tuple[Listed, ...]:
    """Return what the manifest lists; nothing, with a note, if it is not the terminal's."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            raw = file.read(MANIFEST_SIZE_MAX + 1)
        manifest, signed, signature = Manifest.parse(raw)
    except OSError as error:
        found.refused[MANIFEST] = f"文件读不出 cannot be read: {error.strerror}"
        return ()
    except SwipeError as error:
        found.refused[MANIFEST] = str(error)
        return ()
    key = next((key for key in keys if key.id == manifest.key_id), None)
    ours = manifest.terminal_id == found.terminal_id
    if key is None or not ours or not manifest_holds(signed, signature, key.public_key):
        found.refused[MANIFEST] = "签名不对 the signature is not this terminal's"
        return ()
    return manifest.batches


def _give_back(
    folder: Path, keys: list[TerminalKey], terminal_id: int, receipts: list[bytes]
) -> None:
    """Write the receipts beside the batches: the old file or the new one, never a part."""
    header = FileHeader(terminal_id, keys[0].id, keys[0].public_key, EXPORT)
    frames = b"".join(frame(FrameKind.RECEIPT, receipt) for receipt in receipts)
    draft = folder / f".{RECEIPTS}.new"
    draft.write_bytes(header.to_bytes() + frames)
    draft.replace(folder / RECEIPTS)


def _keys(session: Session, terminal_id: int) -> list[TerminalKey]:
    if session.get(Terminal, terminal_id) is None:
        return []
    statement = sa.select(TerminalKey).where(TerminalKey.terminal_id == terminal_id)
    found = list(session.scalars(statement.order_by(TerminalKey.id)))
    session.expunge_all()
    return found
