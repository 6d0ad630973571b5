# SPDX-License-Identifier: Apache-2.0
"""Commands about sites, activities, terminals and PSAMs.

What brings a key into the system takes two people: both are named, both must be staff.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from keys.files import write_private
from server.console import Console, example, json_option, show
from server.db import from_millis
from server.errors import Refused
from server.people.cli import by_option, instant_ms
from server.people.services import require_staff
from server.terminals import enrolment, key_change, psam_cli, services
from server.terminals.activity_cli import ACTIVITY_COMMANDS, site_place
from server.terminals.letter import letter
from server.terminals.psam_cli import psam
from server.terminals.services import SHANGHAI_TZ_Q, NewActivity, NewSite, TerminalStatus
from server.terminals.setting_cli import activity_choice, message, operator, site_rules
from server.terminals.shown import shown_with
from swipe.errors import FieldError
from swipe.invitation import Invitation, digest

FIRST_ROOT = "releases/metadata/1.root.json"  # below the data folder

staff_option = click.option("--by", "actor", required=True, help="staff user who does it")


def letter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what a letter says besides the code."""
    for option in (
        click.option("--tls-pin", default="", help="pin of the certificate key, for HTTPS"),
        click.option("--url", required=True, help="the server as terminals reach it"),
        click.option(
            "--out",
            "target",
            required=True,
            type=click.Path(path_type=Path, dir_okay=False),
            help="letter to write, HTML for the printer",
        ),
    ):
        command = option(command)
    return command


def check_letter(target: Path, url: str, tls_pin: str) -> None:
    """Refuse what cannot become a letter, before a code is made that would end the old one."""
    try:
        text = Invitation(url.rstrip("/"), digest(b""), "CODE", tls_pin).to_text()
        Invitation.from_text(text)
    except FieldError as exc:
        raise Refused(
            "letter",
            "网址须以 http:// 或 https:// 开头；指纹请照抄 yika-server tls pin",
            "--url begins with http:// or https://, --tls-pin is what yika-server tls pin prints",
        ) from exc
    if not target.absolute().parent.is_dir():
        raise Refused(
            "folder",
            f"没有文件夹 {target.parent}，请先建立",
            "there is no such folder: make it, or give another --out",
        )


def write_letter(
    console: Console, whom: tuple[int, str, str], target: Path, url: str, tls_pin: str
) -> dict[str, Any]:
    """Write a letter that only we may read; return the line of it and where it is."""
    terminal_id, name, code = whom
    root = console.config.data.dir / FIRST_ROOT
    with console.runtime() as opened:
        key_digest = digest(opened.identity.public_key)
    root_digest = digest(root.read_bytes()) if root.exists() else ""
    invitation = Invitation(url.rstrip("/"), key_digest, code, tls_pin, root_digest)
    write_private(target, letter(name, terminal_id, invitation).encode(), replace=True)
    return {"id": terminal_id, "line": invitation.to_text(), "token": code, "file": str(target)}


@click.group()
def site() -> None:
    """服务点 Sites."""


@site.command("add", epilog=example("yika-server site add 莲花山公园 'Lianhuashan Park'"))
@click.argument("name_zh")
@click.argument("name_en")
@click.option("--tz-q", default=SHANGHAI_TZ_Q, show_default=True, help="quarter hours from UTC")
@by_option
@json_option
@click.pass_obj
def site_add(
    console: Console, name_zh: str, name_en: str, tz_q: int, actor: str, as_json: bool
) -> None:
    """添加服务点 Add a site."""
    with console.writing() as session:
        new = NewSite(name_zh, name_en, tz_q)
        added = services.add_site(session, new, actor, console.clock.utc_ms())
        document = {"id": added.id, "name_zh": name_zh, "name_en": name_en}
    show(document, f"服务点 site {document['id']}", as_json=as_json)


@click.group()
def activity() -> None:
    """活动 Activities."""


@activity.command(
    "add",
    epilog=example(
        "yika-server activity add 1 GUIDE 公园导览 'Park guide' 2026-11-21T09:00 2026-11-21T12:00"
    ),
)
@click.argument("site_id", type=int)
@click.argument("code")
@click.argument("name_zh")
@click.argument("name_en")
@click.argument("start")
@click.argument("end")
@click.option("--family", default="", help="activities of one family count as one")
@click.option("--planned-min", type=click.IntRange(0, 1440), default=0, help="minutes planned")
@click.option("--minors/--no-minors", default=True, show_default=True, help="open to minors")
@by_option
@json_option
@click.pass_obj
def activity_add(
    console: Console, /, start: str, end: str, actor: str, as_json: bool, **named: Any
) -> None:
    """安排活动 Plan an activity; its terminals hear of it by themselves."""
    new = NewActivity(start_ms=instant_ms(start), end_ms=instant_ms(end), **named)
    with console.writing() as session:
        added = services.add_activity(session, new, actor, console.clock.utc_ms())
        document = {"id": added.id, "code": new.code}
    show(document, f"活动 activity {document['id']}", as_json=as_json)


@click.group()
def terminal() -> None:
    """终端 Terminals."""


@terminal.command("add", epilog=example("yika-server terminal add pos-a --site 1 --by li"))
@click.argument("name")
@click.option("--site", "site_id", type=int, required=True)
@staff_option
@json_option
@click.pass_obj
def terminal_add(console: Console, name: str, site_id: int, actor: str, as_json: bool) -> None:
    """登记终端 Order a terminal; its one-time pairing code is shown only now."""
    with console.writing() as session:
        require_staff(session, actor)
        now_ms = console.clock.utc_ms()
        added, token = enrolment.add_terminal(session, name, site_id, actor, now_ms)
        document = {"id": added.id, "name": name, "token": token}
    text = f"终端 terminal {document['id']} {name} 配对码 pairing code {token}"
    show(document, text, as_json=as_json)


@terminal.command(
    "letter",
    epilog=example(
        "yika-server terminal letter 1 --url https://yika.example.org --out 1.html --by li"
    ),
)
@click.argument("terminal_id", type=int)
@letter_options
@staff_option
@json_option
@click.pass_obj
def terminal_letter(
    console: Console, /, terminal_id: int, actor: str, as_json: bool, **told: Any
) -> None:
    """入网单 Print the letter for a terminal that was ordered, with a fresh pairing code."""
    check_letter(**told)
    with console.writing() as session:
        require_staff(session, actor)
        name = services.find_terminal(session, terminal_id).name
        code = enrolment.code_again(session, terminal_id, actor, console.clock.utc_ms())
    document = write_letter(console, (terminal_id, name, code), **told)
    show(document, f"{document['line']}\n→ {document['file']}", as_json=as_json)


@terminal.command("approve", epilog=example("yika-server terminal approve 1 --by wang"))
@click.argument("terminal_id", type=int)
@staff_option
@click.pass_obj
def terminal_approve(console: Console, terminal_id: int, actor: str) -> None:
    """批准终端 Let an enrolled terminal in; not by the person who ordered it."""
    with console.writing() as session:
        require_staff(session, actor)
        enrolment.approve(session, terminal_id, actor, console.clock.utc_ms())


@terminal.command("list", epilog=example("yika-server terminal list --json"))
@json_option
@click.pass_obj
def terminal_list(console: Console, as_json: bool) -> None:
    """列出终端 Name every terminal: state, last contact, what it still holds."""
    with console.reading() as session:
        found = services.overview(session, console.clock.utc_ms())
    rows = [asdict(status) for status in found]
    show({"terminals": rows}, "\n".join(map(_status_line, found)), as_json=as_json)


@terminal.command("revoke", epilog=example("yika-server terminal revoke 1 --reason stolen --by li"))
@click.argument("terminal_id", type=int)
@click.option("--reason", required=True)
@staff_option
@click.pass_obj
def terminal_revoke(console: Console, terminal_id: int, reason: str, actor: str) -> None:
    """停用终端 End a terminal, its keys and its PSAMs, for good."""
    with console.writing() as session:
        require_staff(session, actor)
        services.revoke(session, terminal_id, reason, actor, console.clock.utc_ms())


@terminal.command(
    "end-key",
    epilog=example("yika-server terminal end-key 7 --from-seq 1200 --reason stolen --by li"),
)
@click.argument("key_id", type=int)
@click.option("--from-seq", type=click.IntRange(1), required=True, help="first event not signed")
@click.option("--reason", required=True)
@staff_option
@click.pass_obj
def terminal_end_key(console: Console, key_id: int, from_seq: int, reason: str, actor: str) -> None:
    """终止终端密钥 End a key at a sequence number; what it signed before stays valid."""
    with console.writing() as session:
        require_staff(session, actor)
        by = (actor, console.clock.utc_ms())
        key_change.end_key(session, key_id, from_seq, reason, by)


@terminal.command("keys", epilog=example("yika-server terminal keys 1 --json"))
@click.argument("terminal_id", type=int)
@json_option
@click.pass_obj
def terminal_keys(console: Console, terminal_id: int, as_json: bool) -> None:
    """列出终端密钥 Name a terminal's keys and PSAMs, to compare with the box before approving."""
    with console.reading() as session:
        services.find_terminal(session, terminal_id)
        rows = [
            key_change.describe(key) | {"psam": _hex(shown_with(session, key).psam_no)}
            for key in services.keys_of(session, terminal_id)
        ]
        held = [psam_cli.describe(one) for one in services.psams_of(session, terminal_id)]
    lines = [
        f"{row['key_id']} {row['suite']} {row['fingerprint']} 至 until {row['until_seq'] or '–'}"
        f" PSAM {row['psam'] or '–'}{'' if row['approved'] else ' 待批准 not approved'}"
        for row in rows
    ]
    lines += [
        f"PSAM {one['number']} {one['kind']} {one['state']} 自 from {one['from_seq']}"
        f" 申请 ordered by {one['ordered_by']}"
        for one in held
    ]
    show({"keys": rows, "psams": held}, "\n".join(lines), as_json=as_json)


@terminal.command("release", epilog=example("yika-server terminal release 1 --by li"))
@click.argument("terminal_id", type=int)
@staff_option
@click.pass_obj
def terminal_release(console: Console, terminal_id: int, actor: str) -> None:
    """解除隔离 End a quarantine after somebody has looked."""
    with console.writing() as session:
        require_staff(session, actor)
        services.release(session, terminal_id, actor, console.clock.utc_ms())


def _hex(number: bytes | None) -> str | None:
    return None if number is None else number.hex()


def _status_line(status: TerminalStatus) -> str:
    contact = "–"
    if status.last_contact_ms is not None:
        contact = from_millis(status.last_contact_ms).isoformat(timespec="seconds")
    unsent = "?" if status.unsent is None else status.unsent
    silent = " 失联 silent" if status.silent else ""
    return (
        f"{status.id} {status.name} {status.site_zh} {status.state} "
        f"最近 last {contact} 待传 unsent {unsent}{silent}"
    )


terminal.add_command(operator)
terminal.add_command(message)
terminal.add_command(activity_choice)
site.add_command(site_rules)
site.add_command(site_place)
for command in ACTIVITY_COMMANDS:
    activity.add_command(command)

COMMANDS = [site, activity, terminal, psam]
