# SPDX-License-Identifier: Apache-2.0
"""`yika-card issue`: review a plan, apply it to the card on a reader, keep a journal."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import click

from card.attempts import AttemptGuard
from card.batch_rows import RowFault, card_data_of
from card.card_keys import CardKeys
from card.cli.batch import batch
from card.cli.consent import JOURNAL_SUFFIX, Allowance, consent_options
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
    show,
)
from card.cli.profile import photo, profile
from card.cli.psam import psam
from card.cli.update import update
from card.drivers import historical_bytes
from card.issue_journal import IssueJournal
from card.memory_map import PROFILES
from card.operation import run
from card.personalise import CardData, Plan, personalise
from card.personalise import plan as make_plan
from card.profile import STANDARD
from card.readers import CardConnection
from card.review import Review, review, review_blank
from keys.custody import StoreName

DRY_RUN = "演习：什么也没有写入卡片 / DRY RUN: nothing was written to any card"

_HELP = """\
发卡 · issue the card on the reader, or finish one that was cut.

At a terminal the plan is shown and asked about first; --yes answers. A journal of each card lies
beside the key store.

\b
The data are one JSON object:
  {"asn": "00000000000000000017", "valid_from": "2026-11-01", "valid_to": "2031-10-31",
   "masked_name": "王**", "name": "王小明", "volunteer_number": "1000000004"}
and may have birth_date, minor_rules, key_version, document_type, document_tail, organisation,
guardian_mobile, guardian_number, photo (a JPEG's name), member_flags, functions, level,
total_minutes, algorithm (3des or sm4).

\b
Examples:
  yika-card issue --data card.json --store keys.yika --dry-run
  yika-card issue --data card.json --store keys.yika --dry-run --look
  yika-card issue --data card.json --store keys.yika
  yika-card issue --data card.json --store keys.yika --spoilt "chip cracked"
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """The options of `issue`."""

    source: TextIO
    profile_name: str
    folder: Path | None
    dry_run: bool
    look: bool
    yes: bool
    spoilt: str | None
    allowance: Allowance


journal_option = click.option(
    "--journal",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the cards' journals; beside the key store by default.",
)
profile_option = click.option(
    "--profile",
    "profile_name",
    type=click.Choice(sorted(PROFILES)),
    default=STANDARD.name,
    show_default=True,
    help="Chip class and files; `reduced` for an FM1208 of 8 KB.",
)


@click.command(help=_HELP)
@click.option("--data", "source", type=click.File(), required=True,
              help="Card data as JSON; - for standard input.")  # fmt: skip
@needed_store_option
@profile_option
@journal_option
@click.option("--dry-run", is_flag=True, help="Print commands, files and memory, and stop.")
@click.option("--look", is_flag=True, help="With --dry-run: compare with the card on the reader.")
@click.option("--yes", is_flag=True, help="Do not ask at a terminal.")
@click.option("--spoilt", metavar="REASON", help="The card begun before is void; take a new one.")
@consent_options
@card_options
@json_option
def issue(store: StoreName, place: Place, as_json: bool, **options: Any) -> None:
    """Issue the card on the reader, or finish one that was cut."""
    wish = Wish(**options)
    opened = open_store(store).for_new_cards()
    with failures():
        data = _card_data(wish.source)
        keys = CardKeys.from_store(opened, data.asn, data.key_version)
        job = make_plan(data, keys, PROFILES[wish.profile_name])
        if wish.dry_run:
            _show_review(
                _look(job, place, guard_of(store)) if wish.look else review_blank(job), as_json
            )
            return
        folder = wish.folder or store.beside(JOURNAL_SUFFIX)
        if wish.spoilt:
            IssueJournal(folder, data.asn).spoilt(wish.spoilt)
        guard = guard_of(store)
        wish.allowance.decide(guard, lambda: IssueJournal(folder, data.asn))
        with card_at(place) as connection:
            _agree(job, connection, asks=sys.stdin.isatty() and not wish.yes)
            journal = IssueJournal(folder, data.asn, _chip(connection))
            operation = personalise(data, job.keys, job.profile, guard, journal)
            done = run(operation, connection)
    document = {
        "dry_run": False,
        "asn": done.asn.hex().upper(),
        "found": done.found.value,
        "writes": done.writes,
        "unproved": [usage.value for usage in done.unproved],
    }
    text = f"已发卡 issued {document['asn']} ({done.writes} writes; found {done.found.value})"
    show(document, as_json, [text])


def _card_data(source: TextIO) -> CardData:
    """Read one card's data; photos lie beside the file."""
    name = getattr(source, "name", "")
    folder = Path(name).parent if Path(name).is_file() else Path()
    try:
        return card_data_of(json.load(source), folder)
    except RowFault as exc:
        raise Failed(
            f"卡片数据有误 / card data: {exc.field or '-'}: {exc.reason}; 请改正 / correct them"
        ) from exc


def _look(job: Plan, place: Place, guard: AttemptGuard) -> Review:
    with card_at(place) as connection:
        return run(review(job, guard), connection)


def _show_review(found: Review, as_json: bool) -> None:
    show(found.document(), as_json, [*found.lines(), DRY_RUN])
    if as_json:
        click.echo(DRY_RUN, err=True)


def _agree(job: Plan, connection: CardConnection, *, asks: bool) -> None:
    """At a terminal, show what would happen and ask."""
    if not asks:
        return
    for line in run(review(job), connection).lines():
        click.echo(line, err=True)
    if not click.confirm("写入此卡 / write this card?", err=True):
        raise Failed("已取消，什么也没有写 / stopped; nothing was written")


def _chip(connection: CardConnection) -> str:
    """Return the historical bytes: the same over contacts and antenna, and some name the chip."""
    return historical_bytes(connection.atr).hex().upper()


COMMANDS: tuple[click.Command, ...] = (issue, batch, profile, photo, psam, update)
