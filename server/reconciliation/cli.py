# SPDX-License-Identifier: Apache-2.0
"""Commands about deriving service time."""

from __future__ import annotations

from dataclasses import asdict

import click

from server.console import Console, example, json_option, show
from server.people.services import find_volunteer
from server.reconciliation import services


@click.command(epilog=example("yika-server reconcile", "yika-server reconcile 0000000019 --json"))
@click.argument("numbers", nargs=-1)
@click.option("--dry-run", is_flag=True, help="derive and count, write nothing")
@json_option
@click.pass_obj
def reconcile(console: Console, numbers: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """重新对账 Derive service time again, of the volunteers named or of everybody.

    What changed is queued for the ledger; a running server posts it within a second.
    """
    unit = console.reading() if dry_run else console.writing()
    with unit as session:
        persons = [find_volunteer(session, number).id for number in numbers] if numbers else None
        summary = services.reconcile(session, persons, console.clock.utc_ms())
        if not dry_run:
            services.queue_for_ledger(session, persons)
    text = (
        f"{summary.persons} 人 volunteers, {summary.intervals} 时段 intervals "
        f"({summary.new_intervals} 变动 changed), {summary.exceptions} 异常 exceptions "
        f"({summary.new_exceptions} 变动 changed)" + (" [dry run]" if dry_run else "")
    )
    show(asdict(summary) | {"dry_run": dry_run}, text, as_json=as_json)


COMMANDS = [reconcile]
