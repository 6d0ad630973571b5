# SPDX-License-Identifier: Apache-2.0
"""What the commands of ``yika-keys`` share: options, opening a store, passphrases, printing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from keys.algorithm import Algorithm
from keys.ceremony_shares import looks_like_share, put_together, read_share
from keys.custody import KeyInfo, KeyStore, open_store
from keys.surroundings import HERE, Surroundings
from keys.usage import KeyUsage

PASSPHRASE_ENV = "YIKA_KEYS_PASSPHRASE"  # noqa: S105 - the name of a variable, not a passphrase
PSAM_PASSPHRASE_ENV = "YIKA_PSAM_PASSPHRASE"  # noqa: S105
BACKUP_PASSPHRASE_ENV = "YIKA_BACKUP_PASSPHRASE"  # noqa: S105
STORE_ENV = "YIKA_KEYS_STORE"
# Shorter ones are guessed in an afternoon, argon2id or not.
PASSPHRASE_LENGTH_MIN = 12

Command = Callable[..., Any]

store_option = click.option(
    "--store",
    "spec",
    required=True,
    envvar=STORE_ENV,
    show_envvar=True,
    help="key store: FILE, file:FILE or pkcs11:MODULE?token=LABEL",
)
json_option = click.option("--json", "as_json", is_flag=True, help="answer in JSON")
version_option = click.option(
    "--version", type=click.IntRange(1, 255), default=1, show_default=True, help="key version"
)
usage_argument = click.argument("usage", type=click.Choice([usage.value for usage in KeyUsage]))
bind_option = click.option(
    "--bind-host", "bind", is_flag=True, help="the new file store opens on this machine only"
)
under_option = click.option(
    "--under",
    type=click.IntRange(1, 255),
    default=1,
    show_default=True,
    help="version of the key block protection key",
)


def algorithm_option(text: str) -> Callable[[Command], Command]:
    """Let a command take ``--algorithm``."""
    names = [algorithm.value for algorithm in Algorithm]
    return click.option("--algorithm", type=click.Choice(names), help=text)


def example(*lines: str) -> str:
    """Write the examples at the end of a command's help."""
    return "\n".join(("\b", "例 Example:", *(f"  {line}" for line in lines)))


def algorithm_of(name: str | None) -> Algorithm | None:
    """Give the algorithm an option named, if it did."""
    return Algorithm(name) if name else None


def hex_bytes(text: str, size: int, option: str) -> bytes:
    """Read an option that is so many bytes in hex; blanks do not count."""
    digits = text.replace(" ", "").lower()
    if len(digits) != 2 * size or not set(digits) <= set("0123456789abcdef"):
        raise click.BadParameter(f"{2 * size} hex digits", param_hint=option)
    return bytes.fromhex(digits)


def file_of(spec: str) -> Path | None:
    """Give the path of a file store, or none for a token.

    >>> file_of("file:issuer.keys"), file_of("pkcs11:m.so?token=yika")
    (PosixPath('issuer.keys'), None)
    """
    if spec.startswith("pkcs11:"):
        return None
    return Path(spec.removeprefix("file:"))


def opened(spec: str) -> KeyStore:
    """Open the store that the options name."""
    path = file_of(spec)
    if path is not None and not path.exists():
        raise click.ClickException(f"{path}: no such store; make one with yika-keys init")
    return open_store(spec, passphrase(PASSPHRASE_ENV), around())


def around() -> Surroundings:
    """Give what stores are given from outside: click's object, which a test may set, or reality."""
    context = click.get_current_context(silent=True)
    return (context and context.find_object(Surroundings)) or HERE


def passphrase(variable: str) -> str:
    """Take a passphrase (or PIN) from the environment, or ask for it.

    Whoever types a custodian's share is asked for a second one; both together are the passphrase.
    """
    typed = _from_environment(variable) or _hidden(f"口令 passphrase ({variable})")
    if not looks_like_share(typed):
        return typed
    other = _hidden("另一位保管人的口令分片 share of a second custodian")
    return put_together(read_share(typed), read_share(other))


def new_passphrase(variable: str) -> str:
    """Take a passphrase for something new: twice from a terminal, and not a short one."""
    typed = _from_environment(variable) or _hidden(
        f"新口令 new passphrase ({variable})", twice=True
    )
    if len(typed) < PASSPHRASE_LENGTH_MIN:
        raise click.ClickException(
            f"口令太短 the passphrase has fewer than {PASSPHRASE_LENGTH_MIN} characters;"
            " take a sentence"
        )
    return typed


def _from_environment(variable: str) -> str | None:
    value = os.environ.get(variable)
    if not value and not sys.stdin.isatty():
        raise click.ClickException(f"no passphrase; set {variable} or run at a terminal")
    return value


def _hidden(text: str, *, twice: bool = False) -> str:
    typed: str = click.prompt(text, hide_input=True, confirmation_prompt=twice)
    return typed


def show_keys(infos: Iterable[KeyInfo], *, as_json: bool) -> None:
    """Print keys, one a line or all in JSON."""
    if as_json:
        click.echo(json.dumps({"keys": [info.as_row() for info in infos]}))
        return
    for info in infos:
        until = f"  {info.state.value} {info.retires}" if info.retires else ""
        test = "  测试 TEST" if info.marked_test else ""
        name = f"{info.usage.value:<14} v{info.version:<3} {info.algorithm.value:<4}"
        click.echo(f"{name} KCV {info.kcv}  {info.created}{until}{test}")


def show(facts: dict[str, object], lines: Iterable[str], *, as_json: bool) -> None:
    """Print facts in JSON, or lines for people."""
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    for line in lines:
        click.echo(line)
