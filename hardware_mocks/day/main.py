# SPDX-License-Identifier: Apache-2.0
"""The command behind `script/run`: play the day, tell how it went, clear everything away."""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import Any, NoReturn

import click
from sqlalchemy.exc import OperationalError

from card.errors import CardError
from hardware_mocks.cardhost.client import HandError
from hardware_mocks.day.course import Options, play_day
from hardware_mocks.day.document import DocumentError
from hardware_mocks.day.ground import AlreadyPlaying, NotOurs
from hardware_mocks.day.keyroom import KINDS, NoSoftHsm
from hardware_mocks.day.programs import ProgramEnded
from hardware_mocks.day.stage import PortTaken
from hardware_mocks.lcd import NothingShown
from hardware_mocks.pcsc import PcscError
from keys.errors import KeysError
from server.errors import ServerError
from terminal.errors import TerminalError

EXPECTED_FAILURES = (
    AlreadyPlaying, CardError, DocumentError, HandError, KeysError, NoSoftHsm, NothingShown,
    NotOurs, OperationalError, OSError, PcscError, PortTaken, ProgramEnded, ServerError,
    TerminalError, TimeoutError,
)  # fmt: skip
APPLICANTS_MAX = 5_000  # a day of them at one door, two seconds apart, ends before the night
INTERRUPTED = 130  # what a shell reports for Ctrl-C


@click.command(add_help_option=False)
@click.option("--exit", "leave", is_flag=True)
@click.option("--json", "as_json", is_flag=True)
@click.option("--port", type=click.IntRange(1, 65535), default=8000)
@click.option("--database", default="")
@click.option("--keys", type=click.Choice(KINDS), default="file")
@click.option("--system-pcscd", is_flag=True)
@click.option("--applicants", type=click.IntRange(0, APPLICANTS_MAX), default=0)
def main(*, leave: bool, as_json: bool, **asked: Any) -> None:
    """Play the demonstration day; `script/run --help` tells the options."""
    # A shell starts what runs in its background with SIGINT ignored; this day ends with either.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    options = Options(**asked)
    try:
        with contextlib.ExitStack() as clear_away:
            clear_away.callback(say, "已全部结束 / every process has been ended")
            met = _show(options, clear_away, leave=leave, as_json=as_json)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except EXPECTED_FAILURES as exc:
        _fail(str(exc))
    sys.exit(0 if met else 1)


def _show(
    options: Options, clear_away: contextlib.ExitStack, *, leave: bool, as_json: bool
) -> bool:
    """Play, tell, and stay until interrupted; what was started ends with `clear_away`."""
    try:
        ending = play_day(options, clear_away, say)
        click.echo(ending.table, err=as_json)
        for sentence in ending.differences:
            say(f"✗ {sentence}")
        met = not ending.differences
        say("✓ 全部符合 docs/demo-day.md / everything as the page says" if met else "✗")
        if as_json:
            click.echo(ending.summary)
        if not leave:
            say(ending.invitation)
            signal.pause()
        return met
    finally:
        # From here on only the clearing away counts: a second Ctrl-C must not cut it short.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def say(text: str) -> None:
    """Tell people how it goes, on standard error."""
    click.echo(text, err=True)


def _fail(text: str) -> NoReturn:
    say(f"script/run: {text}")
    sys.exit(1)
