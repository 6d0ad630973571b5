# SPDX-License-Identifier: Apache-2.0
"""Commands about PSAMs: ordered by one person, let in by another, and let in again."""

from __future__ import annotations

from typing import Any

import click

from keys.usage import DPK_INDEX_PSAM, DPK_INDEX_SOFT
from server.console import Console, example, json_option, show
from server.people.services import require_staff
from server.terminals import psams
from server.terminals.models import Psam
from server.terminals.psams import NewPsam
from server.terminals.setting_cli import staff_option


@click.group()
def psam() -> None:
    """PSAM 卡 Further PSAMs of a terminal."""


@psam.command("add", epilog=example("yika-server psam add 1 880000000002 --from-seq 1200 --by li"))
@click.argument("terminal_id", type=int)
@click.argument("number")
@click.option("--software", is_flag=True, help="a PSAM in a file, with its own key index")
@click.option("--from-seq", type=click.IntRange(1), required=True, help="first event it may prove")
@staff_option
@click.pass_obj
def psam_add(
    console: Console, terminal_id: int, number: str, software: bool, from_seq: int, actor: str
) -> None:
    """登记 PSAM Order a further PSAM for a terminal."""
    new = NewPsam(
        number=_psam_number(number),
        terminal_id=terminal_id,
        hardware=not software,
        dpk_idx=DPK_INDEX_SOFT if software else DPK_INDEX_PSAM,
        from_seq=from_seq,
    )
    with console.writing() as session:
        require_staff(session, actor)
        psams.propose_psam(session, new, actor, console.clock.utc_ms())


@psam.command("approve", epilog=example("yika-server psam approve 880000000002 --by wang"))
@click.argument("number")
@staff_option
@click.pass_obj
def psam_approve(console: Console, number: str, actor: str) -> None:
    """批准 PSAM Let a further PSAM in; not by the person who ordered it."""
    with console.writing() as session:
        require_staff(session, actor)
        psams.approve_psam(session, _psam_number(number), actor, console.clock.utc_ms())


@psam.command(
    "release",
    epilog=example("yika-server psam release 880000000002 --reason 'tried at the bench' --by wang"),
)
@click.argument("number")
@click.option("--reason", required=True, help="what was found; it stands on the audit trail")
@staff_option
@json_option
@click.pass_obj
def psam_release(console: Console, number: str, reason: str, actor: str, as_json: bool) -> None:
    """解除隔离 Let a PSAM in again that was set apart; not by the person who ordered it."""
    with console.writing() as session:
        require_staff(session, actor)
        now_ms = console.clock.utc_ms()
        released = psams.release_psam(session, _psam_number(number), reason, actor, now_ms)
        document = describe(released)
    show(document, f"PSAM {document['number']} {document['state']}", as_json=as_json)


def describe(psam: Psam) -> dict[str, Any]:
    """Return what may be said about a PSAM."""
    return {
        "number": psam.number.hex(),
        "kind": "hardware" if psam.hardware else "software",
        "state": psam.state,
        "from_seq": psam.from_seq,
        "ordered_by": psam.created_by,
        "approved_by": psam.approved_by,
        "gap_flags": psam.gap_flags,
    }


def _psam_number(text: str) -> bytes:
    if len(text) != 12 or not set(text.lower()) <= set("0123456789abcdef"):
        raise click.BadParameter("12 hex digits", param_hint="NUMBER")
    return bytes.fromhex(text)
