# SPDX-License-Identifier: Apache-2.0
"""Commands about insurance, donations and campaigns."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import click

from server.benefits import campaigns, claims, donations, insurance
from server.benefits.campaigns import NewCampaign
from server.benefits.claims import Occurrence
from server.benefits.models import Campaign
from server.benefits.policy import KINDS
from server.console import Console, example, json_option, show
from server.errors import Refused
from server.issuing.dates import local_day
from server.people.cli import instant_ms
from server.people.services import require_staff

by_option = click.option("--by", "actor", required=True, help="the staff user who does it")
DAY = click.DateTime(["%Y-%m-%d"])
INVITED_MAX = 100_000


@click.group("insurance")
def insured() -> None:
    """保险 The insurance register and claims."""


@insured.command(
    "export", epilog=example("yika-server insurance export --out 2026-11-23.jsonl --by li")
)
@click.option("--day", type=DAY, help="of this day; else today")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@by_option
@json_option
@click.pass_obj
def insurance_export(
    console: Console, day: dt.datetime | None, out: Path, actor: str, as_json: bool
) -> None:
    """导出变动 Write a day's difference file; asked for again it is the same bytes."""
    now_ms = console.clock.utc_ms()
    with console.writing() as session:
        require_staff(session, actor)
        chosen = day.date() if day else local_day(now_ms)
        made = insurance.daily_file(session, chosen, actor, now_ms)
    draft = out.with_name(out.name + ".partial")
    draft.write_bytes(made.content)
    draft.replace(out)
    document = {
        "file": str(out), "day": made.day.isoformat(), "added": made.added,
        "removed": made.removed, "insured": made.insured, "sha256": made.sha256.hex(),
    }  # fmt: skip
    text = f"{out}: +{made.added} −{made.removed} = {made.insured}"
    show(document, text, as_json=as_json)


@insured.command(
    "claim",
    epilog=example(
        "yika-server insurance claim 0000000014 medical --at 2026-11-21T10:30 --fen 510000 --by li"
    ),
)
@click.argument("number")
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--at", required=True, help="when it happened (ISO 8601)")
@click.option("--fen", type=click.IntRange(0, claims.COST_MAX_FEN), default=0, help="medical cost")
@by_option
@json_option
@click.pass_obj
def insurance_claim(
    console: Console, /, number: str, kind: str, actor: str, as_json: bool, **known: Any
) -> None:
    """查核理赔 Check a claim against the services inside the city, and note what was found."""
    found = Occurrence(number, kind, instant_ms(known["at"]), known["fen"])
    with console.writing() as session:
        require_staff(session, actor)
        verdict = claims.check(session, found, actor, console.clock.utc_ms())
    document = {"code": verdict.code, "pays_fen": verdict.pays_fen, "service": verdict.interval_id}
    text = f"{verdict.zh} {verdict.en}: {verdict.pays_fen / 100:.2f} 元 yuan"
    show(document, text, as_json=as_json)


@click.group()
def donation() -> None:
    """十分关爱 Donations of banks in volunteers' names."""


@donation.command("total", epilog=example("yika-server donation total BOC 2026-11 --json"))
@click.argument("partner")
@click.argument("month")
@json_option
@click.pass_obj
def donation_total(console: Console, partner: str, month: str, as_json: bool) -> None:
    """月度合计 What a bank donated in a month (YYYY-MM)."""
    if donations.MONTH.fullmatch(month) is None:
        raise click.BadParameter(f"{month}: a month is YYYY-MM", param_hint="MONTH")
    with console.reading() as session:
        fen = donations.month_total_fen(session, partner, month)
    document = {"partner": partner, "month": month, "amount_fen": fen}
    show(document, f"{partner} {month}: {fen / 100:.2f} 元 yuan", as_json=as_json)


@click.group()
def campaign() -> None:
    """关爱活动 Campaigns for volunteers who opted into offers."""


@campaign.command(
    "add",
    epilog=example(
        "yika-server campaign add 关爱体检 'Health check' 2026-12-01 2026-12-31 --hours 100 --by li"
    ),
)
@click.argument("name_zh")
@click.argument("name_en")
@click.argument("since", type=DAY)
@click.argument("until", type=DAY)
@click.option("--hours", type=click.IntRange(0, 100_000), default=0, help="served at least")
@by_option
@click.pass_obj
def campaign_add(
    console: Console, /, name_zh: str, name_en: str, hours: int, actor: str, **days: dt.datetime
) -> None:
    """新增活动 Add a campaign and print its number."""
    new = NewCampaign(name_zh, name_en, days["since"].date(), days["until"].date(), 60 * hours)
    with console.writing() as session:
        require_staff(session, actor)
        made = campaigns.add(session, new, actor, console.clock.utc_ms())
        number = made.id
    click.echo(number)


@campaign.command("list", epilog=example("yika-server campaign list 1 --json"))
@click.argument("number", type=int)
@json_option
@click.pass_obj
def campaign_list(console: Console, number: int, as_json: bool) -> None:
    """可邀请名单 Numbers of the volunteers who may be invited."""
    with console.reading() as session:
        found = session.get(Campaign, number)
        if found is None:
            raise Refused("unknown-campaign", "没有这个活动", f"there is no campaign {number}")
        numbers = campaigns.eligible(session, found, "", INVITED_MAX)
    show({"campaign": number, "volunteers": numbers}, "\n".join(numbers), as_json=as_json)


COMMANDS = [insured, donation, campaign]
