# SPDX-License-Identifier: Apache-2.0
"""Commands of the archive: write it, verify it, list it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click
import sqlalchemy as sa

from server.archive import hours, spark, statistics, writing
from server.archive.manifest import Manifest
from server.archive.policy import SHARDS_MAX
from server.archive.spark import Cluster
from server.archive.writing import SHARDS_DEFAULT, Wish
from server.console import Console, example, json_option, show
from server.errors import Refused
from server.operations.cli import MonthType
from server.operations.policy import Month
from server.reconciliation import elsewhere
from server.terminals.models import Site

folder_argument = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


@click.group()
def archive() -> None:
    """档案 Events, hours and ledger as Parquet by month and shard."""


@archive.command(
    "write",
    epilog=example(
        "yika-server archive write /archive", "yika-server archive write /archive --all"
    ),
)
@folder_argument
@click.option("--until", type=MonthType(), help="the last month to write, YYYY-MM")
@click.option("--all", "unfinished", is_flag=True, help="months that are not over, too")
@click.option(
    "--shards", type=click.IntRange(1, SHARDS_MAX), default=SHARDS_DEFAULT, show_default=True,
    help="files of a month and topic; for ever",
)  # fmt: skip
@json_option
@click.pass_obj
def archive_write(
    console: Console,
    folder: Path,
    until: Month | None,
    unfinished: bool,
    shards: int,
    as_json: bool,
) -> None:
    """写档案 Write the months that are not archived yet; one that was cut off goes on."""
    wish = Wish(until, unfinished, shards=shards)
    with console.reading() as session:
        made = writing.write(session, folder, wish, console.clock.utc_ms(), _told(as_json=as_json))
    rows = sum(part.rows for part in made.months.values())
    show(_document(folder, made), f"{folder}: {len(made.months)} 份 parts, {rows} 行 rows",
         as_json=as_json)  # fmt: skip


def _told(*, as_json: bool) -> writing.Teller:
    return (lambda _line: None) if as_json else click.echo


@archive.command(
    "verify",
    epilog=example(
        "yika-server archive verify /archive", "yika-server archive verify /archive --database"
    ),
)
@folder_argument
@click.option("--database", "against", is_flag=True, help="compare the totals with the database")
@json_option
@click.pass_obj
def archive_verify(console: Console, folder: Path, against: bool, as_json: bool) -> None:
    """核对档案 Check every file, hash and control total; exit 1 when something differs."""
    manifest = _read(folder)
    faults = writing.verified(folder, manifest)
    if against:
        with console.reading() as session:
            faults += writing.compared(session, manifest)
    verdict = "不符 differs" if faults else "完好 sound"
    text = "\n".join([f"{folder}: {len(manifest.months)} 份 parts: {verdict}", *faults])
    show(_document(folder, manifest) | {"faults": faults}, text, as_json=as_json)
    sys.exit(1 if faults else 0)


@archive.command("list", epilog=example("yika-server archive list /archive --json"))
@folder_argument
@json_option
def archive_list(folder: Path, as_json: bool) -> None:
    """列出档案 List the months of an archive with their totals."""
    manifest = _read(folder)
    lines = [
        f"{name}: {part.rows} 行 rows, {len(part.files)} 个文件 files, Σ {part.totals['sum']}"
        + ("" if part.over else " · 未完 not over")
        for name, part in sorted(manifest.months.items())
    ]
    show(_document(folder, manifest), "\n".join(lines) or "空 empty", as_json=as_json)


@archive.command(
    "statistics", epilog=example("yika-server archive statistics /archive --master spark://h:7077")
)
@folder_argument
@click.option("--master", help="sum on a Spark cluster instead of here")
@json_option
@click.pass_obj
def archive_statistics(console: Console, folder: Path, master: str | None, as_json: bool) -> None:
    """统计 Sum the archived hours by region and month."""
    manifest = _read(folder)
    with console.reading() as session:
        found = session.execute(sa.select(Site.id, Site.region)).all()
    regions = {number: region or "" for number, region in found}
    if master:
        with spark.connect(Cluster(master)) as connected:
            sums = statistics.on_cluster(connected, folder.resolve(), manifest, regions)
    else:
        sums = statistics.by_region_and_month(folder, manifest, regions)
    lines = [
        f"{each.region or '–'} {each.month}: {each.services} 次 services, {each.minutes} 分钟 min"
        for each in sums
    ]
    show({"sums": [asdict(each) for each in sums]}, "\n".join(lines) or "空 empty", as_json=as_json)


def _read(folder: Path) -> Manifest:
    manifest = Manifest.read(folder)
    if manifest is None:
        raise Refused(
            "no-archive", f"{folder} 不是档案", f"{folder} is no archive: run archive write first"
        )
    return manifest


def _document(folder: Path, manifest: Manifest) -> dict[str, object]:
    months = {name: asdict(part) for name, part in sorted(manifest.months.items())}
    return {
        "folder": str(folder), "schema": manifest.schema, "shards": manifest.shards,
        "months": months,
    }  # fmt: skip


COMMANDS = [archive]
elsewhere.register("spark", hours.reconcile)
