# SPDX-License-Identifier: Apache-2.0
"""`yika-card info|log`: whose card it is, and what happened to it."""

from __future__ import annotations

import datetime as dt

import click

from card.apply import desk_keys
from card.card_keys import CardKeys
from card.cli.options import (
    Place,
    card_at,
    card_options,
    failures,
    guard_of,
    json_option,
    open_store,
    show,
    store_option,
)
from card.commands import select_name
from card.decode import record_lines
from card.dump import plain
from card.layouts import LOG_RECORD
from card.operation import exchange, run
from card.purse import read_purse_log
from card.volunteer import LOG_RECORDS, VolunteerCard, read_log, select
from keys.custody import StoreName

_LOG_HELP = """\
交易明细 · show the card's own log, newest first, read with MACs under the desk's keys.

With --application the log of a purse card, which anybody may read.

\b
Examples:
  yika-card log --store keys.yika --limit 5
  yika-card log --application A00000000386980701
"""


@click.command()
@card_options
@json_option
def info(place: Place, as_json: bool) -> None:
    """看卡 · show whose card it is and its last tap. Example: yika-card info."""
    with failures(), card_at(place) as connection:
        card = VolunteerCard(connection)
        face, service = card.identity(), card.open_service()
        validity = card.validity(dt.datetime.now().astimezone().date())
        atr = connection.atr.hex().upper()
    document = {
        **plain(face),
        "validity": validity.value,
        "open_service": None if service is None else plain(service),
        "atr": atr,
    }
    show(document, as_json, [f"{key}: {value}" for key, value in document.items()])


@click.command(help=_LOG_HELP)
@store_option
@click.option("--application", help="AID of a purse application, in hex.")
@click.option("--limit", type=click.IntRange(1, LOG_RECORDS), default=LOG_RECORDS)
@card_options
@json_option
def log(
    store: StoreName | None, application: str | None, limit: int, place: Place, as_json: bool
) -> None:
    """Show the card's own log, newest first."""
    if (store is None) == (application is None):
        raise click.UsageError("either --store or --application")
    opened = None if store is None else open_store(store)
    with failures(), card_at(place) as connection:
        if store is None or opened is None:
            run(exchange(select_name(_aid(application or ""))), connection)
            found = run(read_purse_log(limit=limit), connection)
        else:
            face = run(select(), connection)
            keys = CardKeys.from_store(opened, face.asn, face.key_version)
            found = run(read_log(desk_keys(face.asn, keys), guard_of(store), limit), connection)
    lines = [
        f"{number}: " + ", ".join(f"{x.label.zh} {x.value}" for x in record_lines(LOG_RECORD, row))
        for number, row in enumerate(found, 1)
    ]
    show({"log": [plain(record) for record in found]}, as_json, lines or ["无记录 / no records"])


def _aid(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as exc:
        raise click.UsageError("--application takes hex digits") from exc


COMMANDS: tuple[click.Command, ...] = (info, log)
