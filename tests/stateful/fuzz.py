# SPDX-License-Identifier: Apache-2.0
"""The three searches behind `script/fuzz`: as long as asked, from a seed, findings by seed.

`card`: cards that lie, to every operation of the SDK. `terminal`: terminals that do anything, to
every virtual chip. `purse`: commands in any order, virtual card against reference.
"""

from __future__ import annotations

import json
import random
import sys
import time
import traceback
from collections.abc import Callable

import click

from tests.stateful.hostile_card import lie
from tests.stateful.hostile_terminal import attack
from tests.stateful.test_purse import RULES, run_rules

SEEDS = 1 << 32
SECONDS = 600


def _purse(seed: int) -> object:
    return run_rules(RULES, seed)


SEARCHES: dict[str, Callable[[int], object]] = {"card": lie, "terminal": attack, "purse": _purse}


def search(name: str, seconds: float, first_seed: int) -> tuple[int, list[int]]:
    """Try seed after seed until the time is over; return how many, and those that failed."""
    attempt = SEARCHES[name]
    ends = time.monotonic() + seconds
    number, failed = 0, []
    shown: set[str] = set()
    while time.monotonic() < ends:
        seed = (first_seed + number) % SEEDS
        try:
            attempt(seed)
        except Exception as exc:  # noqa: BLE001 - the search's main loop: each one is a finding
            failed.append(seed)
            place = "".join(traceback.format_tb(exc.__traceback__)[-2:])
            if place not in shown:
                shown.add(place)
                click.echo(f"{name} seed {seed}\n{traceback.format_exc()}", err=True)
        number += 1
    return number, failed


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", type=click.Choice(list(SEARCHES)))
@click.option("--seconds", type=float, default=SECONDS, show_default=True, help="How long.")
@click.option("--seed", type=int, default=None, help="First seed; random by default.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def main(name: str, seconds: float, seed: int | None, as_json: bool) -> None:
    """在虚拟卡与 SDK 之间搜索错误 / Search for faults between virtual cards and the SDK.

    Example: script/fuzz card --seconds 600
    """
    first = random.SystemRandom().randrange(SEEDS) if seed is None else seed
    click.echo(f"{name}: first seed {first}, {seconds:.0f} s", err=True)
    number, failed = search(name, seconds, first)
    found = {"search": name, "first_seed": first, "tried": number, "failed": failed}
    click.echo(json.dumps(found) if as_json else f"{number} tried, {len(failed)} failed: {failed}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
