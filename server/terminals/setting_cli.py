# SPDX-License-Identifier: Apache-2.0
"""Commands for what a site's terminals are told: operators, messages, rules, activity choice."""

from __future__ import annotations

import os
from typing import Any

import click

from server.console import Console, example, json_option, show
from server.db import from_millis
from server.people.cli import instant_ms
from server.people.services import require_staff
from server.terminals import site_settings
from server.terminals.site_settings import CHOICES, ROLES, NewMessage, NewOperator

PIN_VARIABLE = "YIKA_OPERATOR_PIN"

staff_option = click.option("--by", "actor", required=True, help="staff user who does it")
site_option = click.option("--site", "site_id", type=int, required=True, help="number of the site")


@click.group(
    epilog=example("yika-server terminal operator add 59490000000000000017 李 --site 1 --by li")
)
def operator() -> None:
    """操作员 Who may sign on at a site's terminals."""


@operator.command(
    "add",
    epilog=example(
        "yika-server terminal operator add 59490000000000000017 李 --site 1"
        " --role supervisor --by li"
    ),
)
@click.argument("asn")
@click.argument("name")
@site_option
@click.option("--role", type=click.Choice(ROLES), default="operator", show_default=True)
@staff_option
@click.pass_obj
def operator_add(
    console: Console, asn: str, name: str, site_id: int, role: str, actor: str
) -> None:
    """添加操作员 Let the holder of a card sign on; the name is what the display shows."""
    with console.writing() as session:
        require_staff(session, actor)
        new = NewOperator(site_id, asn, name, role)
        site_settings.add_operator(session, new, actor, console.clock.utc_ms())


@operator.command(
    "pin",
    epilog=example("yika-server terminal operator pin 59490000000000000017 --site 1 --by li"),
)
@click.argument("asn")
@site_option
@staff_option
@click.pass_obj
def operator_pin(console: Console, asn: str, site_id: int, actor: str) -> None:
    """设置密码 Set an operator's PIN: from $YIKA_OPERATOR_PIN, or asked for without being shown."""
    pin = os.environ.get(PIN_VARIABLE) or click.prompt(
        "操作员密码 · operator's PIN", hide_input=True, confirmation_prompt=True, err=True
    )
    with console.writing() as session:
        require_staff(session, actor)
        site_settings.set_pin(session, (site_id, asn), pin, actor, console.clock.utc_ms())


@operator.command(
    "remove",
    epilog=example("yika-server terminal operator remove 59490000000000000017 --site 1 --by li"),
)
@click.argument("asn")
@site_option
@staff_option
@click.pass_obj
def operator_remove(console: Console, asn: str, site_id: int, actor: str) -> None:
    """取消操作员 Let a card sign on no more."""
    with console.writing() as session:
        require_staff(session, actor)
        now_ms = console.clock.utc_ms()
        site_settings.remove_operator(session, site_id, asn, actor, now_ms)


@operator.command("list", epilog=example("yika-server terminal operator list --site 1 --json"))
@site_option
@json_option
@click.pass_obj
def operator_list(console: Console, site_id: int, as_json: bool) -> None:
    """列出操作员 Name who may sign on."""
    with console.reading() as session:
        rows = [
            {"asn": who.asn, "name": who.name, "role": who.role}
            for who in site_settings.operators(session, site_id)
        ]
    text = "\n".join(f"{row['asn']} {row['role']} {row['name']}" for row in rows)
    show({"operators": rows}, text, as_json=as_json)


@click.group(epilog=example("yika-server terminal message list --site 1 --json"))
def message() -> None:
    """留言 What the displays of a site say besides."""


@message.command(
    "add",
    epilog=example(
        "yika-server terminal message add 明天停电 'No power tomorrow' --site 1"
        " --from 2026-11-21T08:00 --until 2026-11-22T20:00 --by li"
    ),
)
@click.argument("zh")
@click.argument("en")
@site_option
@click.option("--from", "start", help="when it begins to be shown; now unless given")
@click.option("--until", "end", required=True, help="when it is over")
@staff_option
@json_option
@click.pass_obj
def message_add(
    console: Console, /, start: str | None, end: str, actor: str, as_json: bool, **named: Any
) -> None:
    """发布留言 Show a message on a site's displays, in both languages."""
    now_ms = console.clock.utc_ms()
    from_ms = now_ms if start is None else instant_ms(start)
    new = NewMessage(from_ms=from_ms, until_ms=instant_ms(end), **named)
    with console.writing() as session:
        require_staff(session, actor)
        added = site_settings.add_message(session, new, actor, now_ms)
        document = {"id": added.id}
    show(document, f"留言 message {document['id']}", as_json=as_json)


@message.command("remove", epilog=example("yika-server terminal message remove 3 --by li"))
@click.argument("message_id", type=int)
@staff_option
@click.pass_obj
def message_remove(console: Console, message_id: int, actor: str) -> None:
    """撤下留言 Take a message off the displays."""
    with console.writing() as session:
        require_staff(session, actor)
        site_settings.remove_message(session, message_id, actor, console.clock.utc_ms())


@message.command("list", epilog=example("yika-server terminal message list --site 1 --json"))
@site_option
@json_option
@click.pass_obj
def message_list(console: Console, site_id: int, as_json: bool) -> None:
    """列出留言 Name the messages that are not over."""
    with console.reading() as session:
        found = site_settings.messages(session, site_id, console.clock.utc_ms())
        rows = [
            {"id": m.id, "zh": m.zh, "en": m.en, "until": from_millis(m.until_ms).isoformat()}
            for m in found
        ]
    text = "\n".join(f"{row['id']} {row['until']} {row['zh']} · {row['en']}" for row in rows)
    show({"messages": rows}, text, as_json=as_json)


@click.command(
    "activity",
    epilog=example(
        "yika-server terminal activity 1 code --by li",
        "yika-server terminal activity 1 fixed --activity 7 --by li",
    ),
)
@click.argument("terminal_id", type=int)
@click.argument("choice", type=click.Choice(CHOICES))
@click.option("--activity", "activity_id", type=int, help="which one, with `fixed`")
@staff_option
@click.pass_obj
def activity_choice(
    console: Console, terminal_id: int, choice: str, activity_id: int | None, actor: str
) -> None:
    """活动选择 Say how a terminal finds the activity: by schedule, typed code, or always one."""
    with console.writing() as session:
        require_staff(session, actor)
        by = (actor, console.clock.utc_ms())
        site_settings.choose_activity(session, terminal_id, choice, activity_id, by)


@click.command(
    "rules",
    epilog=example("yika-server site rules 1 duplicate_s=90 require_sign_on=true --by li"),
)
@click.argument("site_id", type=int)
@click.argument("settings", nargs=-1, required=True, metavar="NAME=VALUE…")
@staff_option
@json_option
@click.pass_obj
def site_rules(
    console: Console, site_id: int, settings: tuple[str, ...], actor: str, as_json: bool
) -> None:
    """服务点规则 Set limits and switches of a site's terminals, within their bounds."""
    rules = dict(_setting(text) for text in settings)
    with console.writing() as session:
        require_staff(session, actor)
        site = site_settings.set_rules(session, site_id, rules, actor, console.clock.utc_ms())
        set_now = dict(site.rules)
        document = {"site": site_id, "rules": set_now}
    shown = " ".join(f"{name}={value}" for name, value in sorted(set_now.items()))
    show(document, shown, as_json=as_json)


def _setting(text: str) -> tuple[str, int | bool]:
    name, separator, value = text.partition("=")
    if not separator:
        raise click.BadParameter(f"{text}: not NAME=VALUE", param_hint="NAME=VALUE")
    if value in ("true", "false"):
        return name, value == "true"
    try:
        return name, int(value)
    except ValueError as error:
        raise click.BadParameter(f"{text}: neither a number nor true or false") from error
