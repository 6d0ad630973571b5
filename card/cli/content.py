# SPDX-License-Identifier: Apache-2.0
"""`yika-card info|dump`: what a card says."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
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
    open_store,
    show,
    store_option,
)
from card.dump import dump as dump_card
from card.dump import dump_protected, plain
from card.operation import run
from card.volunteer import DeskKeys, VolunteerCard
from keys.usage import KeyUsage


@click.command()
@card_options
@json_option
def info(place: Place, as_json: bool) -> None:
    """Show whose card it is and its last tap. Example: yika-card info."""
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


@click.command()
@card_options
@store_option
@json_option
def dump(place: Place, store: Path | None, as_json: bool) -> None:
    """Show every file one may read; with a store the protected ones too.

    Example: yika-card dump --store keys.yika --json
    """
    opened = None if store is None else open_store(store)
    with failures(), card_at(place) as connection:
        found: dict[str, Any] = run(dump_card(), connection)
        if store is not None and opened is not None:
            face = found["0015"]
            asn = bytes.fromhex(face["asn"])
            keys = CardKeys.from_store(opened, asn, face["key_version"])
            desk = DeskKeys(keys[KeyUsage.DESK_READ], keys[KeyUsage.MAINTENANCE], asn.hex().upper())
            found.update(run(dump_protected(desk, guard_of(store)), connection))
    lines = [f"{fid}: {json.dumps(value, ensure_ascii=False)}" for fid, value in found.items()]
    show(found, as_json, lines)


COMMANDS: tuple[click.Command, ...] = (info, dump)
