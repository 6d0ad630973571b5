# SPDX-License-Identifier: Apache-2.0
"""`yika-card batch`: issue a box of cards from a list."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from card.batch import Batch
from card.batch_rows import BatchRefused, BatchRow
from card.cli.options import (
    Failed,
    Place,
    card_at,
    card_options,
    failures,
    guard_of,
    json_option,
    needed_store_option,
    open_store,
    readers_here,
    show,
)
from card.drivers import historical_bytes
from card.errors import CardError, NoCard, ReaderError
from card.memory_map import PROFILES
from card.profile import STANDARD
from card.readers import Reader
from keys.custody import StoreName

REMOVE_WAIT_S = 600.0  # a person takes the finished card away; longer means nobody is there
BACK_WAIT_S = 10.0  # a reader or service that was restarted is back by then

_ISSUE_HELP = """\
批量发卡 · issue the cards of a list one after the other, on one reader.

The list is CSV or JSON lines and is checked as a whole before any card is touched. Results and
journals lie beside it; run again, it goes on where it stopped. A card that fails stops the run:
run again with the same card, or mark it with `batch spoilt` and take a blank.

\b
Example: yika-card batch issue box.csv --store keys.yika --reader "pcsc:Desk 00 00"
"""
_CHECK_HELP = """\
检查名单 · check a list without touching a card, and show what of it is done.

\b
Example: yika-card batch check box.csv --json
"""
_SPOILT_HELP = """\
登记废卡 · note that the card of a serial is thrown away; a blank takes its place.

\b
Example: yika-card batch spoilt box.csv 00000000000000000017 "chip cracked" --who 王芳
"""
_list_argument = click.argument(
    "path", type=click.Path(path_type=Path, exists=True, dir_okay=False)
)


@click.group()
def batch() -> None:
    """批量发卡 · issue a box of cards from a list."""


@batch.command(help=_CHECK_HELP)
@_list_argument
@json_option
def check(path: Path, as_json: bool) -> None:
    """Check a list and show what of it is done."""
    _show_stock(_open(path, as_json), as_json)


@batch.command(help=_SPOILT_HELP)
@_list_argument
@click.argument("asn")
@click.argument("reason")
@click.option("--who", default="", help="Who decided so.")
@json_option
def spoilt(path: Path, asn: str, reason: str, who: str, as_json: bool) -> None:
    """Note that a card is thrown away."""
    opened = _open(path, as_json)
    row = next((row for row in opened.rows if row.data.asn.hex() == asn.lower()), None)
    if row is None:
        raise Failed(f"名单里没有此卡号 / not in the list: {asn}")
    with failures():
        opened.spoilt(row, reason, who)
    _show_stock(opened, as_json)


@batch.command(help=_ISSUE_HELP)
@_list_argument
@needed_store_option
@click.option("--profile", "profile_name", type=click.Choice(sorted(PROFILES)),
              default=STANDARD.name, show_default=True, help="Chip class and files.")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many cards.")
@card_options
@json_option
def issue(
    path: Path, store: StoreName, profile_name: str, limit: int | None, place: Place, as_json: bool
) -> None:
    """Issue the cards of a list one after the other."""
    opened, keys = _open(path, as_json), open_store(store).for_new_cards()
    guard, profile = guard_of(store), PROFILES[profile_name]
    waiting = list(opened.waiting())[:limit]
    with failures(), _progress(len(waiting), shown=not as_json) as advance:
        for number, row in enumerate(waiting):
            if number:
                _await_removal(place)
            with card_at(_traced(place, row)) as connection:
                chip = historical_bytes(connection.atr).hex().upper()
                try:
                    done = opened.issue(row, keys, connection, guard, profile, chip)
                except CardError as exc:
                    _tell(as_json, {"asn": _asn(row), "line": row.line, "error": exc.code})
                    raise
            _tell(as_json, {"asn": _asn(row), "line": row.line, "writes": done.writes})
            advance(_asn(row))
    _show_stock(opened, as_json)


def _open(path: Path, as_json: bool) -> Batch:
    try:
        return Batch(path)
    except BatchRefused as exc:
        for fault in exc.faults:
            _tell(as_json, dataclasses.asdict(fault))
            if not as_json:
                click.echo(f"{path.name}:{fault}", err=True)
        raise Failed(str(exc)) from exc
    except CardError as exc:
        raise Failed(str(exc)) from exc


def _await_removal(place: Place) -> None:
    """Wait until the finished card is taken away."""
    source = readers_here()
    name = place.reader or next(iter(source.names()), None)
    if name is None:
        return
    reader = source.open(name)
    try:
        if not _taken_away(reader):
            raise NoCard(name)
    finally:
        reader.close()


def _taken_away(reader: Reader) -> bool:
    """Wait until no card lies there; a reader that was away is looked at once more.

    The finished card may lie on it still, and must not be taken for the next one.
    """
    try:
        return not reader.wait_card(0.0) or reader.wait_removed(REMOVE_WAIT_S)
    except ReaderError:
        return not reader.wait_card(BACK_WAIT_S) or reader.wait_removed(REMOVE_WAIT_S)


def _traced(place: Place, row: BatchRow) -> Place:
    """Give each card a trace file of its own."""
    if place.trace is None:
        return place
    name = f"{place.trace.stem}-{_asn(row)}{place.trace.suffix}"
    return dataclasses.replace(place, trace=place.trace.with_name(name))


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Any]:
    """Show a bar on standard error at a terminal; return what advances it."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task("发卡 / issuing", total=total)

        def advance(asn: str) -> None:
            bar.update(task, advance=1, description=asn)
            if shown and not console.is_terminal:
                click.echo(f"已发卡 issued {asn}")

        yield advance


def _asn(row: BatchRow) -> str:
    return row.data.asn.hex().upper()


def _tell(as_json: bool, line: dict[str, Any]) -> None:
    if as_json:
        click.echo(json.dumps(line, ensure_ascii=False))


def _show_stock(opened: Batch, as_json: bool) -> None:
    stock = opened.stock()
    document = {**dataclasses.asdict(stock), "left": stock.left, "blanks_used": stock.blanks_used}
    text = (
        f"共 {stock.wanted}，已发 {stock.done}，剩 {stock.left}，废 {stock.spoilt}，"
        f"用去白卡 {stock.blanks_used} / {stock.done} of {stock.wanted} done, {stock.left} left, "
        f"{stock.spoilt} spoilt, {stock.blanks_used} blanks used"
    )
    show(document, as_json, [text])
