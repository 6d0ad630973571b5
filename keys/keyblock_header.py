# SPDX-License-Identifier: Apache-2.0
"""The header of a key block: what a key is for, as text that anybody may read (X9.143, 6.3).

Sixteen characters, then optional blocks of ``id (2) ‖ length (2 hex) ‖ data``; a length of 00 is
followed by the length of the length and the length itself. All optional blocks together fill whole
cipher blocks; ``PB`` pads them and is left out of what is parsed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from keys.errors import KeyBlockDamaged, KeyBlockRefused

HEADER_SIZE = 16
# Two decimal digits count the optional blocks.
OPTIONAL_MAX = 99
# Cipher block of each version in bytes, which is also the unit of the optional blocks' text.
CIPHER_BLOCK = {"B": 8, "D": 16}
PAD_BLOCK = "PB"
# A short block counts itself in two hex digits, id and length included.
_SHORT_MAX = 0xFF
_LONG_HEAD = 10  # id, 00, 02 and four hex digits
_HEX = re.compile(r"[0-9A-F]+")
# Field, offset, and what it may be. Digits are proprietary values in all of them.
_FIELDS: tuple[tuple[str, int, re.Pattern[str]], ...] = (
    ("version", 0, re.compile(r"[BD]")),
    ("usage", 5, re.compile(r"[A-Z][0-9]|[0-9][0-9A-Z]")),
    ("algorithm", 7, re.compile(r"[ADEHRST0-9]")),
    ("mode", 8, re.compile(r"[BCDEGNSTVXY0-9]")),
    ("key_version", 9, re.compile(r"[0-9A-Z]{2}")),
    ("exportability", 11, re.compile(r"[ENS0-9]")),
)


@dataclass(frozen=True, slots=True)
class OptionalBlock:
    """Carry one optional block: its two-character id and its data as text."""

    name: str
    data: str

    def text(self) -> str:
        """Write the block with its length, the long form only when it must be.

        >>> OptionalBlock("KS", "00604B120F9292800000").text()
        'KS1800604B120F9292800000'
        """
        short = 4 + len(self.data)
        if short <= _SHORT_MAX:
            return f"{self.name}{short:02X}{self.data}"
        return f"{self.name}0002{_LONG_HEAD + len(self.data):04X}{self.data}"


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """Say what the key in a block is for and who may move it.

    ``version`` is that of the block (B or D), ``usage`` two characters (numeric ones are
    proprietary), ``algorithm`` T, A or D (4: SM4, proprietary), ``mode`` of use, ``key_version``
    two characters (00: none), ``exportability`` E, N or S.

    >>> str(BlockHeader.parse("B0080P0TE00E0000")[0])
    'version B, usage P0, algorithm T, mode E, key version 00, exportability E'
    """

    version: str
    usage: str
    algorithm: str
    mode: str
    key_version: str = "00"
    exportability: str = "N"
    optional: tuple[OptionalBlock, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what has no place in a header."""
        for field, offset, pattern in _FIELDS:
            value = getattr(self, field)
            if not pattern.fullmatch(value):
                raise KeyBlockDamaged(field, offset, f"{value!r} is not possible here")
        for block in self.optional:
            if not re.fullmatch(r"[0-9A-Z]{2}", block.name) or not block.data.isascii():
                raise KeyBlockDamaged("optional block", HEADER_SIZE, f"{block.name!r} not possible")

    def __str__(self) -> str:
        words = (f"{field.replace('_', ' ')} {getattr(self, field)}" for field, _, _ in _FIELDS)
        return ", ".join(words)

    def text(self, body: int) -> str:
        """Write the header for a block whose ciphertext and MAC take ``body`` characters."""
        blocks = [block.text() for block in self.optional]
        unit = CIPHER_BLOCK[self.version]
        over = sum(map(len, blocks)) % unit
        if over:
            room = unit - over
            room += unit if room < 4 else 0  # the pad's own id and length take four
            blocks.append(OptionalBlock(PAD_BLOCK, "0" * (room - 4)).text())
        total = HEADER_SIZE + sum(map(len, blocks)) + body
        if len(blocks) > OPTIONAL_MAX or total > 9999:
            raise KeyBlockRefused("optional block", "too many of them, or too long")
        fixed = f"{self.usage}{self.algorithm}{self.mode}{self.key_version}{self.exportability}"
        return f"{self.version}{total:04d}{fixed}{len(blocks):02d}00" + "".join(blocks)

    @classmethod
    def parse(cls, block: str) -> tuple[BlockHeader, int]:
        """Read the header at the start of a block; give it and where it ends."""
        if len(block) < HEADER_SIZE:
            raise KeyBlockDamaged("header", len(block), f"ends after {len(block)} characters")
        for field, offset in (("length", 1), ("number of optional blocks", 12), ("reserved", 14)):
            width = 4 if field == "length" else 2
            if not re.fullmatch(r"[0-9]+", block[offset : offset + width], re.ASCII):
                raise KeyBlockDamaged(field, offset, "not decimal digits")
        optional, end = _optional_blocks(block, int(block[12:14]))
        header = cls(
            version=block[0],
            usage=block[5:7],
            algorithm=block[7],
            mode=block[8],
            key_version=block[9:11],
            exportability=block[11],
            optional=optional,
        )
        if (end - HEADER_SIZE) % CIPHER_BLOCK[header.version]:
            raise KeyBlockDamaged("optional block", end, "do not fill whole cipher blocks")
        return header, end


def _optional_blocks(block: str, count: int) -> tuple[tuple[OptionalBlock, ...], int]:
    at, found = HEADER_SIZE, []
    for index in range(count):
        name, start, end = _optional_bounds(block, at)
        if name != PAD_BLOCK:
            found.append(OptionalBlock(name, block[start:end]))
        elif index != count - 1:
            raise KeyBlockDamaged("optional block", at, "padding before the last one")
        at = end
    return tuple(found), at


def _optional_bounds(block: str, at: int) -> tuple[str, int, int]:
    """Give the name of the optional block at an offset, and where its data starts and ends."""
    name, length = block[at : at + 2], _hex(block, at + 2, 2)
    start = at + 4
    if length == 0:
        digits = 2 * _hex(block, start, 2)
        if not 0 < digits <= 4:
            raise KeyBlockDamaged("optional block", start, "length of the length")
        length = _hex(block, start + 2, digits)
        start += 2 + digits
    end = at + length
    if end < start or end > len(block):
        raise KeyBlockDamaged("optional block", at, f"{name!r} says it is {length} long")
    return name, start, end


def _hex(block: str, at: int, width: int) -> int:
    digits = block[at : at + width]
    if len(digits) != width or not _HEX.fullmatch(digits):
        raise KeyBlockDamaged("optional block", at, "length not in upper-case hex")
    return int(digits, 16)
