# SPDX-License-Identifier: Apache-2.0
"""``yika-keys psam``: software purchase SAMs."""

from __future__ import annotations

from pathlib import Path

import click

from keys.cli.options import (
    PSAM_PASSPHRASE_ENV,
    example,
    hex_bytes,
    json_option,
    new_passphrase,
    opened,
    show,
    store_option,
)


@click.group()
def psam() -> None:
    """制作消费安全模块 Make purchase SAMs."""


@psam.command(
    epilog=example(
        "yika-keys psam create --store issuer.keys --number 880000000001 --out pos1.psam"
    ),
)
@store_option
@click.option("--number", required=True, help="terminal number of the PSAM, 12 hex digits")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="file to write"
)
@json_option
def create(spec: str, number: str, out: Path, *, as_json: bool) -> None:
    """写出软件 PSAM Write a software PSAM under its own passphrase.

    Its passphrase comes from YIKA_PSAM_PASSPHRASE or is asked for.
    """
    number6 = hex_bytes(number, 6, "--number")
    store = opened(spec)
    store.export_software_psam(out, number6, new_passphrase(PSAM_PASSPHRASE_ENV))
    store.close()
    facts: dict[str, object] = {"psam": str(out), "number": number6.hex()}
    show(facts, [f"{out}: PSAM {number6.hex()}"], as_json=as_json)


COMMANDS = (psam,)
