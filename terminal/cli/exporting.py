# SPDX-License-Identifier: Apache-2.0
"""Commands that carry events by hand: an export to verify, a memory stick and its receipts."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from keys.identity import Identity
from terminal.cli.session import Session, answer, json_option
from terminal.export import export as write_export
from terminal.files import IDENTITY, JOURNAL
from terminal.passport import Passport
from terminal.stick import export_usb
from terminal.stick import import_receipts as take_receipts


@click.group(invoke_without_command=True)
@click.option(
    "--out",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="file to write",
)
@json_option
@click.pass_context
def export(context: click.Context, target: Path | None, *, as_json: bool) -> None:
    """Write events into a file for `yika-swipe verify`, or on a memory stick for the server.

    Example: yika-terminal --config gate.toml export --out gate.yika
    """
    if context.invoked_subcommand is not None:
        return
    if target is None:
        raise click.UsageError("--out FILE, or: export usb DIR")
    session: Session = context.obj
    config = session.config()
    Passport.load(config.data_dir)
    identity = Identity.load(config.data_dir / IDENTITY)
    count = write_export(config.data_dir / JOURNAL, target, identity, session.clock.utc_ms())
    report = {"file": str(target), "events": count}
    answer(report, as_json, f"{count} 条事件 · events → {target}")


_STICK = click.Path(path_type=Path, exists=True, file_okay=False)


@export.command()
@click.argument("folder", metavar="DIR", type=_STICK)
@json_option
@click.pass_obj
def usb(session: Session, folder: Path, *, as_json: bool) -> None:
    """Write what no receipt covers on a memory stick; the program must not be running.

    Example: yika-terminal --config gate.toml export usb /media/usb
    """
    config = session.config()
    written = export_usb(config, session.clock, folder)
    report = {
        "folder": str(written.folder),
        "batches": written.batches,
        "events": written.events,
        "already_there": written.kept,
    }
    text = f"{written.events} 条事件 · events, {written.batches} 批 · batches → {written.folder}"
    answer(report, as_json, text)


@click.command("import-receipts")
@click.argument("folder", metavar="DIR", type=_STICK)
@json_option
@click.pass_obj
def import_receipts(session: Session, folder: Path, *, as_json: bool) -> None:
    """Take the receipts that the server left on a memory stick.

    Example: yika-terminal --config gate.toml import-receipts /media/usb
    """
    config = session.config()
    taken, unsent = take_receipts(config, session.clock, folder)
    report = {
        "accepted": taken.accepted,
        "known": taken.known,
        "refused": list(taken.refused),
        "unsent": unsent,
    }
    text = f"{taken.accepted} 份回执 · receipts, {unsent} 条待传 · unsent"
    answer(report, as_json, "\n".join([text, *taken.refused]))
    if taken.refused:
        sys.exit(1)


COMMANDS = (export, import_receipts)
