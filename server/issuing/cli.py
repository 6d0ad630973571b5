# SPDX-License-Identifier: Apache-2.0
"""Commands about orders of cards, branches and the calendar of working days."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.console import Console, example, json_option, show
from server.db import from_millis
from server.errors import Refused
from server.issuing import branches, checking, dates, first_orders, search, services, work_calendar
from server.issuing import worklists as lists
from server.issuing.branches import Branch
from server.issuing.events import CardEvent, Detail
from server.issuing.history import OrderHistory, order_history
from server.issuing.models import CardOrder
from server.issuing.orders import NewOrder
from server.issuing.policy import BY_STAFF, CARRIERS, EVENTS, INTERNAL, KINDS, REASONS, rows
from server.issuing.wording import DUE_NAMES, EVENT_NAMES, STATE_NAMES
from server.people.services import find_volunteer, require_staff

by_option = click.option("--by", "actor", required=True, help="the staff user who does it")
LIST_MAX = 1_000
TOLD = [event for event in EVENTS if event not in INTERNAL]


@click.group()
def cardorder() -> None:
    """制卡单 Orders of cards: from the order to the card in hand, and its end."""


@cardorder.command("list", epilog=example("yika-server cardorder list --due collect --json"))
@click.option("--due", "name", type=click.Choice(lists.NAMES), help="one worklist, by due date")
@click.option("--page", type=click.IntRange(1, 100_000), default=1, show_default=True)
@json_option
@click.pass_obj
def cardorder_list(console: Console, name: str | None, page: int, as_json: bool) -> None:
    """工作清单 How long each worklist is, or one of them."""
    now_ms = console.clock.utc_ms()
    with console.reading() as session:
        if name is None:
            counts = lists.counts(session, now_ms)
            show(
                {"lists": counts},
                "\n".join(f"{k}: {v}" for k, v in counts.items()),
                as_json=as_json,
            )
            return
        found = lists.read(session, name, now_ms, page)
    document = [
        {
            "order": line.order_no, "state": line.state, "kind": line.kind,
            "partner": line.partner, "branch": line.branch_code, "due": _day(line.due_ms),
            "late": line.late,
        }
        for line in found
    ]  # fmt: skip
    text = "\n".join(
        f"{line.order_no} {_name(STATE_NAMES, line.state)} {_day(line.due_ms) or '–'}"
        f"{' 超期 late' if line.late else ''}"
        for line in found
    )
    show({"list": name, "orders": document}, text or "没有 none", as_json=as_json)


@cardorder.command("show", epilog=example("yika-server cardorder show 000000000019"))
@click.argument("order_no")
@json_option
@click.pass_obj
def cardorder_show(console: Console, order_no: str, as_json: bool) -> None:
    """一张单 One order: state, due dates and every step with its cause."""
    with console.reading() as session:
        found = order_history(session, _order(session, order_no))
        document = _document(found)
    steps = "\n".join(
        f"{step['at']} {_name(EVENT_NAMES, step['event'])} → {_name(STATE_NAMES, step['to'])}"
        f" · {step['source']} · {step['cause']} · {step['actor']}"
        for step in document["steps"]
    )
    head = f"{order_no} {_name(STATE_NAMES, document['state'])} · {document['reason']}"
    show(document, f"{head}\n{steps}", as_json=as_json)


@cardorder.command("explain", epilog=example("yika-server cardorder explain 000000000019"))
@click.argument("order_no")
@json_option
@click.pass_obj
def cardorder_explain(console: Console, order_no: str, as_json: bool) -> None:
    """说明 What an order waits for, by when, and what may happen next on whose word."""
    with console.reading() as session:
        order = _order(session, order_no)
        ways: list[dict[str, Any]] = [
            {"event": row.event, "to": row.to, "sources": list(row.sources)}
            for row in rows()
            if row.state == order.state and row.kind in ("", order.kind)
        ]
        due = {
            "made": _day(order.due_make_ms), "told": _day(order.due_notice_ms),
            "collected": _day(order.due_branch_ms),
            "valid_to": order.valid_to and order.valid_to.isoformat(),
        }  # fmt: skip
        document: dict[str, Any] = {
            "order": order_no, "state": order.state, "due": due, "next": ways,
            "price_fen": order.price_fen, "reject_code": order.reject_code,
        }  # fmt: skip
    text = "\n".join(
        f"{_name(EVENT_NAMES, way['event'])} → {_name(STATE_NAMES, way['to'])}"
        f" · {', '.join(way['sources'])}"
        for way in ways
    )
    head = f"{order_no} {_name(STATE_NAMES, document['state'])}"
    dues = " · ".join(f"{name} {day}" for name, day in due.items() if day)
    show(document, "\n".join(filter(None, (head, dues, text))), as_json=as_json)


@cardorder.command(
    "order",
    epilog=example(
        "yika-server cardorder order 0000000014 --kind own --by li",
        "yika-server cardorder order --ready --limit 1000 --by li",
        "yika-server cardorder order 0000000014 --reason LOST --id-checked --kind own --by li",
    ),
)
@click.argument("number", required=False)
@click.option("--ready", is_flag=True, help="everybody approved whose card was not ordered yet")
@click.option("--limit", type=click.IntRange(1, 100_000), default=LIST_MAX, show_default=True)
@click.option("--kind", type=click.Choice(KINDS), default="bank", show_default=True)
@click.option("--reason", type=click.Choice(REASONS), default="FIRST", show_default=True)
@click.option("--carrier", type=click.Choice(CARRIERS))
@click.option("--branch", help="code of the branch")
@click.option("--id-checked", is_flag=True, help="a valid document was seen")
@by_option
@json_option
@click.pass_obj
def cardorder_order(console: Console, /, actor: str, as_json: bool, **chosen: Any) -> None:
    """申请制卡 Order a card for somebody, or for everybody who is ready."""
    if bool(chosen["number"]) == chosen["ready"]:
        raise click.UsageError("give a volunteer's number, or --ready")
    now_ms = console.clock.utc_ms()
    with console.writing() as session:
        require_staff(session, actor)
        if chosen["ready"]:
            done = first_orders.order_ready(session, chosen["limit"], actor, now_ms)
            made: list[str] = list(done.ordered)
            refused = dict(done.refused)
        else:
            person = find_volunteer(session, chosen["number"]).id
            wanted = NewOrder(
                person, chosen["kind"], chosen["reason"], chosen["carrier"], chosen["branch"],
                id_checked=chosen["id_checked"], cause_ref=f"console:{actor}",
            )  # fmt: skip
            made = [services.order(session, wanted, actor, now_ms).order_no]
            refused = {}
    text = f"{len(made)} 张 ordered\n" if chosen["ready"] else f"{made[0]}\n"
    text += "\n".join(f"{number}: {code}" for number, code in refused.items())
    show({"ordered": made, "refused": refused}, text.strip(), as_json=as_json)


@cardorder.command(
    "step",
    epilog=example("yika-server cardorder step 000000000019 suspended --ref 投诉12号 --by li"),
)
@click.argument("order_no")
@click.argument("event", type=click.Choice(TOLD))
@click.option("--ref", required=True, help="what it is known from; the same again is done once")
@click.option("--asn", help="serial of the card, with produced")
@by_option
@json_option
@click.pass_obj
def cardorder_step(
    console: Console, /, order_no: str, event: str, actor: str, as_json: bool, **known: str
) -> None:
    """登记一步 Tell of an order what happened, on the word of staff."""
    now_ms = console.clock.utc_ms()
    with console.writing() as session:
        require_staff(session, actor)
        told = CardEvent(
            order_no,
            event,
            now_ms,
            f"console:{known['ref']}",
            BY_STAFF,
            actor,
            None,
            Detail(asn=known["asn"]),
        )
        found = services.apply(session, told, now_ms)
    if not found.ok:
        raise Refused(found.code, found.zh, found.en)
    document = {"order": order_no, "code": found.code, "state": found.state}
    show(document, f"{found.zh} {found.en}: {_name(STATE_NAMES, found.state)}", as_json=as_json)


@cardorder.command(
    "leave", epilog=example("yika-server cardorder leave 0000000014 --reason 本人申请 --by li")
)
@click.argument("number")
@click.option("--reason", required=True, help="stands on the record")
@by_option
@click.pass_obj
def cardorder_leave(console: Console, number: str, reason: str, actor: str) -> None:
    """注销义工 End a membership: cards and functions; history, finance and transit stay."""
    now_ms = console.clock.utc_ms()
    with console.writing() as session:
        require_staff(session, actor)
        person = find_volunteer(session, number).id
        services.deregister(session, person, reason, actor, now_ms)
    click.echo(f"{number}: 已注销 left")


@cardorder.command("check", epilog=example("yika-server cardorder check --json"))
@json_option
@click.pass_obj
def cardorder_check(console: Console, as_json: bool) -> None:
    """检查 Look for what must not be: broken chains, two ends, cards the rules refuse; exit 1."""
    with console.reading() as session:
        found = [str(one) for one in checking.violations(session)]
    show({"violations": found}, "\n".join(found) or "没有 none", as_json=as_json)
    if found:
        raise SystemExit(1)


@cardorder.command("index", epilog=example("yika-server cardorder index --limit 100000"))
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=LIST_MAX, show_default=True)
@click.pass_obj
def cardorder_index(console: Console, limit: int) -> None:
    """姓名索引 Add people to the search index, as the running server does bit by bit."""
    with console.runtime() as opened, opened.database.writing() as session:
        gone = search.forget_erased(session)
        added = search.index_new(session, opened.store, opened.clock.utc_ms(), limit)
    click.echo(f"{added} 人已索引 indexed, {gone} 项已删除 removed")


@click.group()
def branch() -> None:
    """网点 Branches of banks where cards are fetched."""


@branch.command("load", epilog=example("yika-server branch load branches.csv --by li"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@by_option
@click.pass_obj
def branch_load(console: Console, file: Path, actor: str) -> None:
    """装入网点 Load lines partner,code,name,from[,until] (days as YYYY-MM-DD)."""
    listed = _branches(file)
    with console.writing() as session:
        require_staff(session, actor)
        new = branches.load(session, listed, actor, console.clock.utc_ms())
    click.echo(f"{len(listed)} 个网点 branches, {new} 新 new")


@branch.command("list", epilog=example("yika-server branch list --partner BOC --json"))
@click.option("--partner", help="of one bank only")
@json_option
@click.pass_obj
def branch_list(console: Console, partner: str | None, as_json: bool) -> None:
    """列出网点 List the branches that are open today."""
    day = dates.local_day(console.clock.utc_ms())
    with console.reading() as session:
        found = [
            {"partner": b.partner, "code": b.code, "name": b.name, "from": b.from_day.isoformat(),
             "until": b.until_day and b.until_day.isoformat()}
            for b in branches.on(session, partner, day)
        ]  # fmt: skip
    text = "\n".join(f"{b['partner']} {b['code']} {b['name']}" for b in found)
    show({"branches": found}, text or "没有 none", as_json=as_json)


@click.group("calendar")
def calendar_() -> None:
    """工作日历 The calendar of working days."""


@calendar_.command(
    "load",
    epilog=example("yika-server calendar load 2027.csv --year 2027 --source 国办发明电… --by li"),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--year", type=click.IntRange(2000, 2100), required=True)
@click.option("--source", required=True, help="the announcement")
@click.option("--provisional", is_flag=True, help="not announced yet")
@by_option
@click.pass_obj
def calendar_load(
    console: Console, file: Path, *, year: int, source: str, provisional: bool, actor: str
) -> None:
    """装入一年 Load lines day,work|free,name of the days that differ from their weekday."""
    new = work_calendar.parse(file.read_text("utf-8"), year, source, provisional=provisional)
    with console.writing() as session:
        require_staff(session, actor)
        work_calendar.load(session, new, actor, console.clock.utc_ms())
    click.echo(f"{year}: {len(new.days)} 天 days")


@calendar_.command(
    "show",
    epilog=example("yika-server calendar show 2027", "yika-server calendar show --from 2026-11-23"),
)
@click.argument("year", type=int, required=False)
@click.option("--from", "since", type=click.DateTime(["%Y-%m-%d"]), help="due dates of this day")
@json_option
@click.pass_obj
def calendar_show(
    console: Console, year: int | None, since: dt.datetime | None, as_json: bool
) -> None:
    """显示 A year's free and worked days, or the due dates of something exported on a day."""
    with console.reading() as session:
        known = work_calendar.read(session)
    if since is not None:
        _show_due(known, since.date(), as_json)
        return
    chosen = year or dates.local_day(console.clock.utc_ms()).year
    days = {d.isoformat(): w for d, w in sorted(known.exceptions.items()) if d.year == chosen}
    state = "unknown" if chosen not in known.years else "announced"
    state = "provisional" if chosen in known.provisional else state
    words = {True: "上班 work", False: "放假 free"}
    text = "\n".join(f"{day} {words[working]}" for day, working in days.items())
    show(
        {"year": chosen, "state": state, "days": days},
        f"{chosen}: {state}\n{text}",
        as_json=as_json,
    )


def _show_due(known: dates.WorkCalendar, day: dt.date, as_json: bool) -> None:
    due = dates.due_after_export(known, dates.start_of(day))
    found = {
        "made": _day(due.make_ms), "told": _day(due.notice_ms),
        "kept_until": dates.months_after(day, dates.BRANCH_MONTHS).isoformat(),
        "firm": known.is_firm(dates.last_day(due.notice_ms)),
    }  # fmt: skip
    show(found, "\n".join(f"{name}: {value}" for name, value in found.items()), as_json=as_json)


def _order(session: Session, order_no: str) -> CardOrder:
    found = session.scalar(sa.select(CardOrder).where(CardOrder.order_no == order_no))
    if found is None:
        raise Refused("unknown-order", "没有这个制卡单", f"there is no order {order_no}")
    return found


def _document(found: OrderHistory) -> dict[str, Any]:
    order = found.order
    return {
        "order": order.order_no, "state": order.state, "kind": order.kind,
        "carrier": order.carrier, "partner": order.partner, "branch": order.branch_code,
        "reason": order.reason, "price_fen": order.price_fen, "file": order.batch_ref,
        "vest": found.vest.state if found.vest else None,
        "due": [
            {
                "kind": due.kind, "name": _name(DUE_NAMES, due.kind),
                "raised": _instant(due.raised_ms),
            }
            for due in found.dues
        ],
        "steps": [
            {
                "at": _instant(step.at_ms), "event": step.event, "from": step.from_state,
                "to": step.to_state, "source": step.source, "cause": step.cause_ref,
                "actor": step.actor,
            }
            for step in found.steps
        ],
    }  # fmt: skip


def _branches(file: Path) -> list[Branch]:
    listed = []
    with file.open(encoding="utf-8-sig", newline="") as lines:
        for number, row in enumerate(csv.reader(lines), 1):
            if not row or row[0] in ("", "partner"):
                continue
            try:
                until = dt.date.fromisoformat(row[4]) if len(row) > 4 and row[4] else None
                day = dt.date.fromisoformat(row[3])
                listed.append(Branch(row[0].strip(), row[1].strip(), row[2].strip(), day, until))
            except (ValueError, IndexError) as error:
                raise Refused(
                    "branch-line", f"第 {number} 行须为 合作方,代码,名称,起[,止]",
                    f"line {number}: expected partner,code,name,from[,until]",
                ) from error  # fmt: skip
    return listed


def _name(names: dict[str, tuple[str, str]], code: str) -> str:
    return " ".join(names[code])


def _day(at_ms: int | None) -> str | None:
    return None if at_ms is None else dates.last_day(at_ms).isoformat()


def _instant(at_ms: int) -> str:
    return from_millis(at_ms).astimezone(dates.ZONE).isoformat(timespec="seconds")


COMMANDS = [cardorder, branch, calendar_]
