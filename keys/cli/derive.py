# SPDX-License-Identifier: Apache-2.0
"""``yika-keys derive-check``: the check value at every level of a derivation."""

from __future__ import annotations

import click
import numpy as np

from keys import purse
from keys.cli.options import (
    example,
    hex_bytes,
    json_option,
    opened,
    show,
    store_option,
    usage_argument,
    version_option,
)
from keys.errors import KcvDiffers
from keys.kcv import kcv as check_value
from keys.usage import KeyUsage

# Root to region to issuer to card: nobody derives deeper.
LEVELS_MAX = 4


@click.command(
    "derive-check",
    epilog=example(
        "yika-keys derive-check --store issuer.keys tac --factor 0000594900000018",
        "yika-keys derive-check --store root.keys tac --factor 4403000000000000"
        " --factor 0000000000000007",
        "yika-keys derive-check --store issuer.keys tac --serial 00005949000000000018"
        " --expect 3F2A11",
    ),
)
@store_option
@usage_argument
@version_option
@click.option("--factor", "factors", multiple=True, help="8 bytes in hex, one a level from the top")
@click.option("--serial", help="card serial, 10 bytes in hex; its last 8 are the last factor")
@click.option("--expect", help="check value that the last level must have")
@json_option
def derive_check(  # noqa: PLR0913 - one parameter an option
    spec: str,
    usage: str,
    version: int,
    factors: tuple[str, ...],
    serial: str | None,
    expect: str | None,
    *,
    as_json: bool,
) -> None:
    """核对分散 Show the check value at each level of a derivation.

    Compare them with what a card, a PSAM or another system says of the same key.
    """
    steps = [hex_bytes(factor, 8, "--factor") for factor in factors]
    if serial:
        steps.append(hex_bytes(serial, 10, "--serial")[-8:])
    if not 0 < len(steps) <= LEVELS_MAX:
        raise click.UsageError(f"give 1 to {LEVELS_MAX} --factor or --serial")
    store = opened(spec)
    master = store.info(KeyUsage(usage), version)
    rows: list[dict[str, object]] = [{"level": 0, "factor": None, "kcv": master.kcv}]
    block = np.frombuffer(steps[0], dtype=np.uint8).reshape(1, -1)
    key = store.bulk(KeyUsage(usage), version).derive(block).tobytes()
    for level, factor in enumerate(steps, 1):
        if level > 1:
            key = purse.diversify(key, factor, algorithm=master.algorithm)
        value = check_value(key, master.algorithm)
        rows.append({"level": level, "factor": factor.hex().upper(), "kcv": value})
    store.close()
    if expect and str(rows[-1]["kcv"]) != expect.upper():
        raise KcvDiffers(f"{usage} v{version} level {len(steps)}", expect.upper(), value)
    facts: dict[str, object] = {
        "usage": usage, "version": version, "algorithm": master.algorithm.value, "levels": rows,
    }  # fmt: skip
    names = (
        f"{found['level']}  {found['factor'] or '-' * 16}  KCV {found['kcv']}" for found in rows
    )
    title = f"{usage} v{version} ({master.algorithm.value})"
    show(facts, [title, *names, *(["一致 as expected"] if expect else [])], as_json=as_json)


COMMANDS = (derive_check,)
