# SPDX-License-Identifier: Apache-2.0
"""The command `yika-terminal`: one module for each group of commands, each with its COMMANDS."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from card.errors import CardError
from keys.errors import KeysError
from swipe.errors import SwipeError
from terminal.cli.care import COMMANDS as CARE
from terminal.cli.enrolment import COMMANDS as ENROLMENT
from terminal.cli.exporting import COMMANDS as EXPORTING
from terminal.cli.gateway import gateway
from terminal.cli.journal import COMMANDS as JOURNAL
from terminal.cli.running import COMMANDS as RUNNING
from terminal.cli.session import CONFIG_VARIABLE, PASSPHRASE_VARIABLE, TOKEN_VARIABLE, Session
from terminal.cli.unit_files import COMMANDS as UNITS
from terminal.cli.updating import COMMANDS as UPDATING
from terminal.clock import Clock, SystemClock
from terminal.errors import TerminalError

__all__ = ["PASSPHRASE_VARIABLE", "TOKEN_VARIABLE", "cli", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=CONFIG_VARIABLE,
    help="TOML file; every key can be overridden by YIKA_<SECTION>_<KEY>",
)
@click.pass_context
def cli(context: click.Context, config_path: Path | None) -> None:
    """Volunteer terminal: taps in and out, on line or off line.

    Example: yika-terminal --config gate.toml run
    """
    clock = context.obj if context.obj is not None else SystemClock()
    context.obj = Session(config_path, clock)


for _command in (*ENROLMENT, *RUNNING, *JOURNAL, *EXPORTING, *UPDATING, *UNITS, *CARE, gateway):
    cli.add_command(_command)


def main(argv: Sequence[str] | None = None, *, clock: Clock | None = None) -> None:
    """Run the command line; a launcher may give a clock, a configuration cannot."""
    try:
        cli.main(args=None if argv is None else list(argv), obj=clock, standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        click.echo("用法有误；加 -h 看示例 · wrong usage; -h shows an example", err=True)
        sys.exit(exc.exit_code)
    except click.Abort:
        _fail("已取消 · cancelled")
    except TerminalError as exc:
        _fail(exc.diagnostics(), exc.exit_status)
    except (CardError, KeysError, SwipeError) as exc:
        _fail(str(exc))
    except OSError as exc:
        told = f"{exc.filename or ''}: {exc.strerror or exc}"
        _fail(f"{told}; 请检查路径与权限 · check the path and its permissions")


def _fail(text: str, status: int = 1) -> None:
    click.echo(f"yika-terminal: {text}", err=True)
    sys.exit(status)
