# SPDX-License-Identifier: Apache-2.0
"""Commands about what the journal holds: status, sync."""

from __future__ import annotations

import click

from terminal.cli.session import Session, answer, json_option
from terminal.links import open_transport
from terminal.report import read_report
from terminal.sync import sync as exchange


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
    transport = open_transport(config.server)
    report = exchange(config, session.clock, transport, final=final)
    text = "尚有未上传 · some unsent" if report["unsent"] else "已全部上传 · all acknowledged"
    counts = f"{report['events_acknowledged']}/{report['events_journaled']}"
    answer(report, as_json, f"{text}: {counts}")
    if final and report["unsent"]:
        raise SystemExit(1)


COMMANDS = (status, sync)
