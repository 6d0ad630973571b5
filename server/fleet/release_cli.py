# SPDX-License-Identifier: Apache-2.0
"""`yika-server release …`: the publisher's commands, for a machine without a network.

Only `publish` touches a server: it copies a repository that is signed enough to where the server
offers it. No key of a release is ever needed there.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import click

from server.console import Console, example, json_option, show
from server.fleet import release_keys
from server.fleet.release_repo import Release, Repository, RoleKeys

PASSPHRASE_ENV = "YIKA_RELEASE_PASSPHRASE"  # noqa: S105 - the name of a variable
OFFERED = "releases"

repo_option = click.option(
    "--repo",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="folder of the repository",
)


@click.group()
def release() -> None:
    """发布 Releases of the terminal's scripts, signed off line by several people."""


@release.command("key", epilog=example("yika-server release key wang.key"))
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def key(path: Path, as_json: bool) -> None:
    """制作签名密钥 Make a signing key, sealed under its holder's passphrase."""
    public = release_keys.make_key(path, _passphrase(confirm=True))
    show({"file": str(path), "public": public}, f"公钥 public key {public}", as_json=as_json)


@release.command(
    "init",
    epilog=example("yika-server release init --repo r --root A --root B --threshold 2 --online C"),
)
@repo_option
@click.option("--root", "roots", multiple=True, required=True, help="public key for the root")
@click.option("--targets", multiple=True, help="public key for releases [default: as the root]")
@click.option("--online", multiple=True, required=True, help="key for snapshot and timestamp")
@click.option("--threshold", type=click.IntRange(1, 16), default=2, show_default=True)
@click.pass_obj
def init(
    console: Console,
    folder: Path,
    roots: tuple[str, ...],
    targets: tuple[str, ...],
    online: tuple[str, ...],
    threshold: int,
) -> None:
    """建立仓库或换钥 Draft the first root, or the next one with other keys."""
    several = RoleKeys(roots, threshold)
    roles = {
        "root": several,
        "targets": RoleKeys(targets, threshold) if targets else several,
        "snapshot": RoleKeys(online),
        "timestamp": RoleKeys(online),
    }
    Repository(folder).begin(roles, _now(console))
    click.echo("已起草，待签名 drafted; now let each key holder run release sign")


@release.command("add", epilog=example("yika-server release add yika-0.2.0.whl 12 --repo r"))
@click.argument("wheel", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("number", type=click.IntRange(1))
@click.option("--version", "version", default="", help="what people call it [default: file name]")
@repo_option
@json_option
@click.pass_obj
def add(
    console: Console, wheel: Path, number: int, version: str, folder: Path, as_json: bool
) -> None:
    """加入发布 Draft targets that offer a wheel under a number that only rises."""
    new = Release(wheel, number, version or wheel.stem)
    name = Repository(folder).add(new, _now(console))
    show({"name": name, "release": number}, f"已起草 drafted {name}", as_json=as_json)


@release.command("sign", epilog=example("yika-server release sign --repo r --key wang.key"))
@repo_option
@click.option("--key", "path", type=click.Path(path_type=Path, exists=True), required=True)
@json_option
def sign(folder: Path, path: Path, as_json: bool) -> None:
    """签名 Add this key's signature to whatever it may sign."""
    signer = release_keys.open_key(path, _passphrase(confirm=False))
    signed = Repository(folder).sign(signer)
    text = "、".join(signed) or "没有需要此密钥签的 nothing this key has to sign"
    show({"signed": signed}, text, as_json=as_json)


@release.command("refresh", epilog=example("yika-server release refresh --repo r"))
@repo_option
@click.pass_obj
def refresh(console: Console, folder: Path) -> None:
    """续期 Draft a timestamp that says later that there is nothing newer."""
    Repository(folder).refresh(_now(console))
    click.echo("已起草，待签名 drafted; sign it with the online key")


@release.command("list", epilog=example("yika-server release list --repo r --json"))
@click.option(
    "--repo", "folder", type=click.Path(path_type=Path), help="[default: what is offered]"
)
@json_option
@click.pass_obj
def list_(console: Console, folder: Path | None, as_json: bool) -> None:
    """列出 Name the releases, and what each role still lacks."""
    repository = Repository(folder or offered(console))
    roles, releases = repository.standing(), repository.releases()
    lines = [f"{r['release']} {r['version']} {r['bytes']} B" for r in releases]
    lines += [
        f"{r['file']} 签名 signed {r['signed']}/{r['threshold']} 到期 until {r['expires']}"
        for r in roles
    ]
    show({"releases": releases, "roles": roles}, "\n".join(lines), as_json=as_json)


@release.command("publish", epilog=example("yika-server release publish --repo r"))
@repo_option
@click.pass_obj
def publish(console: Console, folder: Path) -> None:
    """发布 Copy a repository that is signed enough to where this server offers it."""
    Repository(folder).publish(Repository(offered(console)))
    click.echo("已发布 published")


def offered(console: Console) -> Path:
    """Return the folder this server offers releases from."""
    return console.config.data.dir / OFFERED


def _now(console: Console) -> dt.datetime:
    return dt.datetime.fromtimestamp(console.clock.utc_ms() / 1000, dt.UTC)


def _passphrase(*, confirm: bool) -> str:
    if PASSPHRASE_ENV in os.environ:
        return os.environ[PASSPHRASE_ENV]
    asked = click.prompt(
        "密钥口令 passphrase", hide_input=True, confirmation_prompt=confirm, err=True
    )
    return str(asked)
