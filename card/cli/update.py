# SPDX-License-Identifier: Apache-2.0
"""`yika-card update`: bring the card on the reader up to date, as a terminal does at a tap."""

from __future__ import annotations

import datetime as dt
from typing import Any

import click

from card.card_keys import CardKeys
from card.cli.options import (
    Place,
    card_at,
    card_options,
    failures,
    guard_of,
    json_option,
    needed_store_option,
    open_store,
    show,
)
from card.operation import run
from card.updates import Block, UpdateScript, Wanted, apply_update, plan_update, read_contents
from card.volunteer import DeskKeys, select
from keys.custody import StoreName
from keys.usage import KeyUsage

_HELP = """\
更新 · make the card on the reader say what is wanted; what it says already is not written.

Blocking is the last thing done: --block "until-unblocked" can be taken back by the issuer,
"for-good" cannot.

\b
Examples:
  yika-card update --valid-to 2036-10-31 --store keys.yika --dry-run
  yika-card update --level 3 --total-minutes 6000 --totals-date 2026-11-20 --store keys.yika
  yika-card update --block for-good --store keys.yika
"""
_BLOCKS = {block.name.lower().replace("_", "-"): block for block in Block}
MOBILE_CHARS_MAX = 32  # eleven digits and a line end; a file with more is another file
_DATE = click.DateTime(["%Y-%m-%d"])


@click.command(help=_HELP)
@click.option("--valid-to", type=_DATE, help="Last day of validity.")
@click.option("--level", type=int, help="Stars.")
@click.option("--total-minutes", type=int, help="Total minutes of service.")
@click.option("--totals-date", type=_DATE, help="Day the totals are as of.")
@click.option("--functions", type=int, help="Functions opted into, as a number of flags.")
@click.option(
    "--guardian-mobile-from",
    "guardian_file",
    type=click.File("r", encoding="utf-8"),
    help="File with the guardian's mobile, 11 digits; - is standard input.",
)
@click.option("--block", "blocking", type=click.Choice(sorted(_BLOCKS)), help="Block the card.")
@click.option("--dry-run", is_flag=True, help="Read, show what would be written, and stop.")
@needed_store_option
@card_options
@json_option
def update(blocking: str | None, dry_run: bool, store: StoreName, place: Place, as_json: bool,
           **values: Any) -> None:  # fmt: skip
    """Bring the card on the reader up to date."""
    # A number on the command line would stand in the list of processes.
    told = values.pop("guardian_file")
    values["guardian_mobile"] = None if told is None else told.read(MOBILE_CHARS_MAX).strip()
    dates = {name: value.date() for name, value in values.items() if isinstance(value, dt.datetime)}
    wanted = Wanted(**{**values, **dates}, block=None if blocking is None else _BLOCKS[blocking])
    opened, guard = open_store(store), guard_of(store)
    today = dt.datetime.now().astimezone().date()
    with failures(), card_at(place) as connection:
        face = run(select(), connection)
        keys = CardKeys.from_store(opened, face.asn, face.key_version)
        name = face.asn.hex().upper()
        desk = DeskKeys(keys[KeyUsage.DESK_READ], keys[KeyUsage.MAINTENANCE], name)
        script = plan_update(run(read_contents(desk, guard), connection), wanted, today)
        planned = _planned(script, dry_run=dry_run)
        if dry_run or script.empty:
            show(planned, as_json, [_line(planned)])
            return
        done = run(apply_update(script, desk, guard), connection)
    document = {
        **planned,
        "fields": list(done.fields),
        "writes": done.writes,
        "blocked": done.blocked,
        "unproved": list(done.unproved),
    }
    show(document, as_json, [_line(document)])


def _planned(script: UpdateScript, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "asn": script.asn.hex().upper(),
        "seq": script.seq,
        "fields": [name for change in script.changes for name in change.fields],
        "block": None if script.block is None else script.block.name.lower(),
        "writes": 0,
    }


def _line(document: dict[str, Any]) -> str:
    fields = ", ".join(document["fields"]) or "-"
    if document["dry_run"]:
        return f"演习：将写 / DRY RUN: would write {fields}; 什么也没有写 / nothing was written"
    return f"{document['asn']} #{document['seq']}: {fields} ({document['writes']} writes)"
