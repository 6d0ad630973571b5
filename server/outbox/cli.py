# SPDX-License-Identifier: Apache-2.0
"""Commands about messages to people."""

from __future__ import annotations

from typing import Any

import click
import sqlalchemy as sa

from server.console import CONSOLE_ACTOR, Console, example, json_option, show
from server.db import from_millis
from server.outbox import services, templates
from server.outbox.models import OutboxMessage
from server.outbox.policy import State

LIST_MAX = 1000
by_option = click.option("--by", "actor", default=CONSOLE_ACTOR, help="who does it, for the audit")


@click.group()
def outbox() -> None:
    """消息 Messages to people: short messages, letters, public notices."""


@outbox.command("list", epilog=example("yika-server outbox list --state failed"))
@click.option("--state", type=click.Choice([*State]), help="only those in this state")
@click.option("--limit", type=click.IntRange(1, LIST_MAX), default=50, show_default=True)
@json_option
@click.pass_obj
def outbox_list(console: Console, state: str | None, limit: int, as_json: bool) -> None:
    """列出消息 List messages, newest first; how many are in each state."""
    chosen = sa.select(OutboxMessage).order_by(OutboxMessage.id.desc()).limit(limit)
    if state:
        chosen = chosen.where(OutboxMessage.state == state)
    counting = sa.select(OutboxMessage.state, sa.func.count()).group_by(OutboxMessage.state)
    with console.reading() as session:
        rows = [document(row) for row in session.scalars(chosen)]
        counts = dict(session.execute(counting).all())
    lines = [f"{row['id']}  {row['state']:9}  {row['kind']}  {row['outcome']}" for row in rows]
    summary = " · ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    text = "\n".join((*lines, summary or "没有消息 none"))
    show({"messages": rows, "counts": counts}, text, as_json=as_json)


@outbox.command("show", epilog=example("yika-server outbox show 12"))
@click.argument("number", type=int)
@json_option
@click.pass_obj
def outbox_show(console: Console, number: int, as_json: bool) -> None:
    """看一条消息 Show one message and its text; never where it goes."""
    with console.reading() as session:
        row = session.get(OutboxMessage, number)
        if row is None:
            raise click.ClickException(f"没有消息 {number} · no message {number}")
        found = document(row) | {"text": templates.text(row.kind, row.params)}
    text = "\n".join(f"{name}: {value}" for name, value in found.items())
    show(found, text, as_json=as_json)


@outbox.command("retry", epilog=example("yika-server outbox retry 12"))
@click.argument("number", type=int)
@by_option
@click.pass_obj
def outbox_retry(console: Console, number: int, actor: str) -> None:
    """重发 Try a message again that failed, expired, or was cut off."""
    with console.writing() as session:
        services.retry(session, number, actor, console.clock.utc_ms())


@outbox.command("cancel", epilog=example("yika-server outbox cancel 12"))
@click.argument("number", type=int)
@by_option
@click.pass_obj
def outbox_cancel(console: Console, number: int, actor: str) -> None:
    """取消 Call a message off that is not under way."""
    with console.writing() as session:
        services.cancel(session, number, actor, console.clock.utc_ms())


def document(row: OutboxMessage) -> dict[str, Any]:
    """Return a message as JSON shows it."""
    return {
        "id": row.id,
        "kind": row.kind,
        "channel": row.channel,
        "state": row.state,
        "tries": row.tries,
        "cause": row.once,
        "outcome": row.outcome,
        "created": from_millis(row.created_ms).isoformat(timespec="seconds"),
        "changed": from_millis(row.changed_ms).isoformat(timespec="seconds"),
    }


COMMANDS = [outbox]
