# SPDX-License-Identifier: Apache-2.0
"""Commands about the public log, the audit of everything stored, and roles of the database."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.console import Console, example, json_option, show
from server.db import from_millis
from server.evidence import LogRecord
from server.people.cli import instant_ms
from server.people.models import Audit
from server.transparency.publishing import folder_of, press_of, publish
from server.transparency.restarting import restart
from server.transparency.roles import roles
from server.transparency.tile_files import LogFolder
from server.transparency.verification import Verification
from swipe.notes import VerifierKey

FINDINGS_SHOWN = 200
LINES_SHOWN = 100


@click.group()
def log() -> None:
    """存证日志 The public log: tiles, checkpoints, its key."""


@log.command("publish", epilog=example("yika-server log publish"))
@json_option
@click.pass_obj
def log_publish(console: Console, as_json: bool) -> None:
    """立即公布 Write tiles and sign a checkpoint now; a running server does so by itself."""
    with console.runtime() as runtime:
        press = press_of(runtime)
        head = publish(press, console.clock.utc_ms()).checkpoint
    document = {"origin": head.origin, "size": head.size, "root": head.root.hex()}
    text = f"{press.folder.path}: {head.origin} {head.size} {head.root.hex()}"
    show(document | {"folder": str(press.folder.path)}, text, as_json=as_json)


@log.command("export", epilog=example("yika-server log export /media/usb/log --records"))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--records", is_flag=True, help="also the text of enrolments and seals, as JSON lines"
)
@json_option
@click.pass_obj
def log_export(console: Console, folder: Path, records: bool, as_json: bool) -> None:
    """导出 Write the whole log into a folder; run again, it adds what is new."""
    with console.runtime() as runtime:
        press = replace(press_of(runtime), folder=LogFolder(folder))
        head = publish(press, console.clock.utc_ms()).checkpoint
        key = str(VerifierKey.of(press.origin, runtime.identity.public_key))
        (folder / "log-key").write_text(f"{key}\n", "utf-8")
        if records:
            with runtime.database.reading() as session:
                _write_records(session, folder / "records.jsonl", head.size)
    document = {"folder": str(folder), "size": head.size, "root": head.root.hex(), "key": key}
    show(document, f"{folder}: {head.size} · {key}", as_json=as_json)


def _write_records(session: Session, path: Path, size: int) -> None:
    statement = sa.select(LogRecord.leaf_index, LogRecord.body).where(LogRecord.leaf_index < size)
    with path.open("w", encoding="utf-8") as stream:
        for index, body in session.execute(statement.order_by(LogRecord.leaf_index)):
            stream.write(f'{{"leaf":{index},"record":{bytes(body).decode()}}}\n')


@log.command("restart", epilog=example("yika-server log restart --by wang --reason 恢复自昨夜备份"))
@click.option("--by", "actor", required=True, help="the user who does it")
@click.option("--reason", required=True, help="why the database no longer continues the log")
@json_option
@click.pass_obj
def log_restart(console: Console, actor: str, reason: str, as_json: bool) -> None:
    """另起日志 Begin a new log after a restore that lost leaves, under a new origin.

    Set evidence.origin to a new name first. The folder of the old log is kept beside as evidence.
    """
    with console.runtime() as runtime:
        head, kept = restart(runtime, actor, reason)
    document = {"origin": head.origin, "size": head.size, "kept": str(kept)}
    text = (
        f"{head.origin}: {head.size} · 旧日志 the old log: {kept}\n"
        "请通知见证人 tell the witnesses: yika-server log key"
    )
    show(document, text, as_json=as_json)


@log.command("key", epilog=example("yika-server log key"))
@json_option
@click.pass_obj
def log_key(console: Console, as_json: bool) -> None:
    """存证公钥 Print the key that checkpoints are verified with, for witnesses and auditors."""
    with console.runtime() as runtime:
        press = press_of(runtime)
        key = str(VerifierKey.of(press.origin, runtime.identity.public_key))
    show({"origin": press.origin, "key": key}, key, as_json=as_json)


@click.group()
def audit() -> None:
    """审计 Who did what; and whether anything stored was changed."""


@audit.command(
    "verify", epilog=example("yika-server audit verify", "yika-server audit verify --quick")
)
@click.option("--quick", is_flag=True, help="leave out the signatures of single events")
@click.option(
    "--log", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="compare with a copy of the log kept elsewhere, instead of our own folder",
)  # fmt: skip
@click.option("--limit", default=FINDINGS_SHOWN, show_default=True, help="findings shown")
@json_option
@click.pass_context
def audit_verify(
    ctx: click.Context, quick: bool, folder: Path | None, limit: int, as_json: bool
) -> None:
    """核对全部数据 Check events, uploads, log, audit trail and ledger from the raw rows.

    Each contradiction is one line: table, row, field, what it should be and what it is. Exit
    status 0: none; 1: something was changed.
    """
    console: Console = ctx.obj
    count = 0
    with console.runtime() as runtime:
        verification = Verification(
            runtime.database,
            LogFolder(folder or folder_of(console.config)),
            console.config.identity.former_keys
            | {console.config.identity.key_id: runtime.identity.public_key},
            signatures=not quick,
        )
        for finding in verification.findings():
            count += 1
            if count <= limit:
                click.echo(json.dumps(finding.as_json(), ensure_ascii=False) if as_json
                           else finding.line)  # fmt: skip
    document: dict[str, Any] = {"findings": count, **verification.counts}
    seen = f"{verification.counts['events']} events, {verification.counts['leaves']} leaves"
    verdict = "没有改动 nothing was changed" if not count else f"{count} 处不符 contradictions"
    show(document, f"{verdict} · {seen}", as_json=as_json)
    ctx.exit(0 if not count else 1)


@audit.command("list", epilog=example("yika-server audit list --action terminal. --by wang"))
@click.option("--by", "actor", help="who did it")
@click.option("--action", help="beginning of what was done: terminal., card.lost")
@click.option("--subject", help="what it was done to: terminal:3")
@click.option("--since", help="from this instant on: 2026-11-21T09:00")
@click.option("--until", "until", help="before this instant")
@click.option("--limit", default=LINES_SHOWN, show_default=True, help="newest lines shown")
@json_option
@click.pass_obj
def audit_list(console: Console, /, limit: int, as_json: bool, **wanted: str | None) -> None:
    """查询 Search the audit trail, newest last."""
    with console.reading() as session:
        rows = list(session.scalars(_search(wanted).limit(limit)))[::-1]
        lines = [
            {
                "id": row.id,
                "at": from_millis(row.at_ms).isoformat(),
                "by": row.actor,
                "action": row.action,
                "subject": row.subject,
                "detail": row.detail,
            }
            for row in rows
        ]
    text = "\n".join(
        f"{line['id']} {line['at']} {line['by']} {line['action']} {line['subject']} "
        f"{json.dumps(line['detail'], ensure_ascii=False)}"
        for line in lines
    )
    show({"lines": lines}, text or "没有 none", as_json=as_json)


def _search(wanted: dict[str, str | None]) -> sa.Select[Audit]:
    statement = sa.select(Audit).order_by(Audit.id.desc())
    if wanted["actor"]:
        statement = statement.where(Audit.actor == wanted["actor"])
    if wanted["action"]:
        statement = statement.where(Audit.action.startswith(wanted["action"], autoescape=True))
    if wanted["subject"]:
        statement = statement.where(Audit.subject == wanted["subject"])
    if wanted["since"]:
        statement = statement.where(Audit.at_ms >= instant_ms(wanted["since"]))
    if wanted["until"]:
        statement = statement.where(Audit.at_ms < instant_ms(wanted["until"]))
    return statement


@click.group()
def database() -> None:
    """数据库 The database's own guards."""


database.add_command(roles)

COMMANDS = [log, audit, database]
