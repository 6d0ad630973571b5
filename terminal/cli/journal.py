# SPDX-License-Identifier: Apache-2.0
"""Commands about what the journal holds: status, sync, export."""

from __future__ import annotations

from pathlib import Path

import click

from keys.identity import Identity
from terminal.cli.session import Session, answer, json_option
from terminal.export import export as write_export
from terminal.files import IDENTITY, JOURNAL
from terminal.passport import Passport
from terminal.report import read_report
from terminal.sync import sync as exchange
from terminal.transport import HttpTransport


@click.command()
@json_option
@click.pass_obj
def status(session: Session, *, as_json: bool) -> None:
    """Tell what the journal holds; also while the program runs.

    Example: yika-terminal --config gate.toml status --json
    """
    report = read_report(session.config(), session.clock.utc_ms())
    lines = (f"{name:<20} {value}" for name, value in report.items())
    answer(report, as_json, "\n".join(lines))


@click.command()
@click.option("--final", is_flag=True, help="close the day first; fail unless all is acknowledged")
@json_option
@click.pass_obj
def sync(session: Session, *, final: bool, as_json: bool) -> None:
    """Upload everything now; the program must not be running.

    Example: yika-terminal --config gate.toml sync --final
    """
    config = session.config()
    transport = HttpTransport(config.server.url, config.server.timeout_s)
    report = exchange(config, session.clock, transport, final=final)
    text = "尚有未上传 · some unsent" if report["unsent"] else "已全部上传 · all acknowledged"
    counts = f"{report['events_acknowledged']}/{report['events_journaled']}"
    answer(report, as_json, f"{text}: {counts}")
    if final and report["unsent"]:
        raise SystemExit(1)


@click.command()
@click.option(
    "--out",
    "target",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="file to write",
)
@json_option
@click.pass_obj
def export(session: Session, target: Path, *, as_json: bool) -> None:
    """Write all events into a file that `yika-swipe verify` checks off line.

    Example: yika-terminal --config gate.toml export --out gate.yika
    """
    config = session.config()
    Passport.load(config.data_dir)
    identity = Identity.load(config.data_dir / IDENTITY)
    count = write_export(config.data_dir / JOURNAL, target, identity, session.clock.utc_ms())
    report = {"file": str(target), "events": count}
    answer(report, as_json, f"{count} 条事件 · events → {target}")


COMMANDS = (status, sync, export)
