# SPDX-License-Identifier: Apache-2.0
"""`yika-card apdu|shell`: bytes by hand, with words around them and a guard in front."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from card.apdu import CommandApdu
from card.apply import desk_keys
from card.card_keys import CardKeys
from card.cli.options import (
    Failed,
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
from card.decode import describe
from card.errors import CardError
from card.shell import REALLY, Shell
from card.shell_guard import risk
from card.shell_verbs import run_line
from card.status_words import OK
from card.trace_place import Whereabouts
from card.volunteer import DeskKeys
from keys.custody import StoreName

_APDU_HELP = """\
原始指令 · send raw commands and say what they and their answers mean.

A command that writes, may cost a try, or is not declared is sent only with --really. The first
answer that is not 9000 ends the run.

\b
Examples:
  yika-card apdu 00A4040006F059494B4101 00B0950038
  yika-card apdu 0020000003123456 --really --json
"""

_SHELL_HELP = """\
交互 · talk to the card line by line: completion at a terminal, scripts through a pipe.

\b
Examples:
  yika-card shell
  yika-card shell --store keys.yika
  printf 'select volunteer\\nread 0015\\n' | yika-card shell
"""

_MORE = 0x61


@click.command(help=_APDU_HELP)
@click.argument("commands", metavar="HEX…", nargs=-1, required=True)
@click.option(REALLY, "really", is_flag=True, help="Send what may cost the card something.")
@card_options
@json_option
def apdu(commands: tuple[str, ...], really: bool, place: Place, as_json: bool) -> None:
    """Send raw commands and say what they and their answers mean."""
    with failures():
        parsed = [_parse(text) for text in commands]
        for command in () if really else parsed:
            why = risk(command)
            if why is not None:
                head = command.header.hex().upper()
                raise Failed(
                    f"{head}：{why.zh}，确需执行请加 {REALLY} / {why.en}; add {REALLY} to send it"
                )
        with card_at(place) as connection:
            rows, lines = _exchange_all(parsed, connection.transmit)
    show({"exchanges": rows}, as_json, lines)
    last = rows[-1]
    if last["sw"] != f"{OK:04X}" and not last["sw"].startswith(f"{_MORE:02X}"):
        raise Failed(f"{last['sw']} {last['meaning']['zh']} / {last['meaning']['en']}")


def _parse(text: str) -> CommandApdu:
    try:
        return CommandApdu.from_bytes(bytes.fromhex(text))
    except ValueError as exc:
        raise click.UsageError("commands are hex digits") from exc


def _exchange_all(commands: list[CommandApdu], transmit: Any) -> tuple[list[Any], list[str]]:
    rows: list[Any] = []
    lines: list[str] = []
    where = Whereabouts()
    for command in commands:
        sent = command.to_bytes()
        file = where.file(command) if Whereabouts.touches_content(command) else None
        data, sw = transmit(sent)
        where.follow(command, sw)
        found = describe(sent, data, sw, file)
        rows.append(
            {
                "name": found.name,
                "answer": data.hex().upper(),
                "sw": f"{sw:04X}",
                "meaning": None if found.status is None else found.status.meaning._asdict(),
                "fine": found.fine,
                "sent": [_line(line) for line in found.sent],
                "received": [_line(line) for line in found.received],
            }
        )
        lines += [f"{data.hex().upper()} {sw:04X}".strip(), *found.lines()]
        if not found.fine:
            break
    return rows, lines


def _line(line: Any) -> dict[str, str]:
    return {"zh": line.label.zh, "en": line.label.en, "value": line.value}


@click.command(help=_SHELL_HELP)
@store_option
@click.option("--history", type=click.Path(path_type=Path, dir_okay=False), help="History file.")
@card_options
@json_option
def shell(store: StoreName | None, history: Path | None, place: Place, as_json: bool) -> None:
    """Talk to the card line by line."""
    opened = None if store is None else open_store(store)

    def derive(asn: bytes, version: int) -> DeskKeys:
        assert opened is not None
        return desk_keys(asn, CardKeys.from_store(opened, asn, version))

    with failures(), card_at(place) as connection:
        guard = None if store is None else guard_of(store)
        session = Shell(connection, desk=None if opened is None else derive, guard=guard)
        terminal = sys.stdin.isatty() and not as_json
        _converse(session, _lines(session, history, terminal), terminal, as_json)


def _lines(session: Shell, history: Path | None, terminal: bool) -> Iterable[str]:
    if not terminal:
        return sys.stdin
    # A script on a machine without the library for prompts must still run.
    from card import shell_prompt  # noqa: PLC0415

    return shell_prompt.lines_from_terminal(session, history)


def _converse(session: Shell, lines: Iterable[str], terminal: bool, as_json: bool) -> None:
    """Run lines; at a terminal a failure is shown and the next line asked for, else it ends."""
    for number, line in enumerate(lines, 1):
        try:
            said = run_line(session, line)
        except CardError as exc:
            if not terminal:
                raise Failed(f"{number}: {exc}") from exc
            click.echo(str(exc), err=True)
            continue
        if line.strip() or not as_json:
            show({"line": number, "said": said}, as_json, said)
        if session.done:
            return


COMMANDS: tuple[click.Command, ...] = (apdu, shell)
