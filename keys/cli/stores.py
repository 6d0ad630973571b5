# SPDX-License-Identifier: Apache-2.0
"""``yika-keys`` init, generate, list, kcv, rotate, retire: a store and its keys."""

from __future__ import annotations

from datetime import datetime

import click

from keys.ceremony_deposit import filled_beside
from keys.cli.options import (
    PASSPHRASE_ENV,
    algorithm_of,
    algorithm_option,
    around,
    bind_option,
    example,
    file_of,
    json_option,
    new_passphrase,
    opened,
    passphrase,
    show,
    show_keys,
    store_option,
    usage_argument,
    version_option,
)
from keys.custody import KeyInfo, KeyStore, open_store
from keys.errors import KeyStoreExists
from keys.hierarchy import row
from keys.usage import SCHEME_USAGES, KeyUsage


@click.command(
    epilog=example(
        "yika-keys init --store issuer.keys",
        "yika-keys init --store issuer.keys --algorithm sm4",
        "yika-keys init --store 'pkcs11:/usr/lib/softhsm/libsofthsm2.so?token=yika'",
    )
)
@store_option
@algorithm_option("cipher of the card keys [default: 3des]")
@click.option("--empty", is_flag=True, help="make no keys; import them as key blocks")
@bind_option
@json_option
def init(spec: str, algorithm: str | None, *, empty: bool, bind: bool, as_json: bool) -> None:
    """新建密钥库 Make a new store with version 1 of every master key of the scheme."""
    path = file_of(spec)

    def fill(store: KeyStore) -> None:
        if bind:
            store.bind_host()
        if not empty:
            _complete(store, algorithm)

    if path is None:
        store = open_store(spec, passphrase(PASSPHRASE_ENV), around())
        if store.list():
            raise KeyStoreExists(spec)
        fill(store)
    elif path.exists():
        raise KeyStoreExists(str(path))
    else:
        store = filled_beside(path, new_passphrase(PASSPHRASE_ENV), fill, around=around())
    show_keys(store.list(), as_json=as_json)
    store.close()


def _complete(store: KeyStore, algorithm: str | None) -> list[KeyInfo]:
    """Make the first version of every usage of the scheme that has none."""
    wanted, there = algorithm_of(algorithm), {info.usage for info in store.list()}
    return [
        store.generate(usage, algorithm=wanted if wanted in row(usage).algorithms else None)
        for usage in SCHEME_USAGES
        if usage not in there
    ]


@click.command(
    epilog=example(
        "yika-keys generate --store issuer.keys",
        "yika-keys generate --store issuer.keys pin-unblock pin-reload",
    )
)
@store_option
@click.argument("usages", nargs=-1, type=click.Choice([usage.value for usage in KeyUsage]))
@algorithm_option("cipher of the card keys [default: 3des]")
@json_option
def generate(spec: str, usages: tuple[str, ...], algorithm: str | None, *, as_json: bool) -> None:
    """产生密钥 Make version 1 of the keys named, or of all the scheme still lacks.

    After a ceremony this makes the rest inside the store, seen by nobody.
    """
    store = opened(spec)
    if usages:
        made = [store.generate(KeyUsage(name), 1, algorithm_of(algorithm)) for name in usages]
    else:
        made = _complete(store, algorithm)
    show_keys(made, as_json=as_json)
    store.close()


@click.command("list", epilog=example("yika-keys list --store issuer.keys --json"))
@store_option
@json_option
def list_keys(spec: str, *, as_json: bool) -> None:
    """列出密钥 Name all keys: usage, version, cipher, check value, dates."""
    show_keys(opened(spec).list(), as_json=as_json)


@click.command(epilog=example("yika-keys kcv --store issuer.keys tac --version 1"))
@store_option
@usage_argument
@version_option
@json_option
def kcv(spec: str, usage: str, version: int, *, as_json: bool) -> None:
    """显示密钥校验值 Print the key check value of one key."""
    info = opened(spec).info(KeyUsage(usage), version)
    show(info.as_row(), [info.kcv], as_json=as_json)


@click.command(epilog=example("yika-keys rotate --store issuer.keys tac"))
@store_option
@usage_argument
@algorithm_option("cipher of the new version [default: that of the last]")
@json_option
def rotate(spec: str, usage: str, algorithm: str | None, *, as_json: bool) -> None:
    """轮换密钥 Make the next version of a key beside the old ones.

    New cards get it; the old version keeps proving the cards that carry it until it is retired.
    """
    store = opened(spec)
    show_keys([store.rotate(KeyUsage(usage), algorithm_of(algorithm))], as_json=as_json)
    store.close()


@click.command(
    epilog=example("yika-keys retire --store issuer.keys tac --version 1 --on 2027-06-30")
)
@store_option
@usage_argument
@version_option
@click.option(
    "--on", type=click.DateTime(["%Y-%m-%d"]), required=True, help="first day it serves no more"
)
@json_option
def retire(spec: str, usage: str, version: int, on: datetime, *, as_json: bool) -> None:
    """停用密钥 Give a version its retirement date; a later date moves it.

    From now it makes no new cards; from that day it serves nothing.
    """
    store = opened(spec)
    show_keys([store.retire(KeyUsage(usage), version, on.date())], as_json=as_json)
    store.close()


COMMANDS = (init, generate, list_keys, kcv, rotate, retire)
