# SPDX-License-Identifier: Apache-2.0
"""``yika-keys export-block`` and ``import-block``: keys leave and enter inside key blocks."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import click

from keys.cli.options import (
    example,
    hex_bytes,
    json_option,
    opened,
    show,
    show_keys,
    store_option,
    under_option,
    usage_argument,
    version_option,
)
from keys.errors import KeyStoreExists, WrongPurpose
from keys.files import write_private
from keys.hierarchy import usage_of_block
from keys.keyblock import BLOCK_SIZE_MAX, BlockHeader
from keys.usage import KeyUsage


@click.command(
    "export-block",
    epilog=example(
        "yika-keys export-block --store issuer.keys purchase-psam --under 1",
        "yika-keys export-block --store root.keys tac --factor 4403000000000000 --out r.block",
    ),
)
@store_option
@usage_argument
@version_option
@under_option
@click.option("--factor", help="8 bytes in hex: export the key of one region or issuer instead")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="new file to write")
@json_option
def export_block(  # noqa: PLR0913 - one parameter an option
    spec: str,
    usage: str,
    version: int,
    under: int,
    factor: str | None,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """导出密钥块 Wrap a key (TR-31 / X9.143) under a key block protection key of the store.

    Keys that the hierarchy keeps in their store do not leave; with --factor only the key one
    storey down does.
    """
    factor8 = hex_bytes(factor, 8, "--factor") if factor else None
    if out is not None and out.exists():  # before the key is used, and the use is logged
        raise KeyStoreExists(str(out))
    store = opened(spec)
    block = store.export_block(KeyUsage(usage), version, under, factor8)
    store.close()
    header, _ = BlockHeader.parse(block)
    if out:
        write_private(out, block.encode("ascii") + b"\n", replace=False)
    facts: dict[str, object] = {
        "usage": usage, "version": version, "under": under, "header": str(header), "block": block,
    }  # fmt: skip
    show(facts, [f"{out}: {header}" if out else block], as_json=as_json)


@click.command(
    "import-block",
    epilog=example(
        "yika-keys import-block --store issuer.keys region.block --expect tac",
        "ssh office cat region.block | yika-keys import-block --store issuer.keys -",
    ),
)
@store_option
@click.argument("block", type=click.File("r", encoding="ascii", errors="replace"))
@under_option
@click.option("--expect", type=click.Choice([usage.value for usage in KeyUsage]), help="its usage")
@json_option
def import_block(
    spec: str, block: TextIO, under: int, expect: str | None, *, as_json: bool
) -> None:
    """导入密钥块 Store the key of a block as what its header says it is, and nothing else."""
    text = block.read(BLOCK_SIZE_MAX + 2).strip()
    if expect:
        header, _ = BlockHeader.parse(text)
        found = usage_of_block(header.usage)
        if found is not KeyUsage(expect):
            raise WrongPurpose(found.value if found else header.usage, f"be imported as {expect}")
    store = opened(spec)
    show_keys([store.import_block(text, under)], as_json=as_json)
    store.close()


COMMANDS = (export_block, import_block)
