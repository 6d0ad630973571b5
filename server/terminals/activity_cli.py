# SPDX-License-Identifier: Apache-2.0
"""Commands about activities that are asked for, and about where sites stand."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy.orm import Session

from server.console import Console, example, json_option, show
from server.db import from_millis
from server.errors import Refused
from server.people.cli import instant_ms
from server.structure import granting
from server.structure.rights import Reach, grants, has, may
from server.terminals import activities, places
from server.terminals.activities import Wish

by_option = click.option("--by", "actor", required=True, help="the user who does it")


def require(session: Session, actor: str, right: str, site_id: int) -> None:
    """Refuse who has no right at a site."""
    held = grants(session, granting.find_user(session, actor).id)
    if not may(held, right, places.place_of_site(session, site_id)):
        raise Refused(
            "no-right", f"{actor} 在服务点 {site_id} 没有权限 {right}",
            f"{actor} has no right {right} at site {site_id}",
        )  # fmt: skip


@click.command(
    "apply",
    epilog=example(
        "yika-server activity apply 1 GUIDE 公园导览 'Park guide' 2026-11-28T09:00"
        " 2026-11-28T12:00 --every-days 7 --times 4 --capacity 20 --by li"
    ),
)
@click.argument("site_id", type=int)
@click.argument("code")
@click.argument("name_zh")
@click.argument("name_en")
@click.argument("start")
@click.argument("end")
@click.option("--every-days", type=int, default=0, help="days between two times")
@click.option("--times", type=int, default=1, show_default=True)
@click.option("--planned-min", type=int, default=0, help="minutes planned")
@click.option("--capacity", type=int, help="how many people at most")
@click.option("--minors/--no-minors", default=True, show_default=True)
@by_option
@json_option
@click.pass_obj
def activity_apply(
    console: Console, /, start: str, end: str, actor: str, as_json: bool, **named: Any
) -> None:
    """申请活动 Ask for an activity; somebody else approves it."""
    wish = Wish(start_ms=instant_ms(start), end_ms=instant_ms(end), **named)
    with console.writing() as session:
        require(session, actor, "activities.apply", wish.site_id)
        made = activities.apply(session, wish, actor, console.clock.utc_ms())
        document = {"id": made.id, "state": made.state}
    show(document, f"申请 application {document['id']}", as_json=as_json)


@click.command("approve", epilog=example("yika-server activity approve 3 --by wang"))
@click.argument("application_id", type=int)
@by_option
@json_option
@click.pass_obj
def activity_approve(console: Console, application_id: int, actor: str, as_json: bool) -> None:
    """批准活动 Approve an application; not by the person who asked."""
    with console.writing() as session:
        site_id = activities.find(session, application_id).site_id
        require(session, actor, "activities.approve", site_id)
        made = activities.approve(session, application_id, actor, console.clock.utc_ms())
        document = {"activities": [each.id for each in made]}
    show(document, f"{len(made)} 场活动已批准 approved", as_json=as_json)


@click.command(
    "refuse", epilog=example("yika-server activity refuse 3 --reason 与其他活动冲突 --by wang")
)
@click.argument("application_id", type=int)
@click.option("--reason", required=True)
@by_option
@click.pass_obj
def activity_refuse(console: Console, application_id: int, reason: str, actor: str) -> None:
    """驳回活动 Refuse an application, with a reason."""
    with console.writing() as session:
        site_id = activities.find(session, application_id).site_id
        require(session, actor, "activities.approve", site_id)
        activities.refuse(session, application_id, reason, actor, console.clock.utc_ms())


@click.command(
    "cancel", epilog=example("yika-server activity cancel 3 --reason 台风停办 --by wang")
)
@click.argument("application_id", type=int)
@click.option("--reason", required=True)
@by_option
@click.pass_obj
def activity_cancel(console: Console, application_id: int, reason: str, actor: str) -> None:
    """取消活动 Take an application back, or call off what has not begun."""
    with console.writing() as session:
        found = activities.find(session, application_id)
        if found.applied_by != actor:
            require(session, actor, "activities.approve", found.site_id)
        activities.cancel(session, application_id, reason, actor, console.clock.utc_ms())


@click.command("list", epilog=example("yika-server activity list --waiting --json"))
@click.option("--waiting", is_flag=True, help="only those that wait for a decision")
@json_option
@click.pass_obj
def activity_list(console: Console, waiting: bool, as_json: bool) -> None:
    """列出申请 List applications and their state."""
    now_ms = console.clock.utc_ms()
    with console.reading() as session:
        found = activities.listing(session, Reach(everywhere=True), now_ms, waiting=waiting)
        rows = [
            {
                "id": row.id,
                "site": site.id,
                "code": row.code,
                "name": row.name_zh,
                "state": activities.state_now(row, now_ms),
                "start": from_millis(row.start_ms).isoformat(),
                "times": row.times,
                "applied_by": row.applied_by,
                "decided_by": row.decided_by,
            }
            for row, site in found
        ]
    text = "\n".join(
        f"{row['id']} {row['state']} {row['start']} ×{row['times']} {row['code']} {row['name']}"
        for row in rows
    )
    show({"applications": rows}, text, as_json=as_json)


@click.command(
    "place", epilog=example("yika-server site place 1 --region 440304 --organisation SZ-FT --by li")
)
@click.argument("site_id", type=int)
@click.option("--region", default="", help="code of the region")
@click.option("--organisation", help="code of the organisation")
@by_option
@click.pass_obj
def site_place(
    console: Console, site_id: int, region: str, organisation: str | None, actor: str
) -> None:
    """归属 Put a site below a region and an organisation."""
    with console.writing() as session:
        held = grants(session, granting.find_user(session, actor).id)
        if not has(held, "structure.write"):
            raise Refused("no-right", f"{actor} 没有权限", f"{actor} may not do this")
        require(session, actor, "structure.write", site_id)
        places.put(session, site_id, region, organisation, (actor, console.clock.utc_ms()))


ACTIVITY_COMMANDS = (
    activity_apply, activity_approve, activity_cancel, activity_list, activity_refuse,
)  # fmt: skip
