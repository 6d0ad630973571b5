# SPDX-License-Identifier: Apache-2.0
"""``yika-keys ceremony`` and ``transcript``: three custodians at one terminal, and what is left."""

from __future__ import annotations

import platform
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from keys.algorithm import Algorithm
from keys.ceremony import Ceremony, KeyOrder, Outcome, Plan
from keys.ceremony_deposit import check_room, deposit, deposit_new
from keys.cli.options import (
    example,
    file_of,
    hex_bytes,
    json_option,
    opened,
    show,
    show_keys,
    store_option,
)
from keys.cli.terminal import lead
from keys.custody import KeyInfo, KeyStore
from keys.errors import KeyStoreExists
from keys.hierarchy import chosen_algorithm
from keys.identity import Identity
from keys.transcript import Transcript
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
@click.option(
    "--transcript",
    "out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="file to write: who, when, check values; signed, no secrets",
)
@click.option(
    "--identity",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Ed25519 key that signs; made if absent [default: ceremony.pem beside the transcript]",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    default=("key-block",),
    show_default=True,
    help="USAGE[:VERSION[:CIPHER[:EXPECTED-KCV]]], once for each key",
)
@click.option("--machine", help="name of this machine in the minutes [default: its host name]")
@click.option("--generate", is_flag=True, help="let the machine make the components")
@click.option("--rehearsal", is_flag=True, help="keys are marked; production refuses them")
def ceremony(  # noqa: PLR0913 - one parameter an option
    spec: str,
    out: Path,
    identity: Path | None,
    keys: tuple[str, ...],
    machine: str | None,
    *,
    generate: bool,
    rehearsal: bool,
) -> None:
    """密钥仪式 Make keys from the components of three custodians.

    Each comes to the terminal alone and types a component twice, blind. A store that does not
    exist is made; each custodian takes away a share of its passphrase, and any two open it.
    """
    orders = tuple(_order(text) for text in keys)
    path, signer = file_of(spec), identity or out.with_name("ceremony.pem")
    if out.exists():
        raise KeyStoreExists(str(out))
    author = Identity.load(signer) if signer.exists() else None
    store = None if path is not None and not path.exists() else opened(spec)
    if store is not None:
        check_room(store, orders, rehearsal=rehearsal)
    plan = Plan(orders, generated=generate, new_store=store is None, rehearsal=rehearsal)
    outcome = lead(Ceremony(plan).script())
    try:
        with _undisturbed():
            store, stored = _deposited(store, path, outcome)
            if author is None:
                author = Identity.generate()
                author.save(signer)
            transcript = Transcript.of(outcome, stored, store, _machine(machine))
            transcript.write(out, author)
            store.close()
    finally:
        outcome.wipe()
    click.echo("已写入 stored:")
    show_keys(stored, as_json=False)
    click.echo(f"记录 transcript {out}, signed by {author.public_key.hex()}")


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


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep ^C away while keys are stored: all of it happens, or none."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _machine(name: str | None) -> dict[str, str]:
    try:
        program = f"yika {version('yika')}"
    except PackageNotFoundError:
        program = "yika, not installed"
    return {
        "host": name or socket.gethostname(),
        "system": f"{platform.system()} {platform.machine()}",
        "program": program,
    }


@click.group()
def transcript() -> None:
    """密钥仪式记录 Transcripts of ceremonies."""


@transcript.command(
    epilog=example("yika-keys transcript verify 2027-ceremony.json --public-key 8f3c...")
)
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--public-key", help="64 hex digits, from the minutes on paper")
@json_option
def verify(path: Path, public_key: str | None, *, as_json: bool) -> None:
    """验证记录 Check the signature of a transcript and print what it says.

    Without --public-key only the file itself says whose signature it is; compare it.
    """
    pinned = hex_bytes(public_key, 32, "--public-key") if public_key else None
    read = Transcript.read(path, pinned)
    facts: dict[str, object] = {
        "verified": True,
        "pinned": pinned is not None,
        "public_key": read.public_key.hex(),
        "transcript": read.content,
    }
    end = "签名有效 the signature is good" + (
        "" if pinned else "; 请与纸面记录核对公钥 compare its public key with the minutes on paper"
    )
    show(facts, [*read.lines(), end], as_json=as_json)


COMMANDS = (ceremony, transcript)
