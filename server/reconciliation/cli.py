# SPDX-License-Identifier: Apache-2.0
"""Commands about deriving service time, explaining it, and what the rules are set to."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa

from server.console import Console, example, json_option, show
from server.db import from_millis, to_millis
from server.errors import Refused
from server.people.services import find_volunteer
from server.reconciliation import corrections, merits, outages, requests, rules_set, services
from server.reconciliation.alarms import alarms
from server.reconciliation.corrections import Entered, Said, Signer
from server.reconciliation.elsewhere import Elsewhere
from server.reconciliation.elsewhere import derive as derive_elsewhere
from server.reconciliation.explaining import explain, history_of, instant
from server.reconciliation.models import HoursRequest, RuleParameter, ServiceInterval
from server.reconciliation.outages import Outage
from server.reconciliation.rules_set import Place
from server.reconciliation.verifying import verify

by_option = click.option("--by", "actor", required=True, help="who decides")
reason_option = click.option("--reason", required=True, help="why, 4 to 200 characters")
FOLDER = click.Path(file_okay=False, path_type=Path)
INSTANT = click.DateTime(("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M%z"))


def millis(value: datetime) -> int:
    """Return milliseconds of a typed instant; without a zone it is UTC.

    >>> millis(datetime(2026, 5, 1))
    1777593600000
    """
    return to_millis(value if value.tzinfo else value.replace(tzinfo=UTC))


@click.command(
    epilog=example(
        "yika-server reconcile 0000000019 --json",
        "yika-server reconcile --all --verify",
        "yika-server reconcile --all --engine spark --master spark://h:7077 --archive /archive",
    )
)
@click.argument("numbers", nargs=-1)
@click.option("--all", "everybody", is_flag=True, help="everybody (also without any number)")
@click.option("--verify", "verifying", is_flag=True, help="compare with what is stored; exit 1")
@click.option("--dry-run", is_flag=True, help="derive and count, write nothing")
@click.option("--engine", type=click.Choice(["local", "spark"]), default="local", show_default=True)
@click.option("--master", help="the cluster's master, spark://host:7077; with --engine spark")
@click.option("--archive", type=FOLDER, help="the archive that the cluster reads and we bring on")
@click.option("--work", type=FOLDER, help="a folder all workers reach; else in the archive")
@json_option
@click.pass_obj
def reconcile(
    console: Console,
    /,
    numbers: tuple[str, ...],
    as_json: bool,
    **how: Any,
) -> None:
    """重新对账 Derive service time again, of the volunteers named or of everybody.

    What changed is queued for the ledger; a running server posts it within a second. Everybody is
    derived some thousand at a time: stopped, what is done stays; run again, it changes nothing.
    """
    if numbers and (how["everybody"] or how["verifying"]):
        raise click.UsageError("--all and --verify take no numbers")
    if how["verifying"]:
        _verify(console, as_json=as_json)
        return
    elsewhere = _elsewhere(numbers, how)
    dry_run = bool(how["dry_run"])
    if numbers or elsewhere or dry_run:
        summary = _derive(console, numbers, elsewhere, how)
    else:
        summary = _derive_everybody(console)
    text = (
        f"{summary.persons} 人 volunteers, {summary.intervals} 时段 intervals "
        f"({summary.new_intervals} 变动 changed), {summary.exceptions} 异常 exceptions "
        f"({summary.new_exceptions} 变动 changed)" + (" [dry run]" if dry_run else "")
    )
    show(asdict(summary) | {"dry_run": dry_run}, text, as_json=as_json)


def _derive(
    console: Console, numbers: tuple[str, ...], elsewhere: Elsewhere | None, how: dict[str, Any]
) -> services.Summary:
    """Derive in one unit of work; without numbers everybody."""
    dry_run = bool(how["dry_run"])
    unit = console.reading() if dry_run else console.writing()
    with unit as session:
        persons = [find_volunteer(session, number).id for number in numbers] if numbers else None
        now_ms = console.clock.utc_ms()
        if elsewhere is None:
            summary = services.reconcile(session, persons, now_ms)
        else:
            summary = derive_elsewhere(how["engine"], session, elsewhere, now_ms)
        if not dry_run:
            services.queue_for_ledger(session, persons)
    return summary


def _derive_everybody(console: Console) -> services.Summary:
    """Derive everybody, a slab in each unit of work; what is done stays done if it is stopped."""
    now_ms = console.clock.utc_ms()
    total, after = services.NOTHING, 0
    while True:
        with console.writing() as session:
            summary, slab = services.reconcile_slab(session, after, now_ms)
            if not slab:
                return total
            services.queue_for_ledger(session, slab)
        total, after = total.plus(summary), slab[-1]
        if len(slab) == services.SLAB:
            click.echo(f"{total.persons} 人 volunteers …", err=True)


def _elsewhere(numbers: tuple[str, ...], how: dict[str, Any]) -> Elsewhere | None:
    """Return where a cluster is to derive, None for this machine."""
    given = {name: how[name] for name in ("master", "archive") if how[name]}
    if how["engine"] == "local":
        if given or how["work"]:
            raise click.UsageError("--master, --archive and --work go with --engine spark")
        return None
    if numbers or len(given) < 2:
        raise click.UsageError("--engine spark takes --master and --archive, and no numbers")
    return Elsewhere(how["master"], how["archive"], how["work"] or how["archive"] / "work")


def _verify(console: Console, *, as_json: bool) -> None:
    with console.reading() as session:
        found = verify(session, console.clock.utc_ms())
    same = "一致 identical" if found.identical else "不一致 different"
    text = (
        f"{same}: {found.events} 记录 events, {found.persons} 人 volunteers, "
        f"{found.intervals} 时段 intervals, {found.exceptions} 异常 exceptions, "
        f"{found.credited_minutes} 分钟 minutes, engine {found.engine_version}"
    )
    lines = "\n".join((text, *found.differences))
    show(asdict(found) | {"identical": found.identical}, lines, as_json=as_json)
    if not found.identical:
        sys.exit(1)


@click.group()
def hours() -> None:
    """时长 Hours of a volunteer: why they are what they are, and corrections."""


@hours.command("explain", epilog=example("yika-server hours explain 0000000019 --json"))
@click.argument("number")
@click.option("--interval", type=int, help="one interval; without it the latest ten")
@json_option
@click.pass_obj
def hours_explain(console: Console, number: str, interval: int | None, as_json: bool) -> None:
    """解释时长 Explain intervals: events, rules, parameters, decisions, version."""
    with console.reading() as session:
        person = find_volunteer(session, number).id
        wanted = sa.select(ServiceInterval).where(ServiceInterval.person == person)
        wanted = wanted.where(
            ServiceInterval.id == interval if interval else ServiceInterval.current
        )
        rows = session.scalars(wanted.order_by(ServiceInterval.start_ms.desc()).limit(10)).all()
        if interval and not rows:
            raise Refused("unknown-interval", "没有这段时间", f"no interval {interval} of {number}")
        found = [explain(session, row) | {"before": history_of(session, row)} for row in rows]
    show({"intervals": found}, "\n\n".join(_told(item) for item in found), as_json=as_json)


def _told(item: dict[str, Any]) -> str:
    lines = [
        (
            f"#{item['interval']} {item['start']} – {item['end'] or '…'} · "
            f"{item['minutes']} 分钟 min · {item['grade']} · {item['state']} · "
            f"engine {item['engine_version']}"
        )
    ]
    if came := item["attendance"]:
        lines.append(
            f"  迟到 late {came['late_minutes']} 分钟 min · "
            f"早退 early leave {came['early_minutes']} 分钟 min"
        )
    lines += [
        f"  规则 rule {rule['number']}: {rule['zh']} · {rule['en']}" for rule in item["rules"]
    ]
    lines += [
        f"  {event['role']} {event['terminal_name']}/{event['seq']} {event['type']}"
        f" {event['verdict']} {'+'.join(event['proofs'])} {event['claimed']}"
        f" ({event['moved_ms']:+} ms)"
        for event in item["events"]
    ]
    lines += [
        f"  参数 parameter {row['id']}: {row['settings']}" for row in item["parameters"]["own"]
    ]
    if made := item["correction"]:
        lines.append(
            f"  更正 correction {made['id']} {made['leader']} {made['at']}: {made['reason']}"
        )
    return "\n".join(lines)


@hours.command("standing", epilog=example("yika-server hours standing 0000000019 --json"))
@click.argument("number")
@json_option
@click.pass_obj
def hours_standing(console: Console, number: str, as_json: bool) -> None:
    """等级积分 Show level, credit and points, with who gave them and when."""
    with console.reading() as session:
        today = from_millis(console.clock.utc_ms()).date()
        found = merits.standing(session, find_volunteer(session, number).id, today)
    sums = f"信用 credit {found.credit} · 积分 points {found.points}"
    lines = [f"{found.level} 星 stars · {found.minutes} 分钟 min · {sums}"]
    lines += [
        f"  {instant(item.at_ms)} {item.kind} {item.value:+} {item.organisation_zh} "
        f"{item.actor}: {item.reason}"
        for item in found.given
    ]
    show(asdict(found), "\n".join(lines), as_json=as_json)


@hours.command(
    "merit",
    epilog=example(
        "yika-server hours merit 0000000019 --organisation 3 --kind points --value 20 "
        "--by wang --reason 台风值守"
    ),
)
@click.argument("number")
@click.option("--organisation", type=int, required=True)
@click.option("--kind", type=click.Choice(merits.KINDS), required=True)
@click.option("--value", type=int, required=True, help="less than 0 takes back")
@by_option
@reason_option
@json_option
@click.pass_obj
def hours_merit(console: Console, /, number: str, as_json: bool, **given: Any) -> None:
    """信用积分 Give credit or points in the name of an organisation; nothing is edited."""
    said = Said(given["actor"], given["reason"], console.clock.utc_ms())
    with console.writing() as session:
        person = find_volunteer(session, number).id
        made = merits.assign(
            session, person, given["organisation"], given["kind"], given["value"], said
        )
        document = {"merit": made.id, "kind": made.kind, "value": made.value}
    show(document, f"{document['kind']} {document['value']:+}", as_json=as_json)


@hours.command(
    "enter",
    epilog=example(
        "yika-server hours enter 0000000019 --site 1 --from 2026-11-21T09:00+0800 "
        "--until 2026-11-21T12:00+0800 --by wang --reason 签到表12号"
    ),
)
@click.argument("number")
@click.option("--site", type=int, required=True)
@click.option("--activity", type=int)
@click.option("--from", "start", type=INSTANT, required=True)
@click.option("--until", "end", type=INSTANT, required=True)
@by_option
@reason_option
@json_option
@click.pass_obj
def hours_enter(console: Console, /, number: str, as_json: bool, **given: Any) -> None:
    """补录时间 Enter time without a tap, from a paper sheet: grade C, signed."""
    with console.runtime() as runtime, runtime.database.writing() as session:
        entered = Entered(
            find_volunteer(session, number).id, given["site"], millis(given["start"]),
            millis(given["end"]), given["activity"],
        )  # fmt: skip
        made = corrections.enter_time(session, entered, said_by(runtime, given))
        document = {"correction": made.id, "minutes": made.minutes, "grade": made.grade}
    show(document, f"更正 correction {made.id}: {made.minutes} min, C", as_json=as_json)


@hours.command("lower", epilog=example("yika-server hours lower 17 90 --by wang --reason 提前离开"))
@click.argument("interval", type=int)
@click.argument("minutes", type=int)
@by_option
@reason_option
@json_option
@click.pass_obj
def hours_lower(
    console: Console, /, interval: int, minutes: int, as_json: bool, **given: Any
) -> None:
    """减少时长 Lower the minutes of an interval; a correction adds none."""
    with console.runtime() as runtime, runtime.database.writing() as session:
        made = corrections.take_less(session, interval, minutes, said_by(runtime, given))
        document = {"correction": made.id, "minutes": made.minutes}
    show(document, f"更正 correction {made.id}: {made.minutes} min", as_json=as_json)


def said_by(runtime: Any, given: dict[str, Any]) -> Said:
    """Return the word of who gave a command, signed by the server."""
    signer = Signer(runtime.identity, runtime.config.identity.key_id)
    return Said(given["actor"], given["reason"], runtime.clock.utc_ms(), signer)


@click.group()
def rule() -> None:
    """规则参数 What activities, sites and regions have of their own, and what waits too long."""


@rule.command(
    "set",
    epilog=example("yika-server rule set --site 1 share_percent=60 --reason 市级规定 --by wang"),
)
@click.argument("settings", nargs=-1, required=True)
@click.option("--activity", type=int)
@click.option("--site", type=int)
@click.option("--region", default="")
@click.option("--from", "begin", type=INSTANT, help="from when on; without it now")
@by_option
@reason_option
@json_option
@click.pass_obj
def rule_set(console: Console, /, settings: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """设置参数 Set parameters of a place from an instant on; nothing is edited."""
    pairs = [text.partition("=") for text in settings]
    if not all(value.lstrip("-").isdigit() for _name, _sign, value in pairs):
        raise click.UsageError("write NAME=NUMBER, for example share_percent=60")
    now_ms = console.clock.utc_ms()
    from_ms = millis(given["begin"]) if given["begin"] else now_ms
    with console.writing() as session:
        place = Place(given["activity"], given["site"], given["region"])
        values = {name: int(value) for name, _sign, value in pairs}
        said = Said(given["actor"], given["reason"], now_ms)
        made = rules_set.set_parameters(session, place, values, from_ms, said)
        document = {"parameter": made.id, "from": instant(from_ms), "settings": values}
    show(document, f"参数 parameter {document['parameter']}: {values}", as_json=as_json)


@rule.command("list", epilog=example("yika-server rule list --json"))
@json_option
@click.pass_obj
def rule_list(console: Console, as_json: bool) -> None:
    """列出参数 List all parameters that were ever set."""
    with console.reading() as session:
        rows = [
            {
                "id": row.id, "from": instant(row.from_ms), "activity": row.activity,
                "site": row.site, "region": row.region, "settings": row.settings,
                "actor": row.actor, "reason": row.reason,
            }
            for row in session.scalars(sa.select(RuleParameter).order_by(RuleParameter.id))
        ]  # fmt: skip
    text = "\n".join(f"{row['id']} {row['from']} {row['settings']} {row['reason']}" for row in rows)
    show({"parameters": rows}, text or "没有 none", as_json=as_json)


@rule.command("alarms", epilog=example("yika-server rule alarms --json"))
@json_option
@click.pass_obj
def rule_alarms(console: Console, as_json: bool) -> None:
    """告警 List missing records, unsettled entries, lost terminals, many taps by a leader."""
    with console.reading() as session:
        found = [asdict(item) for item in alarms(session, console.clock.utc_ms())]
    text = "\n".join(f"{row['kind']} {row['subject']} {instant(row['since_ms'])}" for row in found)
    show({"alarms": found}, text or "没有 none", as_json=as_json)


@rule.command(
    "terminal-lost",
    epilog=example("yika-server rule terminal-lost 7 --since 2026-11-01 --by wang --reason 火灾"),
)
@click.argument("terminal", type=int)
@click.option("--since", type=INSTANT, required=True, help="when it was last known to work")
@by_option
@reason_option
@click.pass_obj
def rule_terminal_lost(console: Console, /, terminal: int, **given: Any) -> None:
    """终端报失 Declare a terminal lost: revoked, and nobody waits for its records."""
    said = Said(given["actor"], given["reason"], console.clock.utc_ms())
    with console.writing() as session:
        rules_set.declare_lost(session, terminal, millis(given["since"]), said)
    click.echo(f"终端已报失 terminal {terminal} is lost")


@hours.command(
    "settle-outage",
    epilog=example(
        "yika-server hours settle-outage --site 1 --rule 12 --from 2026-11-21T00:00+0800 "
        "--until 2026-11-22T00:00+0800 --by wang --reason 终端停电 --dry-run"
    ),
)
@click.option("--site", type=int, required=True)
@click.option("--rule", "number", type=int, default=12, show_default=True)
@click.option("--from", "start", type=INSTANT, required=True)
@click.option("--until", "end", type=INSTANT, required=True)
@by_option
@reason_option
@click.option("--dry-run", is_flag=True, help="count, write nothing")
@json_option
@click.pass_obj
def hours_settle_outage(
    console: Console, /, number: int, dry_run: bool, as_json: bool, **given: Any
) -> None:
    """批量处理 Approve all entries of one rule in a span at a site, each as proposed."""
    outage = Outage(given["site"], number, millis(given["start"]), millis(given["end"]))
    with console.runtime() as runtime, runtime.database.writing() as session:
        if dry_run:
            count = len(outages.outage_entries(session, outage))
        else:
            count = outages.settle_outage(session, outage, said_by(runtime, given))
    show({"entries": count, "dry_run": dry_run}, f"{count} 条 entries", as_json=as_json)


@hours.command("requests", epilog=example("yika-server hours requests --site 1 --json"))
@click.option("--site", type=int, help="of one site")
@json_option
@click.pass_obj
def hours_requests(console: Console, site: int | None, as_json: bool) -> None:
    """申请列表 List what volunteers ask and nobody has answered yet, the first due first."""
    with console.reading() as session:
        wanted = sa.select(HoursRequest).where(HoursRequest.state == "open")
        wanted = wanted.where(HoursRequest.site == site) if site else wanted
        rows = [
            {
                "id": row.id, "kind": row.kind, "person": row.person, "site": row.site,
                "start": instant(row.start_ms), "end": instant(row.end_ms), "text": row.text,
                "due": instant(row.due_ms),
            }
            for row in session.scalars(wanted.order_by(HoursRequest.due_ms).limit(500))
        ]  # fmt: skip
    text = "\n".join(f"{row['id']} {row['kind']} {row['due']} {row['text']}" for row in rows)
    show({"requests": rows}, text or "没有 none", as_json=as_json)


@hours.command(
    "answer",
    epilog=example("yika-server hours answer 3 --refuse --by wang --reason 当天没有活动"),
)
@click.argument("request", type=int)
@click.option("--from", "start", type=INSTANT, help="accept: from")
@click.option("--until", "end", type=INSTANT, help="accept: until")
@click.option("--refuse", is_flag=True)
@by_option
@reason_option
@json_option
@click.pass_obj
def hours_answer(
    console: Console, /, request: int, refuse: bool, as_json: bool, **given: Any
) -> None:
    """答复申请 Accept a request with a span (grade C), or refuse it."""
    if refuse == bool(given["start"] and given["end"]):
        raise click.UsageError("give --from and --until, or --refuse")
    span = None if refuse else (millis(given["start"]), millis(given["end"]))
    with console.runtime() as runtime, runtime.database.writing() as session:
        state = requests.answer(session, request, span, said_by(runtime, given)).state
    show({"request": request, "state": state}, f"{request}: {state}", as_json=as_json)


COMMANDS = [reconcile, hours, rule]
