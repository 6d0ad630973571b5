# SPDX-License-Identifier: Apache-2.0
"""Commands of the fleet: how the terminals do, releases."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from server.console import Console, example, json_option, show
from server.db import from_millis
from server.fleet import replacement, services
from server.fleet.release_cli import release
from server.fleet.replacement import Waiting
from server.fleet.services import Standing
from server.people.services import require_staff
from server.terminals.cli import check_letter, letter_options, staff_option, write_letter


@click.group()
def fleet() -> None:
    """终端群 How the terminals are doing."""


@fleet.command("list", epilog=example("yika-server fleet list --json"))
@json_option
@click.pass_obj
def fleet_list(console: Console, as_json: bool) -> None:
    """列出 Name every terminal: last heard, version, unsent, alarms."""
    with console.reading() as session:
        found = services.fleet(session, console.clock.utc_ms())
    document = {"terminals": [asdict(one) for one in found]}
    show(document, "\n".join(map(_line, found)), as_json=as_json)


@fleet.command("show", epilog=example("yika-server fleet show 7 --json"))
@click.argument("terminal_id", type=int)
@click.option("--history", "lines", type=click.IntRange(0, services.HISTORY_MAX), default=0)
@json_option
@click.pass_obj
def fleet_show(console: Console, terminal_id: int, lines: int, as_json: bool) -> None:
    """显示 Tell everything one terminal said of itself, with --history what it said before."""
    with console.reading() as session:
        found = services.one(session, terminal_id, console.clock.utc_ms())
        past = services.history(session, terminal_id, lines) if lines else []
        waiting = replacement.waiting(session, terminal_id)
    document: dict[str, Any] = {
        **asdict(found), "history": past, "replacement": asdict(waiting) if waiting else None,
    }  # fmt: skip
    told = [f"{name:<22} {value}" for name, value in (found.status or {}).items()]
    told += _waiting_lines(waiting)
    show(document, "\n".join([_line(found), *told]), as_json=as_json)


@fleet.command(
    "replace",
    epilog=example(
        "yika-server fleet replace 7 --reason burned --url https://yika.example.org "
        "--out 7.html --by li"
    ),
)
@click.argument("terminal_id", type=int)
@click.option("--reason", required=True)
@letter_options
@staff_option
@json_option
@click.pass_obj
def fleet_replace(
    console: Console, /, terminal_id: int, reason: str, actor: str, as_json: bool, **told: Any
) -> None:
    """更换坏机 Order a new box for a dead one; its number and history go on."""
    check_letter(**told)
    with console.writing() as session:
        require_staff(session, actor)
        now_ms = console.clock.utc_ms()
        ordered, code = replacement.order(session, terminal_id, reason, actor, now_ms)
        name = ordered.name
        waiting = replacement.waiting(session, terminal_id)
    document = write_letter(console, (terminal_id, name, code), **told)
    lines = [document["line"], f"→ {document['file']}", *_waiting_lines(waiting)]
    document["replacement"] = asdict(waiting) if waiting else None
    show(document, "\n".join(lines), as_json=as_json)


@fleet.command("approve", epilog=example("yika-server fleet approve 7 --by wang"))
@click.argument("terminal_id", type=int)
@staff_option
@json_option
@click.pass_obj
def fleet_approve(console: Console, terminal_id: int, actor: str, as_json: bool) -> None:
    """批准新机 Let the new box in; not by the person who ordered it."""
    with console.writing() as session:
        require_staff(session, actor)
        done = replacement.approve(session, terminal_id, actor, console.clock.utc_ms())
        lost = replacement.missing(session, terminal_id)
        document: dict[str, Any] = {
            "terminal": terminal_id, "key_id": done.key_id, "last_seq": done.last_seq,
            "missing": [list(span) for span in lost],
        }  # fmt: skip
    text = f"旧密钥止于 the old key ends at {document['last_seq']}"
    if lost:
        text += (
            f"\n缺失 missing {_spans(lost)}：旧机导出仍可补齐，其后的旧机记录不再接收 · "
            "an export of the old box still fills them; what it holds above the end is not taken"
        )
    show(document, text, as_json=as_json)


def _waiting_lines(waiting: Waiting | None) -> list[str]:
    """Say before an approval what it will end, and what should be done first."""
    if waiting is None:
        return []
    state = "已入网 it has shown its key" if waiting.shown else "新机未入网 no key shown yet"
    last = waiting.last_seq
    lines = [
        f"待批准更换 waits for approval: {waiting.reason} ({waiting.ordered_by}), {state}",
        f"批准后旧机止于 {last} 号，其后的旧机记录不再接收；旧盘可读时请先导出并导入",
        f"once approved the old box ends at {last}; what it holds above is not taken any more",
        "if its disk can be read, import its export before you approve",
    ]
    if waiting.missing:
        spans = _spans(waiting.missing)
        lines.append(f"缺失 missing {spans}：旧机导出可补齐 · an export of the old box fills them")
    return lines


def _spans(spans: list[tuple[int, int]]) -> str:
    return ", ".join(f"{first}–{last}" for first, last in spans)


def _line(found: Standing) -> str:
    heard = "–"
    if found.heard_ms is not None:
        heard = from_millis(found.heard_ms).isoformat(timespec="seconds")
    told = found.status or {}
    alarms = ", ".join(f"{alarm.zh} {alarm.en}" for alarm in found.alarms) or "正常 well"
    return (
        f"{found.id} {found.name} {found.site_zh} {found.state} 最近 heard {heard} "
        f"版本 version {told.get('version', '–')} 待传 unsent {told.get('unsent', '?')} · {alarms}"
    )


COMMANDS = [fleet, release]
