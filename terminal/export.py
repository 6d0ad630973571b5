# SPDX-License-Identifier: Apache-2.0
"""Write journal events into an export that anybody can check offline: batches and receipts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from keys.identity import Identity
from swipe.batch import BatchStamp, build_batch, events_max
from swipe.frames import (
    EXPORT,
    FILE_HEADER_SIZE,
    FileHeader,
    FrameKind,
    FrameReader,
    frame,
    read_file_header,
)
from swipe.kinds import BatchKind


def export(journal: Path, target: Path, identity: Identity, utc_ms: int) -> int:
    """Write all events of a journal as signed batches, and its receipts; return how many events.

    The journal must be of this identity.

    The journal may be in use: only whole frames are taken. The export is written beside its name
    and renamed, so that a stick pulled out too early holds no half of one.
    """
    header = _header(journal)
    draft = target.with_name(target.name + ".part")
    count = 0
    with draft.open("wb") as out:
        flagged = FileHeader(header.terminal_id, header.key_id, header.public_key, EXPORT)
        out.write(flagged.to_bytes())
        for number, events in enumerate(_runs(journal, events_max(identity.suite)), 1):
            stamp = BatchStamp(BatchKind.EXPORT, header.key_id, number, utc_ms)
            out.write(frame(FrameKind.BATCH, build_batch(stamp, events, identity)))
            count += len(events)
        for body in _bodies(journal, FrameKind.RECEIPT):
            out.write(frame(FrameKind.RECEIPT, body))
        out.flush()
        os.fsync(out.fileno())
    draft.replace(target)
    return count


def _header(journal: Path) -> FileHeader:
    with journal.open("rb") as file:
        return read_file_header(file)


def _runs(journal: Path, limit: int) -> Iterator[list[bytes]]:
    """Yield runs of consecutive events, at most a batch each."""
    run: list[bytes] = []
    for body in _bodies(journal, FrameKind.EVENT):
        if run and (len(run) == limit or _seq(body) != _seq(run[-1]) + 1):
            yield run
            run = []
        run.append(body)
    if run:
        yield run


def _bodies(journal: Path, kind: FrameKind) -> Iterator[bytes]:
    with journal.open("rb") as file:
        file.seek(FILE_HEADER_SIZE)
        for item in FrameReader(file):
            if item.kind == kind:
                yield item.body


def _seq(event: bytes) -> int:
    return int.from_bytes(event[16:20])
