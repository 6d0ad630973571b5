# SPDX-License-Identifier: Apache-2.0
"""Planted bugs: a patch to a copy of the tree, and how soon the search finds it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[2]
PATCHES = ROOT / "tests" / "mutants"
PACKAGES = ("card", "emv", "hardware_mocks", "keys", "server", "swipe", "terminal")
HISTORIES_MAX = 2_000
SECONDS_MAX = 3_600
# Run in the copy: play histories until one breaks, make it short, tell.
_HUNT = """
import json, sys
from hardware_mocks.world.search import Figures, quiet, search, shortest
quiet()
first, count = int(sys.argv[1]), int(sys.argv[2])
figures = Figures()
found = next(search(range(first, first + count), figures), None)
short = shortest(found) if found else None
print(json.dumps({
    "after": figures.histories,
    "seed": short.seed if short else None,
    "rule": short.rule if short else "",
    "fact": short.fact if short else "",
    "steps": len(short.history.steps) if short else 0,
    "history": short.history.to_json() if short else "",
}))
"""


def names() -> list[str]:
    """Return the names of all planted bugs."""
    return sorted(path.stem for path in PATCHES.glob("*.patch"))


@contextmanager
def planted(name: str) -> Iterator[Path]:
    """Give a copy of the tree with one bug in it while the block runs.

    Raises:
        CalledProcessError: The patch does not apply any more.
    """
    with tempfile.TemporaryDirectory(prefix="yika-mutant-") as folder:
        copy = Path(folder)
        for package in PACKAGES:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / package, copy / package, ignore=ignored)
        patch = str(PATCHES / f"{name}.patch")
        command = ["git", "apply", "--unsafe-paths", f"--directory={copy}", patch]
        subprocess.run(command, cwd=copy, check=True, capture_output=True, env=_outside_git())
        yield copy


def applies(name: str) -> str:
    """Return why a patch does not apply to the tree as it is, or nothing."""
    found = subprocess.run(
        ["git", "apply", "--check", str(PATCHES / f"{name}.patch")],
        cwd=ROOT, capture_output=True, check=False, text=True, env=_outside_git(),
    )  # fmt: skip
    return found.stderr


def find(name: str, seed: int, histories: int = HISTORIES_MAX) -> dict[str, Any]:
    """Search for one planted bug and tell after how many histories it was found."""
    with planted(name) as copy:
        found = subprocess.run(
            [sys.executable, "-c", _HUNT, str(seed), str(histories)],
            cwd=copy, check=True, capture_output=True, timeout=SECONDS_MAX,
            env=os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
    document: dict[str, Any] = json.loads(found.stdout)
    return {"name": name} | document


def hunt(wanted: Sequence[str], seed: int, as_json: bool) -> int:
    """Search for the planted bugs and print the table; return the exit status."""
    unknown = set(wanted) - set(names())
    if unknown:
        raise click.UsageError(f"no planted bug {sorted(unknown)[0]}; there are {names()}")
    missed = 0
    rows = []
    for name in wanted or names():
        found = find(name, seed)
        rows.append({key: value for key, value in found.items() if key != "history"})
        missed += found["seed"] is None
        if not as_json:
            click.echo(_row(found))
    if as_json:
        click.echo(json.dumps({"first_seed": seed, "mutants": rows}))
    return 1 if missed else 0


def _row(found: dict[str, Any]) -> str:
    if found["seed"] is None:
        return f"{found['name']:32} NOT FOUND in {found['after']} histories"
    return (
        f"{found['name']:32} after {found['after']:4} histories, seed {found['seed']}, "
        f"shortest {found['steps']:2} steps, {found['rule']}: {found['fact']}"
    )


def _outside_git() -> dict[str, str]:
    """Return an environment in which git takes a patch for files, whatever repository is near."""
    return {**os.environ, "GIT_CEILING_DIRECTORIES": "/", "GIT_DIR": "/nonexistent"}
