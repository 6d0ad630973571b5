# SPDX-License-Identifier: Apache-2.0
"""`yika-card trace show|export|minimise`: look into what `--trace` kept."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from card import trace_file
from card.cassette import minimise as minimise_sequence
from card.cli.options import Failed, failures, json_option, show
from card.decode import describe_tape
from card.trace import Exchange, Tape
from card.trace_save import save_as

_TRACE_HELP = """\
查看与转换通信记录 · look into what --trace kept.

\b
Examples:
  yika-card info --trace tap.trace
  yika-card trace show tap.trace
  yika-card trace export tap.trace tap.html
  yika-card info --reader cassette:tap.trace
"""

_EXPORT_HELP = """\
导出 · turn a trace into a page (.html) or a capture for Wireshark (.pcapng).

\b
Examples:
  yika-card trace export tap.trace tap.html
  yika-card trace export tap.trace tap.pcapng
"""

_MINIMISE_HELP = """\
缩减 · find the shortest part of a trace for which a command still ends with status 0.

The command gets the path of a candidate as its last argument.

\b
Example:
  yika-card trace minimise tap.trace short.trace -- python check.py
"""

_source = click.argument("source", type=click.Path(path_type=Path, exists=True, dir_okay=False))
_target = click.argument("target", type=click.Path(path_type=Path, dir_okay=False))


@click.group(help=_TRACE_HELP)
def trace() -> None:
    """Look into what --trace kept."""


@trace.command("show")
@_source
@json_option
def show_trace(source: Path, as_json: bool) -> None:
    """显示 · print a trace in words. Example: yika-card trace show tap.trace."""
    tape = _load(source)
    rows: list[dict[str, Any]] = []
    lines: list[str] = []
    for number, (item, found) in enumerate(describe_tape(tape), 1):
        rows.append(
            {
                "number": number,
                "t_us": item.t_us,
                "took_us": item.took_us,
                "command": item.command.hex().upper(),
                "answer": item.answer.hex().upper(),
                "sw": f"{item.sw:04X}",
                "masked": item.masked,
                "name": found.name,
                "label": found.label._asdict(),
                "fine": found.fine,
                "sent": [_line(line) for line in found.sent],
                "received": [_line(line) for line in found.received],
            }
        )
        first, *rest = found.lines()
        lines += [f"{number} · {item.t_us / 1000:.1f} ms · {first}", *rest]
    head = {"reader": tape.reader, "atr": tape.atr.hex().upper(), "revealed": tape.revealed}
    show({**head, "exchanges": rows}, as_json, lines)


def _line(line: Any) -> dict[str, str]:
    return {"zh": line.label.zh, "en": line.label.en, "value": line.value}


@trace.command(help=_EXPORT_HELP)
@_source
@_target
@json_option
def export(source: Path, target: Path, as_json: bool) -> None:
    """Turn a trace into a page or a capture."""
    tape = _load(source)
    _save(tape, target)
    document = {"file": str(target), "exchanges": len(tape.exchanges)}
    show(document, as_json, [f"{target}: {len(tape.exchanges)} exchanges"])


@trace.command(help=_MINIMISE_HELP, context_settings={"ignore_unknown_options": True})
@_source
@_target
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@json_option
def minimise(source: Path, target: Path, command: tuple[str, ...], as_json: bool) -> None:
    """Find the shortest part of a trace for which a command still ends with status 0."""
    tape = _load(source)
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder) / "candidate.trace"

        def fails(part: Sequence[Exchange]) -> bool:
            trace_file.save(replace(tape, exchanges=tuple(part)), candidate)
            # The user's own command line, without a shell.
            done = subprocess.run([*command, str(candidate)], check=False, capture_output=True)  # noqa: S603
            return done.returncode == 0

        try:
            kept = minimise_sequence(tape.exchanges, fails)
        except ValueError as exc:
            raise Failed(
                "整个记录不满足条件 / the command does not end with 0 for the whole trace"
            ) from exc
        except OSError as exc:
            raise Failed(f"{command[0]}: {exc.strerror}") from exc
    _save(replace(tape, exchanges=tuple(kept)), target)
    document = {"file": str(target), "before": len(tape.exchanges), "after": len(kept)}
    show(document, as_json, [f"{target}: {len(tape.exchanges)} → {len(kept)}"])


def _load(source: Path) -> Tape:
    with failures():
        try:
            return trace_file.load(source)
        except OSError as exc:
            raise Failed(f"{source}: {exc.strerror}") from exc


def _save(tape: Tape, target: Path) -> None:
    try:
        save_as(tape, target)
    except OSError as exc:
        raise Failed(f"{target}: {exc.strerror}") from exc


COMMANDS: tuple[click.Command, ...] = (trace,)
