# SPDX-License-Identifier: Apache-2.0
"""Commands for whoever helps: doctor, support-bundle."""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from terminal.cli.session import Session, answer, json_option, passphrase
from terminal.config import Config
from terminal.doctor import Around, Finding, examine
from terminal.doctor_words import words
from terminal.errors import ConfigError, TerminalError
from terminal.health import machine, package_version
from terminal.links import open_transport
from terminal.releases import slots
from terminal.report import read_report
from terminal.support import masked_config, tail_of, write_bundle


@click.command()
@json_option
@click.pass_obj
def doctor(session: Session, *, as_json: bool) -> None:
    """Look at every part: what is found, what is expected, what to do next.

    Example: yika-terminal --config gate.toml doctor
    """
    findings = _findings(session)
    fine = all(finding.fine for finding in findings)
    lines = [line for finding in findings for line in _lines(finding)]
    report: dict[str, Any] = {"fine": fine, "parts": [asdict(finding) for finding in findings]}
    answer(report, as_json, "\n".join(lines))
    if not fine:
        sys.exit(1)


@click.command("support-bundle")
@click.option(
    "--out",
    "target",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="file to write, a .tar.gz",
)
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="a log whose end goes in; journalctl -u yika-terminal > yika.log makes one",
)
@json_option
@click.pass_obj
def support_bundle(
    session: Session, target: Path, logs: tuple[Path, ...], *, as_json: bool
) -> None:
    """Write what a helper needs: no secrets, no names, no whole serials.

    Example: yika-terminal support-bundle --out yika.tar.gz --log yika.log
    """
    parts: dict[str, str | dict[str, Any]] = {
        "doctor.json": {"parts": [asdict(finding) for finding in _findings(session)]},
        "versions.json": {
            "yika": package_version(),
            "python": platform.python_version(),
            "kernel": platform.release(),
            "machine": platform.machine(),
        },
    }
    if session.config_path is not None and session.config_path.exists():
        raw = session.config_path.read_text(encoding="utf-8", errors="replace")
        parts["config.json"] = masked_config(raw)
    try:
        config = session.config()
        parts["machine.json"] = machine(config.data_dir)
        parts["update.json"] = asdict(slots.load(config.update_dir))
        parts["journal.json"] = read_report(config, session.clock.utc_ms())
    except TerminalError as exc:
        parts["trouble.txt"] = exc.diagnostics()
    for number, path in enumerate(logs, 1):
        parts[f"log-{number}.txt"] = tail_of(path)
    written = write_bundle(target, parts)
    answer({"file": str(target), "parts": written}, as_json, f"{target}: {', '.join(written)}")


def _findings(session: Session) -> list[Finding]:
    try:
        config = session.config()
    except ConfigError as exc:
        text = words("config")
        return [Finding("config", fine=False, found=str(exc), expected=text.expected,
                        next_step=text.next_step)]  # fmt: skip
    return examine(config, Around(open_transport(config.server), _asking(config)))


def _asking(config: Config) -> Any:
    return lambda: passphrase(config)


def _lines(finding: Finding) -> list[str]:
    mark = "好 ok " if finding.fine else "坏 BAD"
    first = f"{mark} {finding.part:<9} {finding.found}"
    if finding.fine:
        return [first]
    expected, step = " · ".join(finding.expected), " · ".join(finding.next_step)
    return [first, f"       应为 expected: {expected}", f"       下一步 next: {step}"]


COMMANDS = (doctor, support_bundle)
