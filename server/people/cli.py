# SPDX-License-Identifier: Apache-2.0
"""Commands about people: users, volunteers, cards."""

from __future__ import annotations

import datetime as dt
import os
import sys

import click

from server.console import CONSOLE_ACTOR, Console, example, json_option, show
from server.db import to_millis
from server.errors import Refused
from server.people import services, sign_in
from server.people.models import ROLES
from server.people.services import BIRTHDAY_ZONE, CardReport, NewUser, NewVolunteer

PASSWORD_ENV = "YIKA_NEW_PASSWORD"  # noqa: S105 - the name of a variable

by_option = click.option("--by", "actor", default=CONSOLE_ACTOR, help="who does it, for the audit")


@click.group()
def user() -> None:
    """工作人员 People who work with the pages."""


@user.command("add", epilog=example("yika-server user add li --role staff"))
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES[1:]), required=True)
@click.option("--site", "site_id", type=int, help="the site of a leader")
@by_option
@json_option
@click.pass_obj
def user_add(
    console: Console, name: str, role: str, site_id: int | None, actor: str, as_json: bool
) -> None:
    """添加工作人员 Add a user; the password comes from YIKA_NEW_PASSWORD or is asked for."""
    password = _new_password()
    with console.writing() as session:
        new = NewUser(name, role, site_id)
        added = services.add_user(session, new, password, actor, console.clock.utc_ms())
        document = {"id": added.id, "name": name, "role": role}
    show(document, f"{name}: {role}", as_json=as_json)


@click.group()
def volunteer() -> None:
    """义工 Volunteers."""


@volunteer.command("add", epilog=example("yika-server volunteer add 王小明 --birth 1990-05-17"))
@click.argument("name")
@click.option("--birth", type=click.DateTime(["%Y-%m-%d"]), required=True, help="date of birth")
@click.option("--guardian", help="volunteer number of the guardian of a minor")
@by_option
@json_option
@click.pass_obj
def volunteer_add(
    console: Console,
    name: str,
    birth: dt.datetime,
    guardian: str | None,
    actor: str,
    as_json: bool,
) -> None:
    """登记义工 Take in a volunteer; the number and the one-time code are shown only now."""
    new = NewVolunteer(name, birth.date(), guardian)
    with console.runtime() as runtime, runtime.database.writing() as session:
        now_ms = console.clock.utc_ms()
        added, code = services.add_volunteer(session, runtime.store, new, actor, now_ms)
        document = {"number": added.number, "code": code, "masked_name": added.masked_name}
    text = f"{document['masked_name']} 义工号 number {document['number']} 登录码 code {code}"
    show(document, text, as_json=as_json)


@volunteer.command("code", epilog=example("yika-server volunteer code 0000000014"))
@click.argument("number")
@by_option
@json_option
@click.pass_obj
def volunteer_code(console: Console, number: str, actor: str, as_json: bool) -> None:
    """重发登录码 Give a volunteer a new one-time code; the old secret is void."""
    with console.writing() as session:
        code = sign_in.renew_code(session, number, actor, console.clock.utc_ms())
    show({"number": number, "code": code}, f"{number} 登录码 code {code}", as_json=as_json)


@volunteer.command(
    "guardian", epilog=example("yika-server volunteer guardian 0000000022 0000000014")
)
@click.argument("number")
@click.argument("guardian_number")
@by_option
@click.pass_obj
def volunteer_guardian(console: Console, number: str, guardian_number: str, actor: str) -> None:
    """指定监护人 Name the guardian of a minor."""
    with console.writing() as session:
        services.link_guardian(session, number, guardian_number, actor, console.clock.utc_ms())


@click.group()
def card() -> None:
    """义工卡 Cards."""


@card.command("serial", epilog=example("yika-server card serial"))
@json_option
@click.pass_obj
def card_serial(console: Console, as_json: bool) -> None:
    """取卡序列号 Take the serial for a card that is going to be issued."""
    with console.writing() as session:
        asn = services.next_card_serial(session)
    show({"asn": asn}, asn, as_json=as_json)


@card.command(
    "register", epilog=example("yika-server card register 0000000014 59490000000000000001")
)
@click.argument("number")
@click.argument("asn")
@click.option("--key-version", type=click.IntRange(1, 255), default=1, show_default=True)
@by_option
@click.pass_obj
def card_register(console: Console, number: str, asn: str, key_version: int, actor: str) -> None:
    """登记卡 Bind an issued card to a volunteer."""
    with console.writing() as session:
        now_ms = console.clock.utc_ms()
        services.register_card(session, number, asn, key_version, actor, now_ms)


@card.command("lost", epilog=example("yika-server card lost 59490000000000000001 --reason bus"))
@click.argument("asn")
@click.option(
    "--at", help="when it was lost, ISO 8601; without a zone Shanghai time; now if absent"
)
@click.option("--reason", default="", help="what the volunteer said")
@by_option
@click.pass_obj
def card_lost(console: Console, asn: str, at: str | None, reason: str, actor: str) -> None:
    """挂失 Report a card lost: it stands on the hotlist from that time on."""
    now_ms = console.clock.utc_ms()
    at_ms = instant_ms(at) if at else now_ms
    with console.writing() as session:
        services.report_card(session, CardReport(asn, at_ms, reason), actor, now_ms)


@card.command("restore", epilog=example("yika-server card restore 59490000000000000001"))
@click.argument("asn")
@by_option
@click.pass_obj
def card_restore(console: Console, asn: str, actor: str) -> None:
    """解挂 Take a found card off the hotlist."""
    with console.writing() as session:
        services.restore_card(session, asn, actor, console.clock.utc_ms())


def instant_ms(text: str) -> int:
    """Read an ISO 8601 instant; one without a zone is Shanghai time.

    >>> instant_ms("2026-11-21T09:00")
    1795222800000
    """
    try:
        instant = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text}: not an ISO 8601 instant") from error
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=BIRTHDAY_ZONE)
    return to_millis(instant)


def _new_password() -> str:
    password = os.environ.get(PASSWORD_ENV)
    if password:
        return password
    if not sys.stdin.isatty():
        raise Refused(
            "no-password",
            f"没有密码，请设置 {PASSWORD_ENV} 或在终端上运行",
            f"no password: set {PASSWORD_ENV} or run at a terminal",
        )
    typed: str = click.prompt("密码 password", hide_input=True, confirmation_prompt=True)
    return typed


COMMANDS = [user, volunteer, card]
