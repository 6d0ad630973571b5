# SPDX-License-Identifier: Apache-2.0
"""``yika-keys key-set``: all keys of cards and PSAMs at once, as cards carry them."""

from __future__ import annotations

from datetime import datetime

import click

from keys.cli.options import (
    algorithm_of,
    algorithm_option,
    example,
    json_option,
    opened,
    show_keys,
    store_option,
)
from keys.key_set import retire_set, rotate_set


@click.group("key-set")
def key_set() -> None:
    """整组密钥 Rotate or retire all keys of cards and PSAMs at once: a card says one version."""


@key_set.command(
    epilog=example(
        "yika-keys key-set rotate --store issuer.keys",
        "yika-keys key-set rotate --store issuer.keys --algorithm sm4",
    )
)
@store_option
@algorithm_option("cipher of the new version [default: that of the last]")
@json_option
def rotate(spec: str, algorithm: str | None, *, as_json: bool) -> None:
    """轮换整组 Make the next version of every key that cards and PSAMs carry.

    Run again after a failure, it completes the version that was begun.
    """
    store = opened(spec)
    show_keys(rotate_set(store, algorithm_of(algorithm)), as_json=as_json)
    store.close()


@key_set.command(
    epilog=example("yika-keys key-set retire --store issuer.keys --version 1 --on 2031-12-31")
)
@store_option
@click.option("--version", type=click.IntRange(1, 255), required=True, help="key version")
@click.option(
    "--on", type=click.DateTime(["%Y-%m-%d"]), required=True, help="first day it serves no more"
)
@json_option
def retire(spec: str, version: int, on: datetime, *, as_json: bool) -> None:
    """停用整组 Give all keys of one version their retirement date; a later date moves it.

    Cards of that version are proven until that day; none is issued from now on.
    """
    store = opened(spec)
    show_keys(retire_set(store, version, on.date()), as_json=as_json)
    store.close()


COMMANDS = (key_set,)
