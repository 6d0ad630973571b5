# SPDX-License-Identifier: Apache-2.0
"""Commands about uploads: alarms, one event, taps that are missing, batches on a stick."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from server.console import Console, example, json_option, show
from server.ingest import missing as missing_taps
from server.ingest.alarms import alarms as find_alarms
from server.ingest.importing import import_stick
from server.ingest.missing import CardHoles
from server.ingest.one_event import describe
from server.ingest.services import Intake
from server.people.services import require_staff
from server.terminals.cli import staff_option
from server.terminals.notices import Signer
from server.updates.services import Bench


@click.group()
def ingest() -> None:
    """上传记录 What terminals bring, by the network or on a stick."""


@ingest.command(
    epilog=example(
        "yika-server ingest missing",
        "yika-server ingest missing 00005949000000000007 --ask --by li",
    )
)
@click.argument("cards", nargs=-1, metavar="[ASN]…")
@click.option("--ask", is_flag=True, help="let the cards' logs be read at their next tap")
@staff_option
@json_option
@click.pass_obj
def missing(
    console: Console, cards: tuple[str, ...], actor: str, *, ask: bool, as_json: bool
) -> None:
    """缺失刷卡 Name the taps that cards have counted and no terminal has brought.

    A card's log still holds its last thirty; those before are known by their number alone.
    """
    asked: list[str] = []
    if ask:
        with console.runtime() as runtime, runtime.database.writing() as session:
            require_staff(session, actor)
            found = missing_taps.holes(session, cards or None)
            bench = Bench(runtime.store, console.clock.utc_ms())
            asked = missing_taps.ask(session, bench, found, actor)
    else:
        with console.reading() as session:
            found = missing_taps.holes(session, cards or None)
    total = sum(card.missing for card in found)
    document = {
        "missing": total,
        "cards": [asdict(card) for card in found],
        "asked": asked,
    }
    lines = [_line(card) for card in found]
    lines.append(f"{total} 次缺失 taps missing, {len(asked)} 张卡已排队 cards newly asked")
    show(document, "\n".join(lines), as_json=as_json)


@ingest.command(epilog=example("yika-server ingest alarms", "yika-server ingest alarms --json"))
@json_option
@click.pass_obj
def alarms(console: Console, *, as_json: bool) -> None:
    """告警 List terminals that are silent, miss events, forked, or whose totals are not equal.

    Silent means: for longer than is usual for this very terminal on this day of the week.
    """
    with console.reading() as session:
        found = find_alarms(session, console.clock.utc_ms())
    lines = [f"{each.terminal_id} {each.name}: {each.kind} · {each.zh} {each.en}" for each in found]
    document = {"alarms": [asdict(each) for each in found]}
    show(document, "\n".join(lines) or "没有告警 no alarms", as_json=as_json)


@ingest.command(epilog=example("yika-server ingest event 7 1024"))
@click.argument("terminal", type=int)
@click.argument("seq", type=int)
@json_option
@click.pass_obj
def event(console: Console, terminal: int, seq: int, *, as_json: bool) -> None:
    """单条记录 Show one stored event: arrival, proofs, verdict, and what is wrong with its PSAM."""
    with console.reading() as session:
        found = describe(session, terminal, seq)
    reason = found["reason"]
    lines = [
        f"{terminal}/{seq} {found['type']} · {found['verdict']}",
        f"  声称 claimed {found['claimed']}, 收到 received {found['received']}",
        f"  证明 proofs {', '.join(found['proofs']) or '–'}",
    ]
    if reason["en"]:
        lines.append(f"  {reason['zh']} {reason['en']}")
    show(found, "\n".join(lines), as_json=as_json)


@ingest.command("import", epilog=example("yika-server ingest import /media/usb"))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@json_option
@click.pass_obj
def import_(console: Console, folder: Path, *, as_json: bool) -> None:
    """导入U盘 Take the batches on a terminal's memory stick and leave their receipts on it.

    Exit status 1 if anything on it was refused or left out; the rest is stored all the same.
    """
    with console.runtime() as runtime:
        signer = Signer(runtime.identity, runtime.config.identity.key_id)
        uncertainty_ms = console.config.identity.clock_uncertainty_ms
        intake = Intake(runtime.database, runtime.store, signer, uncertainty_ms)
        found = import_stick(intake, folder, console.clock.utc_ms())
    lines = []
    for one in found:
        lines.append(
            f"{one.terminal_id}: {one.stored} 批入库 batches stored, {one.replayed} 批已有 known, "
            f"{one.events} 条新事件 new events"
        )
        lines += [
            f"  {name}: {span} 号已属新机，未入库；原盘请保留 are the new box's numbers by now, "
            "not stored; keep the disk"
            for name, span in one.left_out.items()
        ]
        lines += [f"  {name}: {why}" for name, why in one.refused.items()]
    document = {"terminals": [asdict(one) for one in found]}
    show(document, "\n".join(lines), as_json=as_json)
    if any(one.refused or one.left_out for one in found):
        sys.exit(1)


def _line(card: CardHoles) -> str:
    parts = [f"{card.asn}:"]
    if card.in_log:
        parts.append(f"卡内可查 in the log {_numbers(card.in_log)}")
    if card.beyond:
        parts.append(f"卡内已无 beyond the log {_numbers(card.beyond)}")
    if card.recovered:
        parts.append(f"已从卡恢复 recovered {_numbers(card.recovered)}")
    return " ".join(parts)


def _numbers(counters: tuple[int, ...]) -> str:
    """Write numbers as runs.

    >>> _numbers((1, 2, 3, 7))
    '1-3, 7'
    """
    runs: list[list[int]] = []
    for counter in counters:
        if runs and counter == runs[-1][1] + 1:
            runs[-1][1] = counter
        else:
            runs.append([counter, counter])
    return ", ".join(f"{a}-{b}" if a != b else str(a) for a, b in runs)


COMMANDS = [ingest]
