# SPDX-License-Identifier: Apache-2.0
"""Run the slow comparisons with other people's libraries on as many cases as asked."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from tests.unit.keys import test_oracles_gm as gm
from tests.unit.keys import test_oracles_openssl as command


def main(cases: int) -> None:
    """Compare and print one line for each oracle; the first difference ends it."""
    for agree in (gm.agree_with_gmssl, gm.agree_with_gmalg):
        _timed(agree.__name__, cases, lambda agree=agree: agree(cases))
    with tempfile.TemporaryDirectory() as folder:
        for check in command.BY_COMMAND:
            name = f"openssl: {check.__name__}"
            _timed(name, cases, lambda check=check: check(cases, Path(folder)))


def _timed(name: str, cases: int, compare: Callable[[], None]) -> None:
    started = time.monotonic()
    compare()
    click.echo(f"{name}: {cases} cases agree, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]))
