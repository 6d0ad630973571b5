# SPDX-License-Identifier: Apache-2.0
"""`yika-card psam issue|info`: the security module of a terminal."""

from __future__ import annotations

import click

from card.cli.options import (
    Place,
    card_at,
    card_options,
    failures,
    guard_of,
    json_option,
    needed_store_option,
    open_store,
    show,
)
from card.operation import run
from card.psam import open_psam
from card.psam_issuing import PsamData, PsamKeys, personalise_psam
from keys.custody import StoreName

_ISSUE_HELP = """\
发 PSAM 卡 · issue the PSAM on the reader, or find that it was issued with the same identity.

The key's algorithm, 3DES or SM4, is that of the store's purchase key of this version. A PSAM that
was begun and cut is finished by running again.

\b
Example:
  yika-card psam issue --serial 00000000000000000901 --number 001122334455 --store keys.yika
"""
_INFO_HELP = """\
PSAM 信息 · show serial and terminal number of the PSAM on the reader.

\b
Example: yika-card psam info --json
"""


class _Hex(click.ParamType[bytes]):
    """Bytes in hex, of one length."""

    name = "hex"

    def __init__(self, size: int) -> None:
        self._size = size

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """Read the bytes."""
        try:
            data = bytes.fromhex(str(value))
        except ValueError:
            data = b""
        if len(data) != self._size:
            self.fail(f"{self._size} bytes in hex", param, ctx)
        return data


@click.group()
def psam() -> None:
    """PSAM 卡 · the security module of a terminal."""


@psam.command(help=_ISSUE_HELP)
@click.option("--serial", type=_Hex(10), required=True, help="Serial, 10 bytes in hex.")
@click.option("--number", type=_Hex(6), required=True, help="Terminal number, 6 bytes in hex.")
@click.option("--key-version", default=1, show_default=True, help="Version of the keys.")
@needed_store_option
@card_options
@json_option
def issue(
    serial: bytes, number: bytes, key_version: int, store: StoreName, place: Place, as_json: bool
) -> None:
    """Issue the PSAM on the reader."""
    opened = open_store(store).for_new_cards()
    with failures():
        data = PsamData(serial, number)
        keys = PsamKeys.from_store(opened, serial, key_version)
        with card_at(place) as connection:
            done = run(personalise_psam(data, keys, guard_of(store)), connection)
    document = {
        "serial": serial.hex().upper(),
        "number": done.number.hex().upper(),
        "algorithm": keys.purchase.algorithm.value,
        "writes": done.writes,
    }
    text = f"已发 PSAM issued {document['number']} ({done.writes} writes, {document['algorithm']})"
    show(document, as_json, [text])


@psam.command(help=_INFO_HELP)
@card_options
@json_option
def info(place: Place, as_json: bool) -> None:
    """Show serial and terminal number."""
    with failures(), card_at(place) as connection:
        serial, number = run(open_psam(), connection)
    document = {"serial": serial.hex().upper(), "number": number.hex().upper()}
    show(document, as_json, [f"{name}: {value}" for name, value in document.items()])
