# SPDX-License-Identifier: Apache-2.0
"""Commands about the ledger."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from server.console import Console, example, json_option, show
from server.db import from_millis
from server.people.services import find_volunteer
from server.reconciliation.cli import by_option, reason_option, said_by
from server.reconciliation.corrections import Said
from server.timebank import opening, orders, statements
from server.timebank.checking import check
from server.timebank.orders import Order

MS_PER_DAY = 86_400_000
uid_option = click.option("--uid", required=True, help="number of the order; again = no change")


@click.group()
def ledger() -> None:
    """时长账 The minutes ledger."""


@ledger.command(
    "check", epilog=example("yika-server ledger check", "yika-server ledger check --json")
)
@json_option
@click.pass_obj
def ledger_check(console: Console, as_json: bool) -> None:
    """核对全账 Recompute the whole ledger; exit 1 and name the faults if it is not sound."""
    with console.reading() as session:
        found = check(session)
    lines = [
        (
            f"时长账 ledger: {'平 sound' if found.sound else '不平 not sound'}; "
            f"{found.transfers} transfers, {found.accounts} accounts, sum {found.ledger_sum}, "
            f"{found.credited_minutes} credited minutes"
        ),
        *found.faults,
    ]
    show(asdict(found) | {"sound": found.sound}, "\n".join(lines), as_json=as_json)
    if not found.sound:
        sys.exit(1)


@ledger.command("trial", epilog=example("yika-server ledger trial --json"))
@json_option
@click.pass_obj
def ledger_trial(console: Console, as_json: bool) -> None:
    """试算平衡 Sum all accounts by kind and region."""
    with console.reading() as session:
        rows = statements.trial_balance(session)
    total = sum(row.minutes for row in rows)
    lines = [
        f"{row.kind:10} {row.region or '–':12} {row.accounts:8} {row.minutes:14}" for row in rows
    ]
    document = {"rows": [asdict(row) for row in rows], "sum": total}
    show(document, "\n".join([*lines, f"合计 sum {total}"]), as_json=as_json)


@ledger.command("statement", epilog=example("yika-server ledger statement 0000000019 --json"))
@click.argument("number")
@json_option
@click.pass_obj
def ledger_statement(console: Console, number: str, as_json: bool) -> None:
    """对账单 Show a volunteer's account, the newest line first."""
    with console.reading() as session:
        found = statements.statement(session, find_volunteer(session, number).id)
    lines = [f"{found.available} min = {found.coins} 币 coins, {found.held} 预留 on hold"]
    lines += [
        f"{from_millis(row.at_ms):%Y-%m-%d %H:%M} {row.kind:9} {row.minutes:+7} {row.balance:8}"
        for row in found.rows
    ]
    show(asdict(found), "\n".join(lines), as_json=as_json)


@ledger.command(
    "move",
    epilog=example(
        "yika-server ledger move gift 60 --from 0000000019 --to 0000000027 --uid g-17 --by li"
    ),
)
@click.argument("kind", type=click.Choice(("gift", "award", "redeem")))
@click.argument("minutes", type=int)
@click.option("--from", "giver", default="", help="volunteer number")
@click.option("--to", "taker", default="", help="volunteer number")
@click.option("--region", default="", help="whose treasury awards or takes back")
@uid_option
@by_option
@click.option("--ref", default="", help="what it is for")
@json_option
@click.pass_obj
def ledger_move(console: Console, /, kind: str, minutes: int, as_json: bool, **given: Any) -> None:
    """转账 Give, award or redeem minutes."""
    with console.database() as database:

        def job(session: Any) -> int:
            ends = [
                find_volunteer(session, number).id if number else 0
                for number in (given["giver"], given["taker"])
            ]
            order = Order(
                given["uid"], ends[0], minutes, ends[1], given["region"], given["ref"],
                cap=console.config.timebank.cap,
            )  # fmt: skip
            return orders.transfer(session, kind, order, console.clock.utc_ms(), given["actor"])

        number = orders.settle(database, job)
    show({"transfer": number}, f"转账 transfer {number}", as_json=as_json)


@ledger.command(
    "hold",
    epilog=example("yika-server ledger hold 60 --from 0000000019 --days 7 --uid h-3 --by li"),
)
@click.argument("minutes", type=int)
@click.option("--from", "giver", required=True, help="volunteer number")
@click.option("--days", type=click.IntRange(1, 92), default=7, show_default=True)
@uid_option
@by_option
@json_option
@click.pass_obj
def ledger_hold(console: Console, /, minutes: int, as_json: bool, **given: Any) -> None:
    """预留 Set minutes apart until they are posted, voided, or the days are over."""
    now_ms = console.clock.utc_ms()
    with console.database() as database:

        def job(session: Any) -> int:
            order = Order(given["uid"], find_volunteer(session, given["giver"]).id, minutes)
            until_ms = now_ms + given["days"] * MS_PER_DAY
            return orders.hold(session, order, until_ms, now_ms, given["actor"])

        number = orders.settle(database, job)
    show({"transfer": number}, f"预留 hold {number}", as_json=as_json)


@ledger.command(
    "post",
    epilog=example("yika-server ledger post 91 40 --to 0000000027 --uid p-3 --by li"),
)
@click.argument("held", type=int)
@click.argument("minutes", type=int)
@click.option("--to", "taker", default="", help="volunteer number; without it the treasury")
@click.option("--beyond-cap", default="", metavar="REASON", help="why the taker may exceed the cap")
@uid_option
@by_option
@json_option
@click.pass_obj
def ledger_post(console: Console, /, held: int, minutes: int, as_json: bool, **given: Any) -> None:
    """入账 Give what a hold set apart, or part of it; the rest goes back."""
    now_ms = console.clock.utc_ms()
    with console.database() as database:

        def job(session: Any) -> int:
            taker = find_volunteer(session, given["taker"]).id if given["taker"] else 0
            order = Order(
                given["uid"], 0, minutes, taker,
                cap=console.config.timebank.cap, beyond_cap=given["beyond_cap"].strip(),
            )  # fmt: skip
            return orders.post(session, given["uid"], held, order, now_ms, given["actor"])

        number = orders.settle(database, job)
    show({"transfer": number}, f"入账 post {number}", as_json=as_json)


@ledger.command("void", epilog=example("yika-server ledger void 91 --uid v-3 --by li"))
@click.argument("held", type=int)
@uid_option
@by_option
@json_option
@click.pass_obj
def ledger_void(console: Console, /, held: int, as_json: bool, **given: Any) -> None:
    """取消预留 Give back what a hold set apart."""
    now_ms = console.clock.utc_ms()
    with console.database() as database:
        number = orders.settle(
            database,
            lambda session: orders.release(session, given["uid"], held, now_ms, given["actor"]),
        )
    show({"transfer": number}, f"已取消 void {number}", as_json=as_json)


@ledger.command("reverse", epilog=example("yika-server ledger reverse 88 --uid r-1 --by li"))
@click.argument("transfer", type=int)
@uid_option
@by_option
@json_option
@click.pass_obj
def ledger_reverse(console: Console, /, transfer: int, as_json: bool, **given: Any) -> None:
    """冲正 Take a transfer back, once."""
    now_ms = console.clock.utc_ms()
    with console.database() as database:
        number = orders.settle(
            database,
            lambda session: orders.reverse(session, given["uid"], transfer, now_ms, given["actor"]),
        )
    show({"transfer": number}, f"冲正 reversal {number}", as_json=as_json)


@ledger.command(
    "expire", epilog=example("yika-server ledger expire 0000000019 --before 2021-01-01 --by li")
)
@click.argument("number")
@click.option("--before", type=click.DateTime(("%Y-%m-%d",)), required=True)
@by_option
@json_option
@click.pass_obj
def ledger_expire(
    console: Console, /, number: str, before: datetime, as_json: bool, **given: Any
) -> None:
    """到期 Take what was earned before a day and is unspent, the oldest first."""
    with console.writing() as session:
        person = find_volunteer(session, number).id
        before_ms = int(before.timestamp()) * 1000
        minutes = orders.expire(session, person, before_ms, console.clock.utc_ms(), given["actor"])
    show({"minutes": minutes}, f"到期 expired {minutes} min", as_json=as_json)


@ledger.command(
    "coin-value",
    epilog=example(
        "yika-server ledger coin-value 2430 2130 --from 2026-12-01 --by li --reason 通知"
    ),
)
@click.argument("average_fen", type=int)
@click.argument("minimum_fen", type=int)
@click.option("--from", "day", type=click.DateTime(("%Y-%m-%d",)), required=True)
@by_option
@reason_option
@json_option
@click.pass_obj
def ledger_coin_value(
    console: Console, /, average_fen: int, minimum_fen: int, as_json: bool, **given: Any
) -> None:
    """时间币价值 Set the hourly wages that the value shown for a coin follows from."""
    said = Said(given["actor"], given["reason"], console.clock.utc_ms())
    with console.writing() as session:
        day = given["day"].date()
        statements.set_coin_value(session, day, (average_fen, minimum_fen), said)
        fen = statements.coin_value(session, day)
    show({"fen": fen}, f"{(fen or 0) / 100:.2f} 元 yuan", as_json=as_json)


@click.group("import")
def import_group() -> None:
    """导入 Import what existed before this system."""


@import_group.command(
    "opening-balances",
    epilog=example(
        "yika-server import opening-balances old.csv --source 旧系统 --by li --reason 迁移"
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source", required=True, help="name of the old system")
@click.option("--dry-run", is_flag=True, help="check the whole file, write nothing")
@by_option
@reason_option
@json_option
@click.pass_obj
def opening_balances(
    console: Console, /, file: Path, dry_run: bool, as_json: bool, **given: Any
) -> None:
    """期初余额 Import balances: number,minutes,reference; last line #total,LINES,MINUTES."""
    sheet = opening.read_sheet(file.read_bytes())
    if dry_run or sheet.faults:
        with console.reading() as session:
            opening.check_people(session, sheet)
    else:
        with console.runtime() as runtime, runtime.database.writing() as session:
            opening.import_sheet(session, sheet, given["source"], said_by(runtime, given))
    faults = sheet.faults[: opening.FAULTS_SHOWN]
    document = {
        "lines": len(sheet.lines), "minutes": sheet.minutes, "sha256": sheet.sha256.hex(),
        "faults": faults, "dry_run": dry_run,
    }  # fmt: skip
    done = "检查 checked" if dry_run or faults else "已导入 imported"
    text = f"{done}: {len(sheet.lines)} 行 lines, {sheet.minutes} 分钟 minutes"
    show(document, "\n".join([text, *faults]), as_json=as_json)
    if faults:
        sys.exit(1)


COMMANDS = [ledger, import_group]
