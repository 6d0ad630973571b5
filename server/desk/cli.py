# SPDX-License-Identifier: Apache-2.0
"""Commands about the desk: what is under way, how the boxes stand."""

from __future__ import annotations

import click
import sqlalchemy as sa

from server.console import Console, example, json_option, show
from server.db import from_millis
from server.desk import boxes, policy, services
from server.desk.models import DeskBox, DeskJob

LIST_MAX = 200


@click.group("desk")
def desk() -> None:
    """发卡台 Work with cards at the desks."""


@desk.command("jobs", epilog=example("yika-server desk jobs", "yika-server desk jobs --all --json"))
@click.option("--all", "everything", is_flag=True, help="finished ones too")
@json_option
@click.pass_obj
def jobs(console: Console, everything: bool, as_json: bool) -> None:
    """列出任务 Name the newest jobs and how they stand."""
    wanted = sa.select(DeskJob).order_by(DeskJob.id.desc()).limit(LIST_MAX)
    if not everything:
        wanted = wanted.where(DeskJob.state.in_(policy.OPEN))
    with console.reading() as session:
        rows = [services.document(session, job) for job in session.scalars(wanted)]
    lines = [
        f"{row['reference']}  {row['kind']:<8} {row['state']:<9} {row['asn'] or '-':<20} "
        f"{from_millis(row['changed_ms']).isoformat(timespec='seconds')}  {row['text_zh']}"
        for row in rows
    ]
    show({"jobs": rows}, "\n".join(lines) or "没有未完成的任务 nothing is open", as_json=as_json)


@desk.command("stock", epilog=example("yika-server desk stock --json"))
@json_option
@click.pass_obj
def stock(console: Console, as_json: bool) -> None:
    """盘点 Count the boxes: received, made into cards, spoilt, left."""
    with console.reading() as session:
        found = []
        for box in session.scalars(sa.select(DeskBox).order_by(DeskBox.id).limit(LIST_MAX)):
            count = boxes.stock(session, box.id)
            found.append(
                {
                    "box": box.id, "name": box.name, "closed": box.closed_ms is not None,
                    "received": count.received, "issued": count.issued,
                    "spoilt": count.spoilt, "left": count.left,
                    "counted": count.counted, "difference": count.difference,
                }
            )  # fmt: skip
    lines = [
        f"{row['box']}  {row['name']}: 收到 received {row['received']}, 已发 issued "
        f"{row['issued']}, "
        f"作废 spoilt {row['spoilt']}, 剩余 left {row['left']}, 差异 difference {row['difference']}"
        for row in found
    ]
    show({"boxes": found}, "\n".join(lines) or "没有整盒的卡 no boxes", as_json=as_json)


COMMANDS = [desk]
