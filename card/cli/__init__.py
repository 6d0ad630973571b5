# SPDX-License-Identifier: Apache-2.0
"""`yika-card`: every command of the SDK at a command line."""

from __future__ import annotations

import click

from card.cli.content import COMMANDS as CONTENT
from card.cli.dumps import COMMANDS as DUMPS
from card.cli.issuing import COMMANDS as ISSUING
from card.cli.purse import COMMANDS as PURSE
from card.cli.raw import COMMANDS as RAW
from card.cli.readers import COMMANDS as READERS
from card.cli.relay import COMMANDS as RELAY
from card.cli.trace import COMMANDS as TRACE

_HELP = """\
义工证读写与发卡 · read and issue volunteer cards.

\b
Examples:
  yika-card readers
  yika-card doctor
  yika-card info --json
  yika-card dump --protected --store keys.yika --out card.yaml
  yika-card issue --data card.json --store keys.yika --dry-run
  yika-card shell
  yika-card info --trace tap.html

\b
Status: 0 fine, 1 an expected failure (one line says what and what to do), 2 wrong usage.
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, help=_HELP)
def main() -> None:
    """Read and issue volunteer cards."""


for _command in (*READERS, *CONTENT, *DUMPS, *ISSUING, *PURSE, *RAW, *RELAY, *TRACE):
    main.add_command(_command)
