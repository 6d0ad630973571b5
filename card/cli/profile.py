# SPDX-License-Identifier: Apache-2.0
"""`yika-card profile check` and `yika-card photo`: what fits on a chip."""

from __future__ import annotations

from pathlib import Path

import click

from card.cli.options import Failed, failures, json_option, show
from card.errors import CardError
from card.memory_map import CHIPS, PROFILES, chip_map, memory_map
from card.photo import derive

_CHIPS = {chip.name: chip for chip in CHIPS}
_CHECK_HELP = """\
空间检查 · show the memory map of a chip and refuse one with too little memory.

At least 12 KB stay free for later applications; an 8 KB chip goes only as profile `reduced`.

\b
Examples:
  yika-card profile check
  yika-card profile check --chip fm1208 --profile reduced --json
"""
_PHOTO_HELP = """\
照片 · make the chip's photo (JPEG of at most 1.5 KB) of a registration photo.

The photo has to be an upright portrait of at least 295 × 413 pixels.

\b
Example: yika-card photo registration.jpg chip.jpg
"""


@click.group()
def profile() -> None:
    """芯片空间 · what fits on a chip."""


@profile.command(help=_CHECK_HELP)
@click.option("--chip", type=click.Choice(sorted(_CHIPS)), help="Class of chip.")
@click.option("--profile", "name", type=click.Choice(sorted(PROFILES)), help="Named profile.")
@json_option
def check(chip: str | None, name: str | None, as_json: bool) -> None:
    """Show the memory map of a chip and refuse one with too little memory."""
    chosen = None if name is None else PROFILES[name]
    if chip is None:
        found = memory_map(chosen) if chosen is not None else memory_map()
    else:
        found = chip_map(_CHIPS[chip], chosen)
    show(found.document(), as_json, found.lines())
    with failures():
        found.require()


@click.command(help=_PHOTO_HELP)
@click.argument("source", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def photo(source: Path, target: Path, as_json: bool) -> None:
    """Make the chip's photo of a registration photo."""
    try:
        small = derive(source.read_bytes())
        target.write_bytes(small)
    except CardError as exc:
        raise Failed(str(exc)) from exc
    except OSError as exc:
        raise Failed(f"无法读写 / cannot read or write {exc.filename}: {exc.strerror}") from exc
    show({"bytes": len(small)}, as_json, [f"{target}: {len(small)} bytes"])
