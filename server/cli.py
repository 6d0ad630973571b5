# SPDX-License-Identifier: Apache-2.0
"""The command ``yika-server``: set up, run, and what staff do at the server's console.

Each feature brings its commands in a module `cli` with a list `COMMANDS`.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import sys
from pathlib import Path

import click
from sqlalchemy.exc import OperationalError

from keys.errors import KeysError
from server import runtime, schema
from server.app import FEATURES
from server.config import Config, load
from server.console import Console, example, json_option, show
from server.db import Database
from server.errors import ServerError
from server.telemetry import configure_logging
from server.tls_cli import tls

PROGRAM = "yika-server"


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example(
        f"{PROGRAM} init",
        f"{PROGRAM} user add li --role staff",
        f"{PROGRAM} run --port 8000",
    ),
)
@click.option(
    "--config",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="YIKA_SERVER_CONFIG",
    show_envvar=True,
    help="configuration file (TOML)",
)
@click.option("--database", "url", help="database URL, above file and environment")
@click.pass_context
def cli(ctx: click.Context, path: Path | None, url: str | None) -> None:
    """义卡服务器 The Yika server.

    Every key of the configuration can be given as YIKA_<SECTION>_<KEY>.
    """
    config = load(path)
    if url:
        config = with_database(config, url)
    ctx.obj = Console(config)


@cli.command(
    epilog=example(
        f"{PROGRAM} init", f"{PROGRAM} init --plan", f"{PROGRAM} --database postgresql://… init"
    )
)
@click.option("--plan", "planning", is_flag=True, help="say what would be run, change nothing")
@json_option
@click.pass_obj
def init(console: Console, planning: bool, as_json: bool) -> None:
    """初始化 Create or update files and database; what exists is never overwritten."""
    if planning:
        _show_plan(console, as_json=as_json)
        return
    created = runtime.initialise_files(console.config)
    database = Database(console.config.database_url)
    before = schema.current_revision(database)
    schema.upgrade(database)
    after = schema.current_revision(database)
    database.close()
    document = {
        "created": created,
        "database": database.shown_url,
        "schema": {"before": before, "after": after},
        "key_store": console.config.key_store,
        "key_store_exists": not console.config.key_store_missing,
    }
    lines = [f"{path}: 新建 created" for path in created]
    lines.append(f"{database.shown_url}: {before or '–'} → {after}")
    if not document["key_store_exists"]:
        lines.append(
            f"{console.config.key_store_path}: 还没有密钥库 no key store yet: "
            f"yika-keys init --store {console.config.key_store_path}"
        )
    show(document, "\n".join(lines), as_json=as_json)


def _show_plan(console: Console, *, as_json: bool) -> None:
    database = Database(console.config.database_url)
    try:
        before, steps = schema.current_revision(database), schema.plan(database)
    finally:
        database.close()
    document = {
        "database": database.shown_url,
        "schema": {"before": before, "after": schema.newest_revision()},
        "steps": [dataclasses.asdict(step) for step in steps],
    }
    lines = [f"{database.shown_url}: {before or '–'} → {schema.newest_revision()}"]
    lines += [f"{step.revision}: {step.summary}" for step in steps]
    show(document, "\n".join(lines), as_json=as_json)


@cli.group()
def identity() -> None:
    """签名身份 The key that receipts and notices are signed with."""


@identity.command("show", epilog=example(f"{PROGRAM} identity show --json"))
@json_option
@click.pass_obj
def identity_show(console: Console, as_json: bool) -> None:
    """显示公钥 Print the public key, and whether the key store keeps its private half."""
    with console.runtime() as opened:
        key = opened.identity
        document = {
            "key_id": console.config.identity.key_id,
            "suite": key.suite.name.lower(),
            "public_key": key.public_key.hex(),
            "sealed": console.config.sealed_identity_path.exists(),
        }
    kept = "由密钥库保管 kept by the key store" if document["sealed"] else "明文文件 a plain file"
    text = f"{document['key_id']} {document['suite']} {document['public_key']} · {kept}"
    show(document, text, as_json=as_json)


@identity.command("seal", epilog=example(f"{PROGRAM} identity seal"))
@click.pass_obj
def identity_seal(console: Console) -> None:
    """交密钥库保管 Seal the private half under the key store and remove the plain file."""
    with console.runtime() as opened:
        done = runtime.seal_identity(console.config, opened.store)
    click.echo("已封存 sealed" if done else "早已封存 was sealed before")


@cli.command(epilog=example(f"{PROGRAM} run", f"{PROGRAM} run --port 8080"))
@click.option("--host", help="address to listen on")
@click.option("--port", type=click.IntRange(1, 65535), help="port to listen on")
@click.option("--database", "url", help="database URL")
@click.pass_obj
def run(console: Console, host: str | None, port: int | None, url: str | None) -> None:
    """运行 Serve until interrupted, and derive hours in the background."""
    config = with_database(console.config, url) if url else console.config
    http = dataclasses.replace(
        config.http, host=host or config.http.host, port=port or config.http.port
    )
    config = dataclasses.replace(config, http=http)
    with Console(config).database():
        pass  # a wrong or old database is told here, not by every request
    runtime.open_runtime(config).close()  # so is a key store that does not open
    configure_logging(config.log.level, as_json=config.log.json)
    # Only this command needs the web server and the compiled rules; the others start faster.
    importlib.import_module("server.serving").serve(config)


def with_database(config: Config, url: str) -> Config:
    """Return the configuration with another database."""
    return dataclasses.replace(config, database=dataclasses.replace(config.database, url=url))


def load_features() -> None:
    """Hang the commands of every feature that has some on yika-server."""
    cli.add_command(tls)
    for feature in FEATURES:
        if importlib.util.find_spec(f"{feature}.cli") is not None:
            for command in importlib.import_module(f"{feature}.cli").COMMANDS:
                cli.add_command(command)


def main() -> None:
    """Run the command; an expected failure is one line and exit status 1."""
    load_features()
    try:
        cli.main(prog_name=PROGRAM)
    except (ServerError, KeysError, OSError) as error:
        click.echo(f"{PROGRAM}: {error}", err=True)
        sys.exit(1)
    except OperationalError as error:
        click.echo(f"{PROGRAM}: database: {_one_line(error)}", err=True)
        sys.exit(1)


def _one_line(error: OperationalError) -> str:
    return str(error.orig).strip().splitlines()[0]
