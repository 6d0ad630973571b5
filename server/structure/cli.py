# SPDX-License-Identifier: Apache-2.0
"""Commands about rights, regions, organisations, memberships and sub-sites."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from server.console import CONSOLE_ACTOR, Console, example, json_option, show
from server.errors import Refused
from server.people.cli import by_option, user, volunteer
from server.people.services import find_volunteer
from server.structure import granting, organisations, regions, sub_sites
from server.structure.organisations import NewOrganisation
from server.structure.rights import ALL, SCOPE_KINDS, Place, Reach, Scope, grants, may
from server.structure.rights_table import SCOPES_OF
from server.structure.sub_sites import NewSubSite

scope_option = click.option(
    "--scope",
    "scope",
    required=True,
    callback=lambda _ctx, _param, text: scope_of(text),
    help="all, site:N, organisation:N, region:CODE or partner:CODE",
)
ROLES_GIVEN = [role for role, kinds in SCOPES_OF.items() if kinds]


def scope_of(text: str) -> Scope:
    """Read a scope as it is typed.

    >>> scope_of("region:440300"), scope_of("all")
    (Scope(kind='region', ref='440300'), Scope(kind='all', ref=''))
    """
    kind, _, ref = text.partition(":")
    if kind not in SCOPE_KINDS or bool(ref) is (kind == ALL):
        raise click.BadParameter(f"{text}: not all, site:N, organisation:N, region:CODE, partner:C")
    return Scope(kind, ref)


def require(session: Session, actor: str, right: str, place: Place) -> None:
    """Refuse who has no right at a place; the shell of the server itself may do everything."""
    if actor == CONSOLE_ACTOR:
        return
    if not may(grants(session, granting.find_user(session, actor).id), right, place):
        raise Refused(
            "no-right", f"{actor} 在此没有权限 {right}", f"{actor} has no right {right} here"
        )


@user.command(
    "grant",
    epilog=example("yika-server user grant li region_manager --scope region:440300 --by wang"),
)
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES_GIVEN))
@scope_option
@by_option
@click.pass_obj
def user_grant(console: Console, name: str, role: str, scope: Scope, actor: str) -> None:
    """授权 Give a user a role over a scope; it counts at once."""
    with console.writing() as session:
        require(session, actor, "users.grant", Place())
        granting.grant(session, name, role, scope, (actor, console.clock.utc_ms()))


@user.command("revoke", epilog=example("yika-server user revoke li staff --scope all --by wang"))
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES_GIVEN))
@scope_option
@by_option
@click.pass_obj
def user_revoke(console: Console, name: str, role: str, scope: Scope, actor: str) -> None:
    """撤销授权 Take a role over a scope back; who has none left cannot sign in."""
    with console.writing() as session:
        require(session, actor, "users.grant", Place())
        granting.revoke(session, name, role, scope, (actor, console.clock.utc_ms()))


@user.command("list", epilog=example("yika-server user list --json", "yika-server user list li"))
@click.argument("name", required=False)
@click.option("--ended", is_flag=True, help="those taken back too")
@json_option
@click.pass_obj
def user_list(console: Console, name: str | None, ended: bool, as_json: bool) -> None:
    """列出授权 Say who holds which role over what."""
    with console.reading() as session:
        rows = [dataclasses.asdict(held) for held in granting.listing(session, name, ended=ended)]
    text = "\n".join(
        f"{row['user']} {row['role']} {row['scope']}{' †' if row['revoked_ms'] else ''}"
        for row in rows
    )
    show({"grants": rows}, text, as_json=as_json)


@click.group()
def region() -> None:
    """行政区划 Regions by their public codes."""


@region.command(
    "load", epilog=example("yika-server region load", "yika-server region load 2026.csv --dry-run")
)
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@click.option("--dry-run", is_flag=True, help="say what would change")
@by_option
@json_option
@click.pass_obj
def region_load(
    console: Console, file: Path | None, dry_run: bool, actor: str, as_json: bool
) -> None:
    """载入区划 Load a table (code,name_zh,name_en); without a file the one that came along."""
    content = (file or regions.SHIPPED).read_bytes()
    with console.writing() as session:
        require(session, actor, "structure.write", Place())
        done = regions.load(session, content, actor, console.clock.utc_ms(), dry_run=dry_run)
    document = {**dataclasses.asdict(done), "dry_run": dry_run}
    text = f"新增 added {done.added} · 更改 changed {done.changed} · 不变 same {done.same}"
    show(document, text, as_json=as_json)


@region.command("list", epilog=example("yika-server region list 440300"))
@click.argument("code", default="")
@json_option
@click.pass_obj
def region_list(console: Console, code: str, as_json: bool) -> None:
    """列出下级 List the regions one level below; the provinces without a code."""
    with console.reading() as session:
        rows = [
            {"code": row.code, "name_zh": row.name_zh, "name_en": row.name_en}
            for row in regions.below(session, code)
        ]
    text = "\n".join(f"{row['code']} {row['name_zh']} {row['name_en']}" for row in rows)
    show({"regions": rows}, text, as_json=as_json)


@click.group()
def organisation() -> None:
    """组织 Organisations of volunteers."""


@organisation.command(
    "add",
    epilog=example(
        "yika-server organisation add SZ-FT 福田区义工联 'Futian federation' --region 440304"
        " --parent SZ"
    ),
)
@click.argument("code")
@click.argument("name_zh")
@click.argument("name_en")
@click.option("--region", required=True, help="code of the region")
@click.option("--parent", help="code of the organisation above")
@by_option
@json_option
@click.pass_obj
def organisation_add(console: Console, /, actor: str, as_json: bool, **named: Any) -> None:
    """添加组织 Add an organisation below a region."""
    new = NewOrganisation(**named)
    with console.writing() as session:
        require(session, actor, "structure.write", Place(regions=(new.region,)))
        added = organisations.add(session, new, actor, console.clock.utc_ms())
        document = {"id": added.id, "code": new.code}
    show(document, f"组织 organisation {document['id']} {new.code}", as_json=as_json)


@organisation.command("close", epilog=example("yika-server organisation close SZ-FT-7"))
@click.argument("code")
@by_option
@click.pass_obj
def organisation_close(console: Console, code: str, actor: str) -> None:
    """关闭组织 Close an organisation; nobody joins it any more."""
    with console.writing() as session:
        found = organisations.by_code(session, code)
        require(session, actor, "structure.write", organisations.place_of(session, found.id))
        organisations.close(session, code, actor, console.clock.utc_ms())


@organisation.command("list", epilog=example("yika-server organisation list --json"))
@json_option
@click.pass_obj
def organisation_list(console: Console, as_json: bool) -> None:
    """列出组织 List the organisations."""
    with console.reading() as session:
        rows = [
            {
                "id": row.id,
                "code": row.code,
                "name_zh": row.name_zh,
                "region": row.region,
                "parent_id": row.parent_id,
                "closed": row.closed_ms is not None,
            }
            for row in organisations.listing(session, Reach(everywhere=True))
        ]
    text = "\n".join(f"{row['id']} {row['code']} {row['region']} {row['name_zh']}" for row in rows)
    show({"organisations": rows}, text, as_json=as_json)


@volunteer.command("join", epilog=example("yika-server volunteer join 0000000014 SZ-FT"))
@click.argument("number")
@click.argument("code")
@by_option
@click.pass_obj
def volunteer_join(console: Console, number: str, code: str, actor: str) -> None:
    """加入组织 Make a volunteer a member; one volunteer may have several organisations."""
    with console.writing() as session:
        found = organisations.by_code(session, code)
        require(session, actor, "structure.write", organisations.place_of(session, found.id))
        person = find_volunteer(session, number)
        organisations.join(session, person.id, found.id, actor, console.clock.utc_ms())


@volunteer.command("leave", epilog=example("yika-server volunteer leave 0000000014 SZ-FT"))
@click.argument("number")
@click.argument("code")
@by_option
@click.pass_obj
def volunteer_leave(console: Console, number: str, code: str, actor: str) -> None:
    """退出组织 End a membership."""
    with console.writing() as session:
        found = organisations.by_code(session, code)
        require(session, actor, "structure.write", organisations.place_of(session, found.id))
        person = find_volunteer(session, number)
        organisations.leave(session, person.id, found.id, actor, console.clock.utc_ms())


@click.group("sub-site")
def sub_site() -> None:
    """分站 Host names with a look of their own."""


@sub_site.command(
    "set",
    epilog=example(
        "yika-server sub-site set futian.example.org 福田义工 'Futian volunteers'"
        " --region 440304 --colour '#8a1538' --logo futian.png"
    ),
)
@click.argument("host")
@click.argument("title_zh")
@click.argument("title_en")
@click.option("--region", default="", help="code of the region")
@click.option("--organisation", help="code of the organisation")
@click.option("--colour", default=sub_sites.COLOUR_DEFAULT, show_default=True)
@click.option("--logo", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@by_option
@click.pass_obj
def sub_site_set(console: Console, /, logo: Path | None, actor: str, **named: Any) -> None:
    """设置分站 Add or change a sub-site; the logo is a PNG picture."""
    picture = logo.read_bytes() if logo else None
    new = NewSubSite(**named)
    with console.writing() as session:
        require(session, actor, "structure.write", Place(regions=(new.region,)))
        sub_sites.put(session, new, picture, actor, console.clock.utc_ms())


@sub_site.command("remove", epilog=example("yika-server sub-site remove futian.example.org"))
@click.argument("host")
@by_option
@click.pass_obj
def sub_site_remove(console: Console, host: str, actor: str) -> None:
    """删除分站 Remove a sub-site; its host shows the default look."""
    with console.writing() as session:
        require(session, actor, "structure.write", Place())
        sub_sites.remove(session, host, actor, console.clock.utc_ms())


@sub_site.command("list", epilog=example("yika-server sub-site list --json"))
@json_option
@click.pass_obj
def sub_site_list(console: Console, as_json: bool) -> None:
    """列出分站 List the sub-sites."""
    with console.reading() as session:
        rows = [
            {"host": row.host, "title_zh": row.title_zh, "region": row.region, "colour": row.colour}
            for row in sub_sites.listing(session)
        ]
    text = "\n".join(f"{row['host']} {row['colour']} {row['title_zh']}" for row in rows)
    show({"sub_sites": rows}, text, as_json=as_json)


COMMANDS = [region, organisation, sub_site]
