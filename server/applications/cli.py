# SPDX-License-Identifier: Apache-2.0
"""Commands about applications and the import of existing volunteers."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from server.applications import importing, listing, services, settings, undoing
from server.applications.branches import day_of
from server.applications.importing import Plan, Wanted
from server.applications.league import join_league, league_of, leave_league
from server.applications.policy import LIMITS, OPEN_STATES, Agreement, State
from server.applications.settings import By, NewText
from server.applications.trained import trained_people
from server.console import Console, example, json_option, show
from server.people.cli import by_option, volunteer
from server.people.services import find_volunteer
from server.reconciliation.cli import said_by

FAULTS_SHOWN = 50
MONTH_MS = 365 * 86_400_000 // 12
DATE = click.DateTime(("%Y-%m-%d",))


@click.group()
def application() -> None:
    """入会申请 Applications of people who want to be volunteers."""


@application.command("list", epilog=example("yika-server application list --state ready"))
@click.option(
    "--state",
    type=click.Choice([one.value for one in State]),
    multiple=True,
    help="default: the open ones",
)
@click.option("--find", "text", default="", help="a number, or the end of a document's number")
@json_option
@click.pass_obj
def application_list(console: Console, state: tuple[str, ...], text: str, as_json: bool) -> None:
    """列出申请 List applications, the newest first."""
    states = tuple(State(one) for one in state) or OPEN_STATES
    with console.reading() as session:
        items = listing.list_applications(session, listing.Sought(states, text=text))
    lines = [
        f"{one.id:>6}  {one.number}  {one.masked_name}  {one.state}  {one.channel}" for one in items
    ]
    document = {"items": [asdict(one) for one in items]}
    show(document, "\n".join(lines) or "没有 none", as_json=as_json)


@application.command("show", epilog=example("yika-server application show 7"))
@click.argument("number", type=int)
@json_option
@click.pass_obj
def application_show(console: Console, number: int, as_json: bool) -> None:
    """查看申请 Show one application with its conditions; nothing sealed is opened."""
    with console.reading() as session:
        found = listing.full(session, number, console.clock.utc_ms())
    lines = [
        f"{found.item.number} {found.item.masked_name}: {found.item.state}",
        *(f"  {'✓' if one.met else '✗'} {one.zh} · {one.en}" for one in found.conditions),
        *(f"  ! {one.zh} · {one.en}" for one in found.warnings),
    ]
    show(asdict(found), "\n".join(lines), as_json=as_json)


@application.command("approve", epilog=example("yika-server application approve 7 --by wang"))
@click.argument("number", type=int)
@by_option
@click.option("--reason", default="", help="kept with the decision")
@json_option
@click.pass_obj
def application_approve(
    console: Console, number: int, actor: str, reason: str, as_json: bool
) -> None:
    """批准 Make an applicant a volunteer; prints the official number."""
    with console.runtime() as runtime, runtime.database.writing() as session:
        now_ms = console.clock.utc_ms()
        official = services.approve(session, runtime.store, number, actor, now_ms, reason)
    show({"number": official}, official, as_json=as_json)


@application.command(
    "reject", epilog=example("yika-server application reject 7 --reason 照片不合格 --by wang")
)
@click.argument("number", type=int)
@by_option
@click.option("--reason", required=True, help="told to the applicant")
@click.pass_obj
def application_reject(console: Console, number: int, actor: str, reason: str) -> None:
    """驳回 Turn an application down."""
    with console.writing() as session:
        services.reject(session, number, actor, console.clock.utc_ms(), reason)


@application.command(
    "trained", epilog=example("yika-server application trained --hours 2 --months 12 --activity 3")
)
@click.option("--hours", type=click.IntRange(1, 1000), default=1, show_default=True)
@click.option("--months", type=click.IntRange(1, 120), default=12, show_default=True)
@click.option("--activity", type=int, help="one course; else all")
@json_option
@click.pass_obj
def application_trained(
    console: Console, hours: int, months: int, activity: int | None, as_json: bool
) -> None:
    """培训名单 List people with so many hours of training in the last months."""
    since_ms = console.clock.utc_ms() - months * MONTH_MS
    with console.reading() as session:
        found = trained_people(session, activity, 60 * hours, since_ms)
    lines = [f"{one.number}  {one.masked_name}  {one.minutes}" for one in found]
    document = {"items": [asdict(one) for one in found]}
    show(document, "\n".join(lines) or "没有 none", as_json=as_json)


@application.command("refresh", epilog=example("yika-server application refresh"))
@json_option
@click.pass_obj
def application_refresh(console: Console, as_json: bool) -> None:
    """刷新状态 Move open applications to where their conditions put them."""
    with console.writing() as session:
        moved = services.refresh(session, None, console.clock.utc_ms())
    show({"moved": moved}, f"{moved} 份有变 moved", as_json=as_json)


@application.command(
    "rule",
    epilog=example(
        "yika-server application rule",
        "yika-server application rule pre_service_before_training=1 --reason 市级规定 --by wang",
    ),
)
@click.argument("settings_given", nargs=-1, metavar="[NAME=VALUE]...")
@by_option
@click.option("--reason", default="", help="kept with the figures")
@json_option
@click.pass_obj
def application_rule(
    console: Console, settings_given: tuple[str, ...], actor: str, reason: str, as_json: bool
) -> None:
    """申请规则 Show the rules, or set figures of them from now on."""
    given = dict(_setting(text) for text in settings_given)
    if given:
        with console.writing() as session:
            by = By(actor, console.clock.utc_ms(), reason)
            rules = settings.set_rules(session, given, by)
    else:
        with console.reading() as session:
            rules = settings.current_rules(session)
    known = asdict(rules)
    lines = [
        f"{name} = {value}  ({LIMITS[name][0]}–{LIMITS[name][1]})" for name, value in known.items()
    ]
    show(known, "\n".join(lines), as_json=as_json)


@application.command(
    "agreement",
    epilog=example(
        "yika-server application agreement charter --zh 章程.txt --en charter.txt "
        "--title-zh 义工联合会章程 --title-en Charter --by wang"
    ),
)
@click.argument("kind", type=click.Choice([one.value for one in Agreement]))
@click.option("--zh", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--en", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--title-zh", required=True, help="title in Chinese")
@click.option("--title-en", required=True, help="title in English")
@by_option
@json_option
@click.pass_obj
def application_agreement(
    console: Console, /, kind: str, actor: str, as_json: bool, **given: Any
) -> None:
    """发布条款 Publish a new version of what people accept; everybody is asked again."""
    new = NewText(
        Agreement(kind), given["title_zh"], given["title_en"],
        given["zh"].read_text("utf-8"), given["en"].read_text("utf-8"),
    )  # fmt: skip
    with console.writing() as session:
        made = settings.add_text(session, new, By(actor, console.clock.utc_ms()))
        document = {"kind": kind, "version": made.version}
    show(document, f"{kind} 第 {document['version']} 版 version", as_json=as_json)


@volunteer.command(
    "import",
    epilog=example(
        "yika-server volunteer import old.xlsx --dry-run --json",
        "yika-server volunteer import old.csv --source 旧系统 --reason 迁移 --by li",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source", default="", help="name of the old system")
@click.option("--dry-run", is_flag=True, help="check the whole file, write nothing")
@click.option("--column", multiple=True, metavar="FIELD=TITLE", help="where a title does not tell")
@click.option("--encoding", default="", help="of a CSV file; else UTF-8, then GB18030")
@click.option("--total", nargs=2, type=int, help="lines and minutes, if the file does not say")
@by_option
@click.option("--reason", default="", help="why, kept with it")
@json_option
@click.pass_obj
def volunteer_import(
    console: Console, /, file: Path, dry_run: bool, as_json: bool, **given: Any
) -> None:
    """导入老义工 Take in existing volunteers with their hours from CSV or XLSX."""
    columns = dict(_pair(text) for text in given["column"])
    wanted = Wanted(file.read_bytes(), columns, given["total"] or None, given["encoding"])
    with console.runtime() as runtime, runtime.database.writing() as session:
        made = importing.plan(session, runtime.store, wanted, console.clock.utc_ms())
        number = None
        if not dry_run and not made.faults:
            source = given["source"] or file.name
            said = said_by(runtime, given)
            number = importing.carry_out(session, runtime.store, made, source, said).id
    _report(made, number, as_json=as_json)


@volunteer.command("import-undo", epilog=example("yika-server volunteer import-undo 3 --by li"))
@click.argument("number", type=int)
@by_option
@click.option("--reason", default="", help="why, kept with it")
@click.pass_obj
def volunteer_import_undo(console: Console, number: int, actor: str, reason: str) -> None:
    """撤销导入 Undo an import that nobody has used yet."""
    with console.writing() as session:
        undoing.undo(session, number, By(actor, console.clock.utc_ms(), reason))


@volunteer.command(
    "league",
    epilog=example("yika-server volunteer league 0000000014 --joined 2016-05-04 --by li"),
)
@click.argument("number")
@click.option("--joined", type=DATE, help="the day of joining")
@click.option("--left", type=DATE, help="the day of leaving")
@by_option
@json_option
@click.pass_obj
def volunteer_league(
    console: Console, /, number: str, actor: str, as_json: bool, **given: Any
) -> None:
    """团员 Note that a volunteer joined or left the Youth League; show what they are today."""
    with console.runtime() as runtime, runtime.database.writing() as session:
        now_ms = console.clock.utc_ms()
        by = By(actor, now_ms)
        if given["joined"]:
            join_league(session, number, given["joined"].date(), by)
        if given["left"]:
            leave_league(session, number, given["left"].date(), by)
        person = find_volunteer(session, number)
        today = league_of(session, runtime.store, person.id, day_of(now_ms))
    show({"number": number, "league": today}, f"{number} {today}", as_json=as_json)


def _report(made: Plan, number: int | None, *, as_json: bool) -> None:
    done = f"已导入 imported as {number}" if number else "检查 checked"
    lines = [
        f"{done}: {len(made.lines)}/{made.read} 行 lines, {made.minutes} 分钟 minutes",
        *(
            f"{one.line} [{one.column}] {one.zh} · {one.en}"
            for one in made.faults[:FAULTS_SHOWN]
        ),
    ]  # fmt: skip
    show(made.document() | {"import": number}, "\n".join(lines), as_json=as_json)
    if made.faults:
        sys.exit(1)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise click.BadParameter(f"{text}: write NAME=VALUE")
    return name.strip(), value.strip()


def _setting(text: str) -> tuple[str, int]:
    name, value = _pair(text)
    if not value.isdecimal():
        raise click.BadParameter(f"{text}: the value is a whole number")
    return name, int(value)


COMMANDS = [application]
