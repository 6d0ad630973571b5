# SPDX-License-Identifier: Apache-2.0
"""A terminal that leads people through a key ceremony."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Any, TypeVar

import click

from keys.ceremony_steps import Ask, Clear, Say, Script, ShowOnce, Step

# Home, clear the screen, clear what can be scrolled back to (xterm, and the Linux console).
CLEAR = "\x1b[H\x1b[2J\x1b[3J"
_R = TypeVar("_R")
_ENTER: dict[str, Any] = {"default": "", "show_default": False}


printer_option = click.option(
    "--printer",
    type=click.Path(exists=True, dir_okay=False, writable=True, path_type=Path),
    help="device that prints what goes into envelopes, such as /dev/usb/lp0 [default: the screen]",
)


def lead(script: Script[_R], printer: Path | None = None) -> _R:
    """Drive a ceremony at this terminal to its end; ^C throws it away.

    Raises ``click.ClickException`` where there is no terminal, for a ceremony is typed by people,
    and when the printer is a file, which would keep what it prints.
    """
    if printer is not None and not stat.S_ISCHR(printer.stat().st_mode):
        raise click.ClickException(f"{printer}: not a printer; a file would keep the secret")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.ClickException("a ceremony is held at a terminal, not through a pipe")
    answer: str | None = None
    try:
        while True:
            step = next(script) if answer is None else script.send(answer)
            answer = _answered(step, printer)
    except StopIteration as end:
        result: _R = end.value
        return result
    finally:
        script.close()


def _answered(step: Step, printer: Path | None) -> str:
    match step:
        case Say(zh, en):
            click.echo(f"{zh}  {en}")
        case Clear():
            click.echo(CLEAR, nl=False)
        case ShowOnce(zh, en, secret) if printer is not None:
            with printer.open("w", encoding="utf-8") as paper:
                paper.write(f"{zh}\n{en}\n\n    {secret}\n\f")
            click.echo(f"{zh}  {en}")
            click.prompt("取走打印纸按回车 take the sheet, press enter", **_ENTER)
        case ShowOnce(zh, en, secret):
            click.echo(f"{zh}  {en}\n\n    {secret}\n")
            click.prompt("抄好按回车 copied? press enter", **_ENTER)
            click.echo(CLEAR, nl=False)
        case Ask(zh, en, hidden):
            typed: str = click.prompt(
                f"{zh}  {en}", hide_input=hidden, default="", show_default=False
            )
            return typed
    return ""
