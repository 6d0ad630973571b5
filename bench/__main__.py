# SPDX-License-Identifier: Apache-2.0
"""Run benchmarks by name: `python -m bench [NAME…] [--quick]`."""

from __future__ import annotations

import importlib
import json
import sys

import click

from bench.line import machine

NAMES = (
    "tap",
    "journal",
    "card",
    "keys",
    "ingest",
    "reconcile",
    "sizing",
    "hotlist",
    "bank",
    "desk",
)
# What runs only if it is named: hours at full size.
OPT_IN = ("city",)
# What may be asked to take another size than its own.
SIZED = ("reconcile", "city")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(NAMES + OPT_IN))
@click.option("--quick", is_flag=True, help="small data, seconds instead of minutes")
@click.option("--size", type=click.IntRange(min=1), help="events (reconcile), volunteers (city)")
def main(names: tuple[str, ...], quick: bool, size: int | None) -> None:
    """Measure the named benchmarks (all without a name) and print JSON lines.

    Example: script/bench reconcile --quick
    """
    print(json.dumps(machine()), flush=True)
    failed = False
    for name in names or NAMES:
        run = importlib.import_module(f"bench.{name}").run
        for line in run(quick, size) if name in SIZED else run(quick):
            failed |= line.get("ok") is False
            print(json.dumps(line, ensure_ascii=False), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
