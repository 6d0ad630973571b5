# SPDX-License-Identifier: Apache-2.0
"""Commands about updates of cards."""

from __future__ import annotations

import datetime as dt
from typing import Any

import click
import sqlalchemy as sa

from card.updates import Block, Wanted
from server.console import Console, example, json_option, show
from server.db import from_millis
from server.people.services import require_staff
from server.terminals.cli import staff_option
from server.updates import services
from server.updates.models import CardUpdate
from server.updates.services import Bench

LIST_MAX = 200
MOBILE_CHARS_MAX = 32  # eleven digits and a line end


@click.group("card-update")
def card_update() -> None:
    """卡片更新 Changes that wait for a card's next tap."""


@card_update.command(
    "add",
    epilog=example(
        "yika-server card-update add 00000000000000000017 --valid-to 2031-12-31 --level 3"
        " --reason 续期 --by li"
    ),
)
@click.argument("asn")
@click.option("--valid-to", type=click.DateTime(["%Y-%m-%d"]), help="last day of validity")
@click.option("--level", type=click.IntRange(0, 255))
@click.option("--total-minutes", type=click.IntRange(0, 2**32 - 1))
@click.option("--functions", type=click.IntRange(0, 255), help="opt-in functions as one byte")
@click.option(
    "--guardian-mobile-from",
    "guardian_file",
    type=click.File("r", encoding="utf-8"),
    help="file with the guardian's mobile, 11 digits; - is standard input",
)
@click.option(
    "--block", type=click.Choice(["until-unblocked", "for-good"]), help="end the application's use"
)
@click.option("--reason", required=True)
@staff_option
@json_option
@click.pass_obj
def add(
    console: Console, asn: str, /, reason: str, actor: str, as_json: bool, **wished: Any
) -> None:
    """排队更新 Let a card be changed at its next tap."""
    wanted = _wanted(wished, console.clock.utc_ms())
    with console.runtime() as runtime, runtime.database.writing() as session:
        require_staff(session, actor)
        bench = Bench(runtime.store, console.clock.utc_ms())
        update = services.queue(session, bench, asn, wanted, (actor, reason))
        document = {"id": update.id, "asn": asn, "fields": update.fields.split(",")}
    text = f"更新 update {document['id']}: {asn} 待刷卡 waits for the card"
    show(document, text, as_json=as_json)


@card_update.command("cancel", epilog=example("yika-server card-update cancel 0000… --by li"))
@click.argument("asn")
@staff_option
@click.pass_obj
def cancel(console: Console, asn: str, actor: str) -> None:
    """撤回更新 Take back what waits for a card."""
    with console.writing() as session:
        require_staff(session, actor)
        services.cancel(session, asn, actor, console.clock.utc_ms())


@card_update.command("list", epilog=example("yika-server card-update list --json"))
@click.option("--asn", help="of one card only")
@json_option
@click.pass_obj
def list_updates(console: Console, asn: str | None, as_json: bool) -> None:
    """列出更新 Name the newest updates and how they ended."""
    statement = sa.select(CardUpdate).order_by(CardUpdate.id.desc()).limit(LIST_MAX)
    if asn is not None:
        statement = statement.where(CardUpdate.asn == asn)
    with console.reading() as session:
        rows = [_row(update) for update in session.scalars(statement)]
    lines = (
        f"{row['id']} {row['asn']} {row['state']} {row['fields']} "
        f"次数 attempts {row['attempts']} {row['outcome'] or ''}".rstrip()
        for row in rows
    )
    show({"updates": rows}, "\n".join(lines), as_json=as_json)


def _wanted(wished: dict[str, Any], now_ms: int) -> Wanted:
    block = wished.pop("block")
    valid_to = wished.pop("valid_to")
    # A number on the command line would stand in the list of processes.
    told = wished.pop("guardian_file")
    mobile = None if told is None else told.read(MOBILE_CHARS_MAX).strip()
    totals_date = None
    if wished["total_minutes"] is not None:
        totals_date = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC).date()
    return Wanted(
        valid_to=None if valid_to is None else valid_to.date(),
        totals_date=totals_date,
        guardian_mobile=mobile,
        block=None if block is None else Block[block.replace("-", "_").upper()],
        **wished,
    )


def _row(update: CardUpdate) -> dict[str, Any]:
    ended = None if update.ended_ms is None else from_millis(update.ended_ms).isoformat()
    return {
        "id": update.id,
        "asn": update.asn,
        "fields": update.fields,
        "state": update.state,
        "attempts": update.attempts,
        "carrier": update.carrier,
        "outcome": update.outcome,
        "by": update.created_by,
        "ended": ended,
    }


COMMANDS = [card_update]
