# SPDX-License-Identifier: Apache-2.0
"""Commands about service accounts, and exports at the server's console."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa

from server.console import Console, example, json_option, show
from server.db import from_millis
from server.exchange import accounts, exporting, lists
from server.exchange.accounts import DAYS_DEFAULT, DAYS_MAX, NewAccount
from server.exchange.exporting import Format
from server.exchange.lists import Window
from server.exchange.models import ServiceAccount
from server.exchange.policy import Scope, Topic
from server.people.cli import instant_ms
from server.structure.cli import scope_of
from server.structure.rights import Scope as Part

by_option = click.option("--by", "actor", required=True, help="the staff user who does it")


@click.group()
def account() -> None:
    """服务帐号 Accounts of partners' programs."""


@account.command(
    "add", epilog=example("yika-server account add bank-one --scope hours:read --by wang")
)
@click.argument("name")
@click.option("--scope", "scopes", type=click.Choice([*Scope]), multiple=True, required=True)
@click.option(
    "--within", default="all", callback=lambda _ctx, _param, text: scope_of(text),
    help="what it reads of: all, region:CODE, organisation:N or site:N",
)  # fmt: skip
@click.option("--days", type=click.IntRange(1, DAYS_MAX), default=DAYS_DEFAULT, show_default=True)
@by_option
@json_option
@click.pass_obj
def account_add(
    console: Console, /, scopes: tuple[str, ...], actor: str, as_json: bool, **named: Any
) -> None:
    """添加帐号 Make an account; its token is shown only now."""
    new = NewAccount(scopes=[Scope(scope) for scope in scopes], **named)
    name = new.name
    with console.writing() as session:
        made, token = accounts.create(session, new, actor, console.clock.utc_ms())
        ends = from_millis(made.expires_ms).isoformat(timespec="seconds")
        document = {"name": name, "scopes": made.scopes, "expires": ends, "token": token}
    show(document, f"{name}: {token}\n到期 ends {ends}", as_json=as_json)


@account.command("revoke", epilog=example("yika-server account revoke bank-one --by wang"))
@click.argument("name")
@by_option
@click.pass_obj
def account_revoke(console: Console, name: str, actor: str) -> None:
    """停用帐号 End an account at once."""
    with console.writing() as session:
        accounts.revoke(session, name, actor, console.clock.utc_ms())


@account.command("list", epilog=example("yika-server account list --json"))
@json_option
@click.pass_obj
def account_list(console: Console, as_json: bool) -> None:
    """列出帐号 List the accounts, never their tokens."""
    now_ms = console.clock.utc_ms()
    with console.reading() as session:
        rows = session.scalars(sa.select(ServiceAccount).order_by(ServiceAccount.name)).all()
        listed: list[dict[str, Any]] = [
            {
                "name": row.name,
                "scopes": row.scopes,
                "within": str(Part(row.within_kind, row.within_ref)),
                "state": _state(row, now_ms),
                "expires": from_millis(row.expires_ms).isoformat(timespec="seconds"),
                "seen": row.seen_ms and from_millis(row.seen_ms).isoformat(timespec="seconds"),
            }
            for row in rows
        ]
    text = "\n".join(
        f"{row['name']}: {row['state']} · {', '.join(row['scopes'])}" for row in listed
    )
    show({"accounts": listed}, text or "没有帐号 none", as_json=as_json)


def _state(row: ServiceAccount, now_ms: int) -> str:
    if row.revoked_ms is not None:
        return "revoked"
    return "expired" if row.expires_ms <= now_ms else "active"


@click.command(
    epilog=example(
        "yika-server export intervals --out 2026.csv --since 2026-01-01",
        "yika-server export events --out events.parquet",
    )
)
@click.argument("topic", type=click.Choice([*Topic]))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option("--since", help="ISO 8601; without a zone Shanghai time")
@click.option("--until", help="ISO 8601; up to, not including")
@json_option
@click.pass_obj
def export(
    console: Console, topic: str, out: Path, since: str | None, until: str | None, as_json: bool
) -> None:
    """导出 Write a whole topic; the file's ending says how: csv, jsonl, parquet."""
    try:
        form = Format(out.suffix.removeprefix("."))
    except ValueError as error:
        raise click.BadParameter(
            f"{out}: end the name in .csv, .jsonl or .parquet", param_hint="--out"
        ) from error
    window = Window(0, instant_ms(since) if since else None, instant_ms(until) if until else None)
    draft = out.with_name(out.name + ".partial")
    started = dt.datetime.now(dt.UTC)
    with console.reading() as session, draft.open("wb") as file:
        pieces = lists.stream(session, Topic(topic), window)
        if form is Format.PARQUET:
            exporting.parquet(Topic(topic), pieces, file)
        else:
            file.writelines(exporting.lines(Topic(topic), form, pieces))
    draft.replace(out)
    seconds = (dt.datetime.now(dt.UTC) - started).total_seconds()
    size = out.stat().st_size
    show(
        {"file": str(out), "bytes": size, "seconds": round(seconds, 2)},
        f"{out}: {size} bytes, {seconds:.1f} s", as_json=as_json,
    )  # fmt: skip


COMMANDS = [account, export]
