# SPDX-License-Identifier: Apache-2.0
"""``yika-keys ceremony`` and ``reshare``: three custodians at one terminal."""

from __future__ import annotations

from pathlib import Path

import click

from keys.algorithm import Algorithm
from keys.ceremony import Ceremony
from keys.ceremony_deposit import check_room, deposit, deposit_new
from keys.ceremony_plan import KeyOrder, Outcome, Plan
from keys.cli.minutes import Minutes, minutes_options, undisturbed
from keys.cli.options import example, file_of, opened, show_keys, store_option
from keys.cli.terminal import lead, printer_option
from keys.custody import KeyInfo, KeyStore
from keys.errors import KeyStoreExists
from keys.hierarchy import chosen_algorithm
from keys.usage import KeyUsage

_USAGES = ", ".join(usage.value for usage in KeyUsage)


@click.command(
    epilog=example(
        "yika-keys ceremony --store issuer.keys --transcript 2027-ceremony.json",
        "yika-keys ceremony --store test.keys --transcript t.json --rehearsal --generate",
        "yika-keys ceremony --store issuer.keys --transcript tac2.json --key tac:2:sm4",
    )
)
@store_option
@minutes_options
@click.option(
    "--key",
    "keys",
    multiple=True,
    default=("key-block",),
    show_default=True,
    help="USAGE[:VERSION[:CIPHER[:EXPECTED-KCV]]], once for each key",
)
@printer_option
@click.option("--generate", is_flag=True, help="let the machine make the components")
@click.option("--rehearsal", is_flag=True, help="keys are marked; production refuses them")
def ceremony(
    spec: str,
    minutes: Minutes,
    keys: tuple[str, ...],
    printer: Path | None,
    *,
    generate: bool,
    rehearsal: bool,
) -> None:
    """密钥仪式 Make keys from the components of three custodians.

    Each comes to the terminal alone and types a component twice, blind. A store that does not
    exist is made; each custodian takes away a share of its passphrase, and any two open it.
    """
    orders, path = tuple(_order(text) for text in keys), file_of(spec)
    author = minutes.author()
    store = None if path is not None and not path.exists() else opened(spec)
    if store is not None:
        check_room(store, orders, rehearsal=rehearsal)
    plan = Plan(orders, generated=generate, new_store=store is None, rehearsal=rehearsal)
    outcome = lead(Ceremony(plan).script(), printer)
    try:
        with undisturbed():
            store, stored = _deposited(store, path, outcome)
            click.echo("已写入 stored:")
            show_keys(stored, as_json=False)
            minutes.write(outcome, stored, store, author)
            store.close()
    finally:
        outcome.wipe()


def _deposited(
    store: KeyStore | None, path: Path | None, outcome: Outcome
) -> tuple[KeyStore, list[KeyInfo]]:
    if store is not None:
        return store, deposit(store, outcome)
    if path is None:
        raise click.UsageError("a token is set up with its maker's tool first")
    return deposit_new(path, outcome)


def _order(text: str) -> KeyOrder:
    """Read USAGE[:VERSION[:CIPHER[:KCV]]]."""
    parts = [*text.split(":"), "", "", ""][: max(4, text.count(":") + 1)]
    if len(parts) > 4:
        raise click.BadParameter("USAGE[:VERSION[:CIPHER[:KCV]]]", param_hint="--key")
    name, number, cipher, expected = parts
    if expected and (len(expected) != 6 or not set(expected.upper()) <= set("0123456789ABCDEF")):
        raise click.BadParameter("a check value is 6 hex digits", param_hint="--key")
    try:
        usage = KeyUsage(name)
        algorithm = chosen_algorithm(usage, Algorithm(cipher) if cipher else None)
        key_version = int(number or "1")
    except ValueError as exc:
        raise click.BadParameter(f"{text!r}; usages: {_USAGES}", param_hint="--key") from exc
    if not 1 <= key_version <= 255:
        raise click.BadParameter("versions are 1 to 255", param_hint="--key")
    return KeyOrder(usage, key_version, algorithm, expected or None)


@click.command(
    epilog=example(
        "yika-keys reshare --store issuer.keys --out issuer.new --transcript reshare.json"
    )
)
@store_option
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="new store file"
)
@printer_option
@minutes_options
def reshare(spec: str, out: Path, printer: Path | None, minutes: Minutes) -> None:
    """换发口令分片 Write the store anew under new shares: a custodian, or their paper, is lost.

    Two custodians open it; three take new shares away. The old file opens with the old shares as
    before: destroy it and its backups.
    """
    author = minutes.author()
    if out.exists():
        raise KeyStoreExists(str(out))
    store = opened(spec)
    plan = Plan((), new_store=True, rehearsal=store.test_keys)
    outcome = lead(Ceremony(plan).script(), printer)
    try:
        with undisturbed():
            store.backup(out, outcome.passphrase or "")
            minutes.write(outcome, store.list(), store, author)
            store.close()
    finally:
        outcome.wipe()
    click.echo(f"{out}: {len(store.list())} 个密钥 keys; 销毁旧库 destroy {spec}")


COMMANDS = (ceremony, reshare)
