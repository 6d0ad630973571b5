# SPDX-License-Identifier: Apache-2.0
"""`yika-card issue`: personalise the card on a reader."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any, TextIO

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
from card.personalise import CardData, Plan, personalise
from card.personalise import plan as make_plan

_ISSUE_HELP = """\
发卡 · issue the card on the reader, or finish one that was cut.

\b
The data are one JSON object:
  {"asn": "00000000000000000017", "valid_from": "2026-11-01", "valid_to": "2031-10-31",
   "masked_name": "王**", "name": "王小明", "volunteer_number": "1000000004"}
and may have birth_date, minor_rules, key_version, document_type, document_tail,
organisation, guardian_mobile.

\b
Example: yika-card issue --data card.json --store keys.yika --dry-run
"""


@click.command(help=_ISSUE_HELP)
@click.option(
    "--data",
    "source",
    type=click.File(),
    required=True,
    help="Card data as JSON; - for standard input.",
)
@needed_store_option
@click.option("--dry-run", is_flag=True, help="Print the commands, keys masked, and stop.")
@card_options
@json_option
def issue(source: TextIO, store: Path, dry_run: bool, place: Place, as_json: bool) -> None:
    """Issue the card on the reader, or finish one that was cut."""
    opened = open_store(store)
    with failures():
        data = _card_data(json.load(source))
        keys = CardKeys.from_store(opened, data.asn, data.key_version)
        if dry_run:
            _show_plan(make_plan(data, keys), as_json)
            return
        guard = guard_of(store)
        with card_at(place) as connection:
            done = run(personalise(data, keys, guard=guard), connection)
    document = {"asn": done.asn.hex().upper(), "found": done.found.value, "writes": done.writes}
    text = f"已发卡 issued {document['asn']} ({done.writes} writes; found {done.found.value})"
    show(document, as_json, [text])


def _show_plan(plan: Plan, as_json: bool) -> None:
    shown = plan.show()
    document = {
        "asn": plan.data.asn.hex().upper(),
        "free_bytes": plan.profile.free_bytes,
        "commands": [{"zh": line.step_zh, "en": line.step_en, "apdu": line.apdu} for line in shown],
    }
    lines: list[str] = []
    step = ""
    for line in shown:
        if line.step_en != step:
            step = line.step_en
            lines.append(f"{line.step_zh} / {line.step_en}")
        lines.append(f"    {line.apdu}")
    show(document, as_json, lines)


def _card_data(raw: Any) -> CardData:
    """Read card data from JSON; hex for bytes, ISO dates, unknown names are errors."""
    if not isinstance(raw, dict):
        raise click.UsageError("card data must be one JSON object")
    values: dict[str, Any] = dict(raw)
    try:
        for name in ("asn", "organisation"):
            if name in values:
                values[name] = bytes.fromhex(values[name])
        for name in ("valid_from", "valid_to", "birth_date"):
            if values.get(name) is not None:
                values[name] = dt.date.fromisoformat(values[name])
        return CardData(**values)
    except (TypeError, ValueError) as exc:
        raise click.UsageError(f"card data: {exc}") from exc


COMMANDS: tuple[click.Command, ...] = (issue,)
