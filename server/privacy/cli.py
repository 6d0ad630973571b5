# SPDX-License-Identifier: Apache-2.0
"""Commands about people's own data: a copy, its end, and what the retention rules find."""

from __future__ import annotations

import json
from pathlib import Path

import click

from keys.files import write_private
from server.console import CONSOLE_ACTOR, Console, example, json_option, show
from server.people import services
from server.people.personal import Reader
from server.privacy import retention
from server.privacy.dossier import dossier
from server.privacy.erasing import Erasure, erase
from server.privacy.retention import Due


@click.group()
def privacy() -> None:
    """个人信息 What people may ask about their own data."""


@privacy.command(
    "export",
    epilog=example("yika-server privacy export 0000000014 --out li.json --why 本人申请 --by li"),
)
@click.argument("number")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option("--why", required=True, help="who asked, and how they proved who they are")
@click.option("--by", "actor", required=True, help="the staff user who does it")
@json_option
@click.pass_obj
def export(console: Console, number: str, out: Path, why: str, actor: str, as_json: bool) -> None:
    """导出 Write everything kept about a person into one JSON file, readable by its owner only."""
    now_ms = console.clock.utc_ms()
    with console.runtime() as runtime, runtime.database.writing() as session:
        services.require_staff(session, actor)
        found = dossier(session, runtime.store, number, Reader(actor, why, now_ms))
        content = json.dumps(found, ensure_ascii=False, indent=1).encode()
        write_private(out, content, replace=False)
    counts = {name: len(part) for name, part in found.items() if isinstance(part, list)}
    listed = " · ".join(f"{name} {count}" for name, count in counts.items())
    show({"file": str(out), "bytes": len(content)} | counts, f"{out}: {listed}", as_json=as_json)


@privacy.command(
    "erase",
    epilog=example(
        "yika-server privacy erase 0000000014 --reason 本人申请 --by li --approved-by wang",
        "yika-server privacy erase … --dry-run",
    ),
)
@click.argument("number")
@click.option("--reason", required=True)
@click.option("--by", "by", required=True, help="the staff user who does it")
@click.option("--approved-by", required=True, help="another staff user")
@click.option("--dry-run", is_flag=True, help="say what would be done, and do nothing")
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def erase_command(
    console: Console, /, dry_run: bool, yes: bool, as_json: bool, **said: str
) -> None:
    """删除 Destroy the key of a person's data; hours and evidence stay. There is no way back."""
    wanted = Erasure(**said)
    if not (dry_run or yes):
        asked = f"{wanted.number}: 删除后无法恢复 this cannot be undone. 继续 go on?"
        click.confirm(asked, abort=True)
    reach = console.reading if dry_run else console.writing
    with reach() as session:
        done = erase(session, wanted, console.clock.utc_ms())
    document = {
        "number": wanted.number,
        "done": not dry_run,
        "again": done.again,
        "cards_revoked": done.cards,
        "card_updates_blanked": done.updates,
        "requests_blanked": done.requests,
    }
    word = "早已删除 was erased before" if done.again else "已删除 erased"
    if dry_run:
        word = "将会删除 would be erased"
    text = (
        f"{wanted.number}: {word} · 挂失卡 cards {done.cards} · 更新 updates {done.updates} · "
        f"申请 requests {done.requests}"
    )
    show(document, text, as_json=as_json)


@privacy.command(
    "retention",
    epilog=example("yika-server privacy retention", "yika-server privacy retention --apply"),
)
@click.option("--apply", "applies", is_flag=True, help="remove what goes by itself")
@click.option("--by", "actor", default=CONSOLE_ACTOR, help="who does it, for the audit")
@json_option
@click.pass_obj
def retention_command(console: Console, applies: bool, actor: str, as_json: bool) -> None:
    """保留期限 Show what is due by the retention rules; without --apply nothing changes."""
    now_ms = console.clock.utc_ms()
    if applies:
        with console.writing() as session:
            found = retention.apply(session, actor, now_ms)
    else:
        with console.reading() as session:
            found = retention.due(session, now_ms)
    document = {
        "applied": applies,
        "rules": [
            {
                "rule": item.rule.key,
                "days": item.rule.days,
                "due": item.count,
                "automatic": item.rule.automatic,
                "numbers": list(item.numbers),
            }
            for item in found
        ],
    }
    show(document, "\n".join(_line(item, applied=applies) for item in found), as_json=as_json)


def _line(item: Due, *, applied: bool) -> str:
    state = "已清除 removed" if applied and item.rule.automatic else "到期 due"
    if not item.rule.automatic:
        state = "待人工决定 for a person to decide"
    numbers = f"\n    {' '.join(item.numbers)}" if item.numbers else ""
    rule = item.rule
    return (
        f"{rule.key}: {rule.days} d · {item.count} {state}\n    {rule.zh}\n    {rule.en}{numbers}"
    )


COMMANDS = [privacy]
