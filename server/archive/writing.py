# SPDX-License-Identifier: Apache-2.0
"""Write months of the database as Parquet; what is archived and unchanged is left as it is.

Nothing is ever deleted from the database, and a month of events that is over never changes: if the
database tells another total than the manifest, that is refused and named, not overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy.orm import Session

from server.archive.columns import PARTIAL, read
from server.archive.manifest import Manifest, MonthPart, digest_of
from server.archive.policy import Topic, is_over, months_between
from server.archive.topics import SOURCES, Source, digest
from server.db import from_millis
from server.errors import Refused
from server.operations.policy import Month
from server.schema import newest_revision

PIECE = 10_000  # rows held at a time: memory does not grow with a month
SHARDS_DEFAULT = 16
Teller = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What to archive: up to a month, the months that are not over too, in how many shards."""

    until: Month | None = None
    unfinished: bool = False
    topics: tuple[Topic, ...] = tuple(Topic)
    shards: int = SHARDS_DEFAULT


def write(
    session: Session,
    folder: Path,
    wish: Wish,
    now_ms: int,
    tell: Teller,
) -> Manifest:
    """Archive what is not archived yet; return the manifest. Each month written is told.

    Raises:
        Refused: the folder has another number of shards, or a month of events has changed.
    """
    manifest = Manifest.read(folder) or Manifest(newest_revision(), wish.shards)
    if manifest.shards != wish.shards:
        raise Refused(
            "shards",
            f"档案分 {manifest.shards} 片，不能改",
            f"{folder} has {manifest.shards} shards, not {wish.shards}: that does not change",
        )
    manifest.schema = newest_revision()
    for topic in wish.topics:
        span = SOURCES[topic].span_ms(session)
        for month in months_between(*span) if span else ():
            over = is_over(month, now_ms)
            if (wish.until and month > wish.until) or not (over or wish.unfinished):
                continue
            if _unchanged(session, manifest, topic, month, over=over):
                continue
            name = f"{topic}/{month}"
            manifest.months[name] = _write_month(session, folder, (topic, month), manifest, now_ms)
            manifest.write(folder)
            tell(f"{name}: {manifest.months[name].rows} 行 rows")
    return manifest


def _unchanged(
    session: Session, manifest: Manifest, topic: Topic, month: Month, *, over: bool
) -> bool:
    part = manifest.months.get(f"{topic}/{month}")
    found = SOURCES[topic].totals(session, month)
    if part is None:
        return found[0] == 0
    same = found == (part.rows, part.totals["sum"])
    if topic is Topic.EVENTS and part.over and not same:
        raise Refused(
            "evidence-differs",
            f"{month} 的记录与档案不符：库中 {found[0]} 条，档案 {part.rows} 条",
            f"events of {month} differ from the archive: {found[0]} in the database, "
            f"{part.rows} archived: look at audit verify before anything else",
        )
    return same and part.over == over


def _write_month(
    session: Session, folder: Path, what: tuple[Topic, Month], manifest: Manifest, now_ms: int
) -> MonthPart:
    topic, month = what
    source = SOURCES[topic]
    place = folder / topic / str(month)
    place.mkdir(parents=True, exist_ok=True)
    drafts = [place / f"s{shard:04d}.parquet{PARTIAL}" for shard in range(manifest.shards)]
    statement = source.of(month).execution_options(yield_per=PIECE)
    _deal(source, session.execute(statement).partitions(), drafts)
    files: dict[str, list[int | str]] = {}
    for draft in drafts:
        target = draft.with_name(draft.name.removesuffix(PARTIAL))
        if draft.exists():
            draft.replace(target)
            rows = int(pq.ParquetFile(target).metadata.num_rows)
            files[str(target.relative_to(folder))] = [rows, digest_of(target)]
        else:
            target.unlink(missing_ok=True)
    totals = totals_of(topic, [folder / name for name in sorted(files)])
    made = from_millis(now_ms).isoformat(timespec="seconds")
    rows = sum(int(cells[0]) for cells in files.values())
    return MonthPart(rows, totals, files, is_over(month, now_ms), made)


def _deal(source: Source, pieces: Iterable[Any], drafts: list[Path]) -> None:
    """Write rows to the file of their shard, a piece at a time."""
    schema = source.schema
    at = schema.get_field_index(source.shard_by)
    writers: dict[int, pq.ParquetWriter] = {}
    try:
        for piece in pieces:
            cells = list(zip(*piece, strict=True))
            table = pa.table(
                [pa.array(column, kind) for column, kind in zip(cells, schema.types, strict=True)],
                schema=schema,
            )
            shard = np.array(cells[at], np.int64) % len(drafts)
            for number in np.unique(shard).tolist():
                if number not in writers:
                    draft = drafts[number]
                    writers[number] = pq.ParquetWriter(draft, schema, compression="zstd")
                writers[number].write_table(table.filter(pa.array(shard == number)))
    finally:
        for writer in writers.values():
            writer.close()


def totals_of(topic: Topic, paths: list[Path]) -> dict[str, int | str]:
    """Return the control totals of the files of a month: the sum, and the digest of the rows."""
    name = SOURCES[topic].summed
    total = 0
    for path in paths:
        total += int(np.sum(read(path).column(name).to_numpy(), dtype=np.int64))
    return {"sum": total, "digest": digest(topic, (read(path) for path in paths))}


def compared(session: Session, manifest: Manifest) -> list[str]:
    """Name every month whose totals the database does not give."""
    faults = []
    for name, part in sorted(manifest.months.items()):
        topic, month = name.split("/")
        rows, total = SOURCES[Topic(topic)].totals(session, Month.parse(month))
        if (rows, total) != (part.rows, part.totals["sum"]):
            said = f"{rows} rows, sum {total}"
            faults.append(f"{name}: {part.rows} rows, sum {part.totals['sum']}; database: {said}")
    return faults


def verified(folder: Path, manifest: Manifest) -> list[str]:
    """Name every file that is missing, changed or says something else than the manifest."""
    faults = []
    for name, part in sorted(manifest.months.items()):
        sound = True
        for file, (rows, sha256) in sorted(part.files.items()):
            fault = _file_fault(folder / file, int(rows), str(sha256))
            if fault:
                sound = False
                faults.append(f"{file}: {fault}")
        if sound and totals_of(Topic(name.split("/")[0]), _paths(folder, part)) != part.totals:
            faults.append(f"{name}: control totals differ")
    return faults


def _paths(folder: Path, part: MonthPart) -> list[Path]:
    return [folder / file for file in sorted(part.files)]


def _file_fault(path: Path, rows: int, sha256: str) -> str | None:
    if not path.exists():
        return "缺失 missing"
    if digest_of(path) != sha256:
        return "内容已变 changed"
    found = int(pq.ParquetFile(path).metadata.num_rows)
    return None if found == rows else f"{found} rows instead of {rows}"
