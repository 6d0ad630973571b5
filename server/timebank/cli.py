# SPDX-License-Identifier: Apache-2.0
"""Commands about the ledger."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from server.console import Console, example, json_option, show
from server.timebank.checking import check


@click.group()
def ledger() -> None:
    """时长账 The minutes ledger."""


@ledger.command(
    "check", epilog=example("yika-server ledger check", "yika-server ledger check --json")
)
@json_option
@click.pass_obj
def ledger_check(console: Console, as_json: bool) -> None:
    """核对全账 Recompute the whole ledger; exit 1 and name the faults if it is not sound."""
    with console.reading() as session:
        found = check(session)
    lines = [
        (
            f"时长账 ledger: {'平 sound' if found.sound else '不平 not sound'}; "
            f"{found.transfers} transfers, {found.accounts} accounts, sum {found.ledger_sum}, "
            f"{found.credited_minutes} credited minutes"
        ),
        *found.faults,
    ]
    show(asdict(found) | {"sound": found.sound}, "\n".join(lines), as_json=as_json)
    if not found.sound:
        sys.exit(1)


COMMANDS = [ledger]
