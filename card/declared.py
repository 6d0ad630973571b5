# SPDX-License-Identifier: Apache-2.0
"""Every command this SDK knows, declared once: header, parts, labels, source, vectors.

The trace decoder, redaction, the shell's completion, docs/spec/card-commands.md and the tests all
read this table. To add a command, add its declaration; a test fails until it has a vector, labels
in both languages and a source.

>>> found = find(bytes.fromhex("805003020B01000000000011223344550F"))
>>> found.name, found.label.zh
('INITIALIZE FOR CAPP PURCHASE', '复合消费初始化')
"""

from __future__ import annotations

from card.apdu import CommandApdu
from card.declared_fmcos import FMCOS
from card.declared_iso import ISO
from card.declared_purse import PSAM, PURSE
from card.declared_types import MAC_PART, Bits, CommandSpec, Form, Part, Vector, join, split
from card.errors import MalformedApdu

__all__ = [
    "COMMANDS",
    "MAC_PART",
    "Bits",
    "CommandSpec",
    "Form",
    "Part",
    "Vector",
    "find",
    "find_command",
    "join",
    "split",
]

COMMANDS: tuple[CommandSpec, ...] = ISO + FMCOS + PURSE + PSAM

_BY_INS: dict[int, tuple[CommandSpec, ...]] = {
    ins: tuple(spec for spec in COMMANDS if spec.ins == ins)
    for ins in {spec.ins for spec in COMMANDS}
}


def find(apdu: bytes) -> CommandSpec | None:
    """Return the declaration of a command's bytes; None if it is none of ours or malformed."""
    try:
        return find_command(CommandApdu.from_bytes(apdu))
    except MalformedApdu:
        return None


def find_command(command: CommandApdu) -> CommandSpec | None:
    """Return the declaration of a command."""
    for spec in _BY_INS.get(command.ins, ()):
        if spec.matches(command):
            return spec
    return None
