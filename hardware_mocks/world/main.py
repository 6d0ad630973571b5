# SPDX-License-Identifier: Apache-2.0
"""The command behind `script/simulate`."""

from __future__ import annotations

import json
import random
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click

from hardware_mocks.world import mutants
from hardware_mocks.world.history import History
from hardware_mocks.world.search import Figures, Finding, play, quiet, search, shortest

SEEDS = 1 << 40
CHUNK = 50  # histories between two lines of progress
FINDINGS_MAX = 20  # of one run; what breaks oftener is broken


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--histories", type=click.IntRange(1), default=500, show_default=True, help="How many."
)
@click.option("--seed", type=int, default=None, help="First seed; random by default.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option(
    "--replay", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Play a file."
)
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Save findings here."
)
@click.option("--mutants", "planted", is_flag=True, help="Look for the planted bugs NAME… (all).")
@click.argument("names", nargs=-1)
def main(**options: Any) -> None:
    """在模拟世界里寻找违反不变量的历史 / Search a simulated world for broken invariants.

    Example: script/simulate --histories 1000 --seed 7
    """
    quiet()
    if options["planted"]:
        sys.exit(mutants.hunt(options["names"], _first(options["seed"]), options["as_json"]))
    if options["names"]:
        raise click.UsageError("names of planted bugs need --mutants")
    if options["replay"]:
        sys.exit(_replay(options["replay"]))
    sys.exit(_search(options))


def _first(seed: int | None) -> int:
    return random.SystemRandom().randrange(SEEDS) if seed is None else seed


def _replay(path: Path) -> int:
    found = play(History.load(path))
    click.echo("no invariant broken" if found is None else f"{found.rule}: {found.fact}")
    return 0 if found is None else 1


def _search(options: dict[str, Any]) -> int:
    first, count, jobs = _first(options["seed"]), options["histories"], options["jobs"]
    click.echo(f"first seed {first}, {count} histories, {jobs} jobs", err=True)
    figures, findings = Figures(), []
    started = time.monotonic()
    for part, found in _parts(first, count, jobs):
        figures.histories += part.histories
        figures.counted += part.counted
        for finding in found:
            _tell(finding, options["keep"])
            findings.append(finding)
        _progress(figures, count, started)
        if len(findings) >= FINDINGS_MAX:
            break
    seconds = time.monotonic() - started
    told = _told(figures, findings, first, seconds)
    click.echo(json.dumps(told) if options["as_json"] else _line(told))
    return 1 if findings else 0


def _parts(first: int, count: int, jobs: int) -> Any:
    starts = range(first, first + count, CHUNK)
    spans = [(start, min(start + CHUNK, first + count)) for start in starts]
    if jobs == 1:
        yield from map(_one_part, spans)
        return
    with get_context("spawn").Pool(jobs, initializer=quiet) as pool:
        yield from pool.imap_unordered(_one_part, spans)


def _one_part(span: tuple[int, int]) -> tuple[Figures, list[Finding]]:
    figures = Figures()
    found = list(search(range(*span), figures))
    return figures, found


def _tell(finding: Finding, folder: Path | None) -> None:
    """Show a finding at its shortest, and keep its file."""
    short = shortest(finding)
    click.echo(
        f"{short.rule}: {short.fact}\nseed {short.seed}, {len(short.history.steps)} steps:\n"
        f"{short.history.to_json()}",
        err=True,
    )
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{short.rule}-{short.seed}.json").write_text(short.history.to_json())


def _progress(figures: Figures, count: int, started: float) -> None:
    rate = figures.histories / max(time.monotonic() - started, 1e-9)
    click.echo(f"{figures.histories}/{count} histories, {rate:.1f}/s", err=True)


def _told(figures: Figures, findings: list[Finding], first: int, seconds: float) -> dict[str, Any]:
    counted = {name: figures.counted[name] for name in ("steps", "taps", "beeps", "crashes")}
    return {
        "first_seed": first,
        "histories": figures.histories,
        **counted,
        "seconds": round(seconds, 1),
        "histories_per_s": round(figures.histories / max(seconds, 1e-9), 1),
        "violations": len(findings),
        "found": [{"rule": one.rule, "seed": one.seed, "fact": one.fact} for one in findings],
    }


def _line(told: dict[str, Any]) -> str:
    return (
        f"{told['histories']} histories, {told['steps']} steps, {told['taps']} taps, "
        f"{told['crashes']} crashes, {told['histories_per_s']} histories/s, "
        f"{told['violations']} violations (first seed {told['first_seed']})"
    )
