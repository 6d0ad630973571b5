#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Declare a file of your own: one table is codec, decoder and file control information.

    python -m examples.own_file

In `card.files.VOLUNTEER` it would be in the layout document, the shell, dumps and all tests too.
"""

from __future__ import annotations

from dataclasses import dataclass

from construct import Int8ub, Int32ub

from card.access import ALWAYS
from card.codec import Field, Layout, padded_text
from card.commands import create_file, read_binary, update_binary
from card.decode import describe
from card.files import MASTER_FILE, PLAIN_READS_ONLY, FileKind, FileSpec
from card.operation import exchange, run
from card.status_words import Text
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cards.connection import connect


@dataclass(frozen=True, slots=True)
class Loan:
    """What a tool library keeps on its members' cards."""

    tool: int
    days: int
    place: str


LOAN = Layout("0003", Loan, (
    Field("tool", Int32ub, Text("工具编号", "tool")),
    Field("days", Int8ub, Text("天数", "days")),
    Field("place", padded_text(12, "gb18030"), Text("地点", "place")),
), (("00000011 07 D6D0D0C4 0000000000000000", Loan(17, 7, "中心")),))  # fmt: skip
FILE = FileSpec(
    0x0003, FileKind.TRANSPARENT, LOAN.size, ALWAYS, ALWAYS, PLAIN_READS_ONLY,
    Text("借用", "loan"), "own", LOAN,
)  # fmt: skip


def main() -> None:
    """Make the file on a blank card, write it, read it back in words."""
    card = connect(VirtualCard())
    run(exchange(create_file(0x3F00, MASTER_FILE.control()[:6] + b"\xff" * 7)), card)
    run(exchange(create_file(FILE.fid, FILE.control())), card)
    run(exchange(update_binary(FILE.sfi, 0, LOAN.build(Loan(17, 7, "中心")))), card)

    data = run(exchange(read := read_binary(FILE.sfi, 0, FILE.size)), card).data
    print(*describe(read.to_bytes(), data, file=FILE).lines(), sep="\n")
    assert LOAN.parse(data).place == "中心"


if __name__ == "__main__":
    main()
