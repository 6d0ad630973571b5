# SPDX-License-Identifier: Apache-2.0
"""What every command starts from: configuration, clock, secrets, and how it answers."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import click

from terminal.clock import Clock
from terminal.config import Config, load
from terminal.errors import ConfigError
from terminal.psam_slot import SOFT
from terminal.report import Report

PASSPHRASE_VARIABLE = "YIKA_PSAM_PASSPHRASE"  # noqa: S105 - the name of the variable
TOKEN_VARIABLE = "YIKA_ENROL_TOKEN"  # noqa: S105 - the name of the variable
CONFIG_VARIABLE = "YIKA_TERMINAL_CONFIG"


@dataclass(frozen=True, slots=True)
class Session:
    """What every command starts from."""

    config_path: Path | None
    clock: Clock

    def config(self) -> Config:
        """Read the configuration."""
        return load(self.config_path)


json_option = click.option("--json", "as_json", is_flag=True, help="answer in one line of JSON")


def answer(report: Report, as_json: bool, text: str) -> None:
    """Print the report as one line of JSON, or the text."""
    click.echo(json.dumps(report, ensure_ascii=False) if as_json else text)


def passphrase(config: Config) -> str:
    """Return what opens a software PSAM: environment first, then a question."""
    if not config.reader.psam.startswith(SOFT):
        return ""
    if PASSPHRASE_VARIABLE in os.environ:
        return os.environ[PASSPHRASE_VARIABLE]
    return str(click.prompt("PSAM 口令 · PSAM passphrase", hide_input=True, err=True))


def read_token(path: Path | None) -> str:
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
