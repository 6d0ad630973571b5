# SPDX-License-Identifier: Apache-2.0
"""The command `yika-terminal`: provision, run, status, sync, export."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from card.errors import CardError
from card.readers import open_reader
from keys.errors import KeysError
from keys.identity import Identity, Suite, fingerprint
from swipe.errors import SwipeError
from terminal.clock import Clock, SystemClock
from terminal.config import Config, load
from terminal.display import open_display
from terminal.errors import ConfigError, TerminalError
from terminal.export import export as write_export
from terminal.files import IDENTITY, JOURNAL
from terminal.journal import read_only
from terminal.keypad import open_keypad
from terminal.passport import Passport
from terminal.program import Parts, Program
from terminal.provision import provision as enrol
from terminal.psam_slot import SOFT, open_psam
from terminal.report import Report, read_report
from terminal.sync import renew_key
from terminal.sync import sync as exchange
from terminal.transport import HttpTransport

PASSPHRASE_VARIABLE = "YIKA_PSAM_PASSPHRASE"  # noqa: S105 - the name of the variable
TOKEN_VARIABLE = "YIKA_ENROL_TOKEN"  # noqa: S105 - the name of the variable
CONFIG_VARIABLE = "YIKA_TERMINAL_CONFIG"
QUICK_S = 2.0  # one answer of the server while a card is held still
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


@dataclass(frozen=True, slots=True)
class Session:
    """What every command starts from."""

    config_path: Path | None
    clock: Clock

    def config(self) -> Config:
        """Read the configuration."""
        return load(self.config_path)


json_option = click.option("--json", "as_json", is_flag=True, help="answer in one line of JSON")


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


@cli.command()
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="file with the one-time token; otherwise $YIKA_ENROL_TOKEN, otherwise it is asked for",
)
@click.option(
    "--suite",
    type=click.Choice(["ed25519", "sm2"]),
    default="ed25519",
    show_default=True,
    help="signature suite of this terminal, for good: Ed25519 with SHA-256, or SM2 with SM3",
)
@json_option
@click.pass_obj
def provision(session: Session, token_file: Path | None, suite: str, *, as_json: bool) -> None:
    """Make this terminal's key and enrol it with its PSAM.

    Example: yika-terminal --config gate.toml provision --token-file token.txt
    """
    config = session.config()
    psam = open_psam(config.reader.psam, _passphrase(config))
    transport = HttpTransport(config.server.url, config.server.timeout_s)
    chosen = Suite[suite.upper()]
    passport, state = enrol(config.data_dir, psam, _token(token_file), transport, chosen)
    shown = fingerprint(Identity.load(config.data_dir / IDENTITY).public_key)
    _answer(
        {
            "fingerprint": shown,
            "terminal": passport.terminal_id,
            "key_id": passport.key_id,
            "site": passport.site_zh,
            "state": state,
            "psam_no": psam.number.hex(),
        },
        as_json,
        f"终端 {passport.terminal_id} 已入网 · enrolled at {passport.site_zh} · {state}"
        f"\n密钥指纹 key fingerprint {shown}",
    )


@cli.command()
@click.option("--verbose", "-v", is_flag=True, help="log every tap")
@click.pass_obj
def run(session: Session, *, verbose: bool) -> None:
    """Wait for cards until SIGTERM or Ctrl-C.

    Example: yika-terminal --config gate.toml run
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format=LOG_FORMAT, stream=sys.stderr
    )
    config = session.config()
    known_psam = _known_psam(config)
    parts = Parts(
        reader=open_reader(config.reader.card),
        psam=open_psam(config.reader.psam, _passphrase(config), known_psam),
        transport=HttpTransport(config.server.url, config.server.timeout_s),
        quick=HttpTransport(config.server.url, min(config.server.timeout_s, QUICK_S)),
        display=open_display(config.display.device),
        keypad=open_keypad(config.keypad.device),
    )
    program = Program(config, session.clock, parts)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: program.stop())
    program.run()


@cli.command()
@json_option
@click.pass_obj
def status(session: Session, *, as_json: bool) -> None:
    """Tell what the journal holds; also while the program runs.

    Example: yika-terminal --config gate.toml status --json
    """
    report = read_report(session.config(), session.clock.utc_ms())
    lines = (f"{name:<20} {value}" for name, value in report.items())
    _answer(report, as_json, "\n".join(lines))


@cli.command()
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
    _answer(report, as_json, f"{text}: {counts}")
    if final and report["unsent"]:
        raise SystemExit(1)


@cli.command("change-key")
@json_option
@click.pass_obj
def change_key(session: Session, *, as_json: bool) -> None:
    """Take a new key into use, signed by the old one; the program must not be running.

    Example: yika-terminal --config gate.toml change-key
    """
    config = session.config()
    transport = HttpTransport(config.server.url, config.server.timeout_s)
    report = renew_key(config, session.clock, transport)
    _answer(report, as_json, f"新密钥 · new key {report['key_id']}: {report['fingerprint']}")


@cli.command()
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
    _answer(report, as_json, f"{count} 条事件 · events → {target}")


def main(argv: Sequence[str] | None = None, *, clock: Clock | None = None) -> None:
    """Run the command line; a launcher may give a clock, a configuration cannot."""
    try:
        cli.main(args=None if argv is None else list(argv), obj=clock, standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except click.Abort:
        _fail("已取消 · cancelled")
    except TerminalError as exc:
        _fail(exc.diagnostics())
    except (CardError, KeysError, SwipeError) as exc:
        _fail(str(exc))
    except OSError as exc:
        _fail(f"{exc.filename or ''}: {exc.strerror or exc}")


def _fail(text: str) -> None:
    click.echo(f"yika-terminal: {text}", err=True)
    sys.exit(1)


def _answer(report: Report, as_json: bool, text: str) -> None:
    click.echo(json.dumps(report, ensure_ascii=False) if as_json else text)


def _known_psam(config: Config) -> bytes:
    """Return the PSAM number the journal knows: with it the terminal starts without its PSAM."""
    Passport.load(config.data_dir)
    _, state, _ = read_only(config.data_dir / JOURNAL)
    return state.own_psam_no


def _passphrase(config: Config) -> str:
    """Return what opens a software PSAM: environment first, then a question."""
    if not config.reader.psam.startswith(SOFT):
        return ""
    if PASSPHRASE_VARIABLE in os.environ:
        return os.environ[PASSPHRASE_VARIABLE]
    return str(click.prompt("PSAM 口令 · PSAM passphrase", hide_input=True, err=True))


def _token(path: Path | None) -> str:
    """Return the one-time token; never from the command line, which others can read."""
    if path is not None:
        token = path.read_text(encoding="utf-8").strip()
    elif TOKEN_VARIABLE in os.environ:
        token = os.environ[TOKEN_VARIABLE].strip()
    else:
        token = str(click.prompt("入网口令 · enrolment token", hide_input=True, err=True)).strip()
    if not token:
        raise ConfigError("token", "入网口令为空 · the token is empty")
    return token
