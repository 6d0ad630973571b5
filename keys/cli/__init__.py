# SPDX-License-Identifier: Apache-2.0
"""The command ``yika-keys``: key stores, ceremonies, key blocks, rotation, PSAMs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from keys.cli.blocks import COMMANDS as BLOCKS
from keys.cli.ceremony import COMMANDS as CEREMONY
from keys.cli.checks import COMMANDS as CHECKS
from keys.cli.derive import COMMANDS as DERIVE
from keys.cli.key_set import COMMANDS as KEY_SET
from keys.cli.minutes import COMMANDS as MINUTES
from keys.cli.options import PASSPHRASE_ENV, PSAM_PASSPHRASE_ENV, example
from keys.cli.psam import COMMANDS as PSAM
from keys.cli.stores import COMMANDS as STORES
from keys.cli.upkeep import COMMANDS as UPKEEP
from keys.errors import KeysError

__all__ = ["PASSPHRASE_ENV", "PSAM_PASSPHRASE_ENV", "cli", "main"]


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example(
        "yika-keys ceremony --store issuer.keys --transcript ceremony.json --rehearsal",
        "yika-keys list --store issuer.keys",
        "yika-keys doctor --store issuer.keys --production",
    ),
)
def cli() -> None:
    """管理发卡主密钥 Keep the issuer's master keys.

    The passphrase (a token's PIN) comes from YIKA_KEYS_PASSPHRASE or is asked for; two custodians'
    shares do instead. It is never an argument.
    """


for _command in (*STORES, *KEY_SET, *DERIVE, *BLOCKS, *CEREMONY, *MINUTES, *CHECKS, *UPKEEP, *PSAM):
    cli.add_command(_command)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command; an expected failure is one line and exit status 1."""
    try:
        cli.main(args, prog_name="yika-keys", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("yika-keys: 已中止 stopped; nothing was changed", err=True)
        sys.exit(1)
    except click.exceptions.Exit as exc:
        sys.exit(exc.exit_code)
    except click.ClickException as exc:
        exc.show()
        sys.exit(2 if isinstance(exc, click.UsageError) else 1)
    except KeysError as exc:
        click.echo(f"yika-keys: {exc}", err=True)
        sys.exit(1)
    except OSError as exc:
        click.echo(f"yika-keys: {_told(exc)}", err=True)
        sys.exit(1)


def _told(error: OSError) -> str:
    """Say which file the system refused, and why, without its numbers.

    >>> _told(IsADirectoryError(21, "Is a directory", "/srv/keys"))
    '/srv/keys: Is a directory'
    """
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{os.fsdecode(error.filename)}: {error.strerror}"
