# SPDX-License-Identifier: Apache-2.0
"""The command ``yika-keys``: make a key store, list it, write software PSAMs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from keys.errors import KeysError
from keys.keystore import KeyInfo
from keys.store import FileKeyStore
from keys.usage import SCHEME_USAGES, KeyUsage

PASSPHRASE_ENV = "YIKA_KEYS_PASSPHRASE"  # noqa: S105 - the name of a variable, not a passphrase
PSAM_PASSPHRASE_ENV = "YIKA_PSAM_PASSPHRASE"  # noqa: S105
# Shorter ones are guessed in an afternoon, argon2id or not.
PASSPHRASE_LENGTH_MIN = 12

_store_option = click.option(
    "--store",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    envvar="YIKA_KEYS_STORE",
    show_envvar=True,
    help="file of the key store",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="answer in JSON")


def _example(*lines: str) -> str:
    return "\n".join(("\b", "例 Example:", *(f"  {line}" for line in lines)))


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_example("yika-keys init --store issuer.keys", "yika-keys list --store issuer.keys"),
)
def cli() -> None:
    """管理发卡主密钥 Keep the issuer's master keys.

    The passphrase comes from YIKA_KEYS_PASSPHRASE or is asked for; it is never an argument.
    """


@cli.command(epilog=_example("yika-keys init --store issuer.keys"))
@_store_option
@_json_option
def init(path: Path, as_json: bool) -> None:
    """新建密钥库 Make a new store with version 1 of every master key."""
    passphrase = _passphrase(PASSPHRASE_ENV, confirm=True)
    if len(passphrase) < PASSPHRASE_LENGTH_MIN:
        raise click.ClickException(
            f"口令太短 the passphrase has fewer than {PASSPHRASE_LENGTH_MIN} characters;"
            " take a sentence"
        )
    store = FileKeyStore.create(path, passphrase)
    for usage in SCHEME_USAGES:
        store.generate(usage)
    _show(store.list(), as_json)


@cli.command("list", epilog=_example("yika-keys list --store issuer.keys --json"))
@_store_option
@_json_option
def list_keys(path: Path, as_json: bool) -> None:
    """列出密钥 Name all keys: usage, version, check value, date."""
    _show(_open(path).list(), as_json)


@cli.command(epilog=_example("yika-keys kcv --store issuer.keys tac --version 1"))
@_store_option
@click.argument("usage", type=click.Choice([usage.value for usage in KeyUsage]))
@click.option("--version", type=click.IntRange(1, 255), default=1, show_default=True)
def kcv(path: Path, usage: str, version: int) -> None:
    """显示密钥校验值 Print the key check value of one key."""
    found = [
        info for info in _open(path).list() if (info.usage.value, info.version) == (usage, version)
    ]
    if not found:
        raise click.ClickException(f"no key {usage} version {version}; see yika-keys list")
    click.echo(found[0].kcv)


@cli.group()
def psam() -> None:
    """制作消费安全模块 Make purchase SAMs."""


@psam.command(
    "create",
    epilog=_example(
        "yika-keys psam create --store issuer.keys --number 880000000001 --out pos1.psam"
    ),
)
@_store_option
@click.option("--number", required=True, help="terminal number of the PSAM, 12 hex digits")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="file to write"
)
def psam_create(path: Path, number: str, out: Path) -> None:
    """写出软件 PSAM Write a software PSAM under its own passphrase.

    Its passphrase comes from YIKA_PSAM_PASSPHRASE or is asked for.
    """
    if len(number) != 12 or not set(number) <= set("0123456789abcdefABCDEF"):
        raise click.BadParameter("12 hex digits", param_hint="--number")
    store = _open(path)
    passphrase = _passphrase(PSAM_PASSPHRASE_ENV, confirm=True)
    store.export_software_psam(out, bytes.fromhex(number), passphrase)
    click.echo(f"{out}: PSAM {number.lower()}")


def _open(path: Path) -> FileKeyStore:
    if not path.exists():
        raise click.ClickException(f"{path}: no such store; make one with yika-keys init")
    return FileKeyStore.open(path, _passphrase(PASSPHRASE_ENV, confirm=False))


def _passphrase(variable: str, *, confirm: bool) -> str:
    value = os.environ.get(variable)
    if value:
        return value
    if not sys.stdin.isatty():
        raise click.ClickException(f"no passphrase; set {variable} or run at a terminal")
    prompt: str = click.prompt(
        f"口令 passphrase ({variable})", hide_input=True, confirmation_prompt=confirm
    )
    return prompt


def _show(infos: list[KeyInfo], as_json: bool) -> None:
    if as_json:
        rows = [info.as_row() for info in infos]
        click.echo(json.dumps({"keys": rows}))
        return
    for info in infos:
        click.echo(f"{info.usage.value:<14} v{info.version:<3} KCV {info.kcv}  {info.created}")


def main() -> None:
    """Run the command; an expected failure is one line and exit status 1."""
    try:
        cli.main(prog_name="yika-keys", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(1)
    except click.ClickException as exc:
        exc.show()
        sys.exit(2 if isinstance(exc, click.UsageError) else 1)
    except (KeysError, OSError) as exc:
        click.echo(f"yika-keys: {exc}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
