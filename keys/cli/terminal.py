# SPDX-License-Identifier: Apache-2.0
"""A terminal that leads people through a key ceremony."""

from __future__ import annotations

import sys
from typing import TypeVar

import click

from keys.ceremony_steps import Ask, Clear, Say, Script, ShowOnce, Step

# Home, clear the screen, clear what can be scrolled back to (xterm, and the Linux console).
CLEAR = "\x1b[H\x1b[2J\x1b[3J"
_R = TypeVar("_R")


def lead(script: Script[_R]) -> _R:
    """Drive a ceremony at this terminal to its end; ^C throws it away.

    Raises ``click.ClickException`` where there is no terminal: a ceremony is typed by people.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.ClickException("a ceremony is held at a terminal, not through a pipe")
    answer: str | None = None
    try:
        while True:
            step = next(script) if answer is None else script.send(answer)
            answer = _answered(step)
    except StopIteration as end:
        result: _R = end.value
        return result
    finally:
        script.close()


def _answered(step: Step) -> str:
    match step:
        case Say(zh, en):
            click.echo(f"{zh}  {en}")
        case Clear():
            click.echo(CLEAR, nl=False)
        case ShowOnce(zh, en, secret):
            click.echo(f"{zh}  {en}\n\n    {secret}\n")
            click.prompt("抄好按回车 copied? press enter", default="", show_default=False)
            click.echo(CLEAR, nl=False)
        case Ask(zh, en, hidden):
            typed: str = click.prompt(
                f"{zh}  {en}", hide_input=hidden, default="", show_default=False
            )
            return typed
    return ""
