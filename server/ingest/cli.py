# SPDX-License-Identifier: Apache-2.0
"""Commands about uploads: taps that are missing, batches that come on a stick."""

from __future__ import annotations

from dataclasses import asdict

import click

from server.console import Console, example, json_option, show
from server.ingest import missing as missing_taps
from server.ingest.missing import CardHoles
from server.people.services import require_staff
from server.terminals.cli import staff_option
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
