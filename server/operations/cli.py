# SPDX-License-Identifier: Apache-2.0
"""Commands of operations: backups, and a look at every part."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from server.console import Console, example, json_option, show
from server.operations import backup as backups
from server.operations import doctor as examination
from server.operations import partitions
from server.operations.partitions import AHEAD_DEFAULT, AHEAD_MAX
from server.operations.policy import Month, month_of
from server.operations.rehearsal import rehearse

folder_argument = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
key_option = click.option(
    "--server-key", "key", help="the server's public key (hex), kept elsewhere; else the backup's"
)


@click.group()
def backup() -> None:
    """备份 Backups: make, check, restore, rehearse."""


@backup.command("make", epilog=example("yika-server backup make /backup/2026-11-22"))
@folder_argument
@json_option
@click.pass_obj
def backup_make(console: Console, folder: Path, as_json: bool) -> None:
    """制作备份 Copy database, key store and signing key, while the server serves."""
    with console.runtime() as runtime:
        made = backups.make(runtime, folder)
    _tell(folder, made, "已备份 backed up", as_json=as_json)


@backup.command("check", epilog=example("yika-server backup check /backup/2026-11-22"))
@folder_argument
@key_option
@json_option
@click.pass_obj
def backup_check(console: Console, folder: Path, key: str | None, as_json: bool) -> None:
    """检查备份 Check the signature and every file of a backup."""
    del console
    _tell(folder, backups.check(folder, _key(key)), "完好 sound", as_json=as_json)


@backup.command(
    "restore",
    epilog=example("YIKA_DATA_DIR=/srv/new yika-server backup restore /backup/2026-11-22"),
)
@folder_argument
@key_option
@json_option
@click.pass_obj
def backup_restore(console: Console, folder: Path, key: str | None, as_json: bool) -> None:
    """恢复 Bring a backup back into an empty data folder and an empty database."""
    made = backups.restore(folder, console.config, _key(key))
    _tell(folder, made, "已恢复 restored", as_json=as_json)


@backup.command("rehearse", epilog=example("yika-server backup rehearse /backup/2026-11-22"))
@folder_argument
@key_option
@json_option
@click.pass_obj
def backup_rehearse(console: Console, folder: Path, key: str | None, as_json: bool) -> None:
    """演练恢复 Restore into a scratch place, derive all hours again, compare every figure."""
    done = rehearse(folder, console.config, console.clock.utc_ms(), _key(key))
    verdict = "不一致 differ" if done.faults else "一致 identical"
    first = (
        f"{done.events} 条记录 events · {done.people} 人 people · "
        f"{done.credited_minutes} 分钟 minutes: {verdict}"
    )
    show(asdict(done), "\n".join([first, *done.faults]), as_json=as_json)
    sys.exit(1 if done.faults else 0)


@click.command(epilog=example("yika-server doctor", "yika-server doctor --json"))
@json_option
@click.pass_obj
def doctor(console: Console, as_json: bool) -> None:
    """体检 Look at every part of the server; what is wrong comes with what to do."""
    findings = examination.examine(console.config, console.clock)
    text = "\n".join(str(finding) for finding in findings)
    failed = any(finding.level is examination.Level.BAD for finding in findings)
    document = {"ok": not failed, "findings": [finding.to_json() for finding in findings]}
    show(document, text, as_json=as_json)
    sys.exit(1 if failed else 0)


class MonthType(click.ParamType[Month]):
    """A month of the command line, YYYY-MM."""

    name = "month"

    def convert(self, value: object, param: object, ctx: object) -> Month:
        """Read it; a text that is none is a usage error."""
        del param, ctx
        if isinstance(value, Month):
            return value
        try:
            return Month.parse(str(value))
        except ValueError as error:
            raise click.BadParameter(str(error)) from error


month_argument = click.argument("month", type=MonthType())
by_option = click.option("--by", "actor", required=True, help="the user who does it")


@click.group()
def partition() -> None:
    """分区 Partitions of the events by month (PostgreSQL)."""


@partition.command(
    "make", epilog=example("yika-server partition make", "yika-server partition make --ahead 6")
)
@click.option(
    "--ahead", type=click.IntRange(0, AHEAD_MAX), default=AHEAD_DEFAULT, show_default=True,
    help="months after this one",
)  # fmt: skip
@json_option
@click.pass_obj
def partition_make(console: Console, ahead: int, as_json: bool) -> None:
    """预建分区 Make the partitions of this month and some to come; let a timer do it every day."""
    with console.database() as database:
        made = partitions.make(database, console.clock.utc_ms(), ahead)
    show({"made": made}, "\n".join(made) or "都已建好 all there already", as_json=as_json)


@partition.command("list", epilog=example("yika-server partition list --json"))
@json_option
@click.pass_obj
def partition_list(console: Console, as_json: bool) -> None:
    """列出分区 List the partitions, those taken out included."""
    with console.database() as database:
        found = partitions.listed(database)
    lines = [
        f"{part.name}: {_edge(part.first_ms)} – {_edge(part.until_ms)}, {part.bytes} bytes"
        + ("" if part.attached else " · 已移出 detached")
        for part in found
    ]
    document = {"partitions": [asdict(part) for part in found]}
    show(document, "\n".join(lines), as_json=as_json)


@partition.command("detach", epilog=example("yika-server partition detach 2025-11 --by wang"))
@month_argument
@by_option
@json_option
@click.pass_obj
def partition_detach(console: Console, month: Month, actor: str, as_json: bool) -> None:
    """移出分区 Take a month out that nobody's hours rest on; its table stays in `months`."""
    with console.database() as database:
        rows = partitions.detach(database, month, actor, console.clock.utc_ms())
    text = (
        f"{month}: 已移出 detached, {rows} 条记录 events\n"
        f"  下一步 next: pg_dump --table months.{month.table} …, 再 then DROP TABLE; "
        f"或放回 or yika-server partition attach {month}"
    )
    show({"month": str(month), "events": rows}, text, as_json=as_json)


@partition.command("attach", epilog=example("yika-server partition attach 2025-11 --by wang"))
@month_argument
@by_option
@click.pass_obj
def partition_attach(console: Console, month: Month, actor: str) -> None:
    """放回分区 Put a month back that was taken out."""
    with console.database() as database:
        partitions.attach(database, month, actor, console.clock.utc_ms())


def _edge(at_ms: int | None) -> str:
    return "…" if at_ms is None else str(month_of(at_ms))


def _tell(folder: Path, made: backups.Manifest, said: str, *, as_json: bool) -> None:
    found = made.figures
    text = (
        f"{folder}: {said} · {made.made} · schema {made.revision} · "
        f"{found.rows.get('event', 0)} 条记录 events · {found.credited_minutes} 分钟 minutes"
    )
    document = {"folder": str(folder), "made": made.made, "files": sorted(made.files)}
    show(document | {"figures": found.to_json()}, text, as_json=as_json)


def _key(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise click.BadParameter(
            "a public key is written in hex", param_hint="--server-key"
        ) from error


COMMANDS = [backup, doctor, partition]
