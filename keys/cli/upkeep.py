# SPDX-License-Identifier: Apache-2.0
"""``yika-keys`` backup, restore, bind-host, audit, run: what keeps a store alive and watched."""

from __future__ import annotations

import os
from pathlib import Path

import click

from keys.audit import AuditHead
from keys.cli.options import (
    BACKUP_PASSPHRASE_ENV,
    PASSPHRASE_ENV,
    around,
    example,
    file_of,
    json_option,
    new_passphrase,
    opened,
    passphrase,
    show,
    show_keys,
    store_option,
)
from keys.custody import open_store
from keys.errors import KeyStoreExists
from keys.store import FileKeyStore


@click.command(
    epilog=example("yika-keys backup --store issuer.keys --out /media/safe/issuer.backup")
)
@store_option
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@json_option
def backup(spec: str, out: Path, *, as_json: bool) -> None:
    """备份 Write all keys to a new file under a passphrase of its own, and read it back.

    Its passphrase comes from YIKA_BACKUP_PASSPHRASE or is asked for.
    """
    store = opened(spec)
    store.backup(out, new_passphrase(BACKUP_PASSPHRASE_ENV))
    count = len(store.list())
    store.close()
    facts: dict[str, object] = {"backup": str(out), "keys": count}
    show(facts, [f"{out}: {count} 个密钥 keys"], as_json=as_json)


@click.command(
    epilog=example(
        "yika-keys restore --from /media/safe/issuer.backup --store issuer.keys",
        "yika-keys restore --from /media/safe/issuer.backup --store issuer.keys --rebind",
    )
)
@store_option
@click.option(
    "--from",
    "source",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    required=True,
    help="the backup",
)
@click.option("--rebind", is_flag=True, help="whatever machine it was bound to, bind it to this")
@json_option
def restore(spec: str, source: Path, *, rebind: bool, as_json: bool) -> None:
    """恢复 Make a file store anew from a backup; it then opens with the backup's passphrase.

    A backup that is bound to another machine needs --rebind; the audit log says so.
    """
    path = file_of(spec)
    if path is None:
        raise click.UsageError("a token restores from its own maker's backup; give --store FILE")
    if path.exists():
        raise KeyStoreExists(str(path))
    secret = passphrase(BACKUP_PASSPHRASE_ENV)
    store = FileKeyStore.restore(source, path, secret, around(), rebind=rebind)
    show_keys(store.list(), as_json=as_json)
    store.close()


@click.command(epilog=example("yika-keys bind-host --store issuer.keys"))
@store_option
@json_option
def bind_host(spec: str, *, as_json: bool) -> None:
    """绑定本机 Let a file store open on this machine only.

    A guard against a copied desk or a stray backup, not against an attacker. Backups made from now
    are bound too; restore --rebind moves one to another machine.
    """
    store = opened(spec)
    store.bind_host()
    store.close()
    show({"store": spec, "bound": True}, [f"{spec}: 已绑定本机 bound"], as_json=as_json)


@click.command(
    epilog=example(
        "yika-keys audit --store issuer.keys",
        "yika-keys audit --store issuer.keys --lines 41 --digest 5e9c...",
    )
)
@store_option
@click.option("--lines", type=click.IntRange(1), help="number of lines of a head noted earlier")
@click.option("--digest", help="hash of its last line")
@click.option("--entries", is_flag=True, help="print every line, not only the end")
@json_option
def audit(
    spec: str, lines: int | None, digest: str | None, *, entries: bool, as_json: bool
) -> None:
    """审计 Follow the chain of the audit log: who used which key, for what, how often.

    With --lines and --digest, from a ceremony's transcript, a log cut short is found too.
    """
    if (lines is None) != (digest is None):
        raise click.UsageError("--lines and --digest belong together")
    noted = AuditHead(lines, digest.lower()) if lines is not None and digest else None
    log = opened(spec).audit
    head = log.verify(noted)
    rows = list(log.entries()) if entries else []
    facts: dict[str, object] = {"lines": head.lines, "digest": head.digest, "entries": rows}
    told = [
        f"{found['time']}  {found['who']}  {found['key']}  {found['purpose']}  {found['count']}"
        for found in rows
    ]
    show(facts, [*told, f"{head.lines} 行完整 lines whole, last {head.digest}"], as_json=as_json)


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog=example("yika-keys run --store issuer.keys -- yika-server serve"),
)
@store_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(spec: str, command: tuple[str, ...]) -> None:
    """带口令启动程序 Run a program with the passphrase of the store in its environment.

    Two custodians type their shares; the passphrase is shown to nobody and written nowhere.
    """
    secret = passphrase(PASSPHRASE_ENV)
    open_store(spec, secret, around()).close()
    os.execvpe(command[0], command, {**os.environ, PASSPHRASE_ENV: secret})  # noqa: S606


COMMANDS = (backup, restore, bind_host, audit, run)
