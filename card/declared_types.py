# SPDX-License-Identifier: Apache-2.0
"""What a declared command is: its header, the parts of its data and answer, vectors, source.

The declarations themselves stand in `card.declared`; this module only says what they are made of
and how bytes are cut into parts and put together again.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from card.apdu import SECURE_MESSAGING, CommandApdu
from card.errors import LayoutError
from card.status_words import Text

MAC_BYTES = 4
_NOTHING_TO_SAY = Text("", "")


class Form(enum.Enum):
    """How the bytes of a part are shown to people."""

    BYTES = "bytes"
    NUMBER = "number"
    DATE = "date"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Part:
    """A run of bytes in a command or an answer.

    Attributes:
        name: Its name for programs.
        size: How many bytes; None takes the rest, once in a row of parts.
        label: Its name for people.
        secret: Never shown: a key, a PIN or their encryption.
        form: How it is shown.
    """

    name: str
    size: int | None
    label: Text
    secret: bool = False
    form: Form = Form.BYTES

    def show(self, value: bytes) -> str:
        """Return the bytes for people; a secret shows only its length.

        >>> Part("amount", 4, Text("金额", "amount"), form=Form.NUMBER).show(bytes([0, 0, 1, 0]))
        '256'
        >>> Part("key", 16, Text("密钥", "key"), secret=True).show(bytes(16))
        '‹16 bytes›'
        """
        if self.secret:
            return f"‹{len(value)} bytes›"
        if self.form is Form.NUMBER:
            return str(int.from_bytes(value, "big"))
        digits = value.hex().upper()
        if self.form is Form.DATE and len(value) == 4:
            return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
        if self.form is Form.TIME and len(value) == 3:
            return f"{digits[:2]}:{digits[2:4]}:{digits[4:]}"
        return digits


@dataclass(frozen=True, slots=True)
class Bits:
    """A parameter of which only some bits are fixed.

    >>> Bits(0x80, 0xE0).fits(0x95), Bits(0x80, 0xE0).fits(0x15)
    (True, False)
    """

    value: int
    mask: int

    def fits(self, parameter: int) -> bool:
        """Return whether the fixed bits are these."""
        return parameter & self.mask == self.value


Parameter: TypeAlias = int | frozenset[int] | Bits | None


@dataclass(frozen=True, slots=True)
class Vector:
    """An example of a command that a test checks part by part.

    Attributes:
        header: CLA INS P1 P2 in hex.
        data: The parts of the data field in hex, spaces between them.
        le: Expected length, as `CommandApdu` has it.
        answer: The parts of the answer in hex, spaces between them.
        source: Where it comes from.
    """

    header: str
    data: str = ""
    le: int | None = None
    answer: str = ""
    source: str = ""

    def command(self) -> CommandApdu:
        """Return the command as an object."""
        cla, ins, p1, p2 = bytes.fromhex(self.header)
        return CommandApdu(cla, ins, p1, p2, bytes.fromhex(self.data), self.le)


MAC_PART = Part("mac", MAC_BYTES, Text("安全报文 MAC", "MAC of the secure message"))


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """One command: how it is recognised, what it carries, what comes back.

    Attributes:
        name: Its name in the standard or the manual.
        label: Its name for people.
        cla: Class bytes it comes with; the bit 04 marks secure messaging.
        ins: Instruction byte.
        p1: First parameter: a value, some values, some bits, or None for anything.
        p2: Second parameter.
        data: Parts of the plain data field.
        answer: Parts of the plain answer.
        counted: Wrong use takes a try from a key or PIN, or from the application.
        writes: It changes non-volatile memory.
        source: Clause of the document it follows.
        vectors: Examples; at least one.
        parameters: What P1 and P2 mean, for people.
        first: Allowed first bytes of the data field, where they tell commands apart.
        wrapped: Parts of the data field before the MAC under secure messaging, if not `data`.
        maced_answer: Under secure messaging the answer ends in a MAC.
    """

    name: str
    label: Text
    cla: frozenset[int]
    ins: int
    p1: Parameter
    p2: Parameter
    data: tuple[Part, ...]
    answer: tuple[Part, ...]
    counted: bool
    writes: bool
    source: str
    vectors: tuple[Vector, ...] = field(repr=False)
    parameters: Text = _NOTHING_TO_SAY
    first: frozenset[int] | None = None
    wrapped: tuple[Part, ...] | None = None
    maced_answer: bool = False

    def matches(self, command: CommandApdu) -> bool:
        """Return whether this is the declaration of a command."""
        if command.ins != self.ins or command.cla not in self.cla:
            return False
        if not (_fits(self.p1, command.p1) and _fits(self.p2, command.p2)):
            return False
        return self.first is None or command.data[:1] in {bytes([b]) for b in self.first}

    def data_parts(self, cla: int) -> tuple[Part, ...]:
        """Return the parts of the data field under a class byte."""
        if not cla & SECURE_MESSAGING:
            return self.data
        # A MACed read has nothing but the MAC; wrapped data take the place of plain ones.
        return (*(self.data if self.wrapped is None else self.wrapped), MAC_PART)

    def answer_parts(self, cla: int) -> tuple[Part, ...]:
        """Return the parts of the answer under a class byte."""
        if cla & SECURE_MESSAGING and self.maced_answer:
            return (*self.answer, MAC_PART)
        return self.answer

    def split_data(self, command: CommandApdu) -> dict[str, bytes]:
        """Cut the data field of a command into its parts by name.

        Raises:
            LayoutError: It does not fit; `offset` says where.
        """
        return dict(split(self.name, self.data_parts(command.cla), command.data))

    def split_answer(self, command: CommandApdu, data: bytes) -> dict[str, bytes]:
        """Cut the data of an answer to a command into its parts by name.

        Raises:
            LayoutError: It does not fit; `offset` says where.
        """
        return dict(split(self.name, self.answer_parts(command.cla), data))

    def build(
        self, header: bytes, parts: Mapping[str, bytes], le: int | None = None
    ) -> CommandApdu:
        """Put a command together from a header and the parts of its data field.

        Raises:
            LayoutError: A part is missing or has another size.
        """
        cla, ins, p1, p2 = header
        return CommandApdu(cla, ins, p1, p2, join(self.name, self.data_parts(cla), parts), le)


def _fits(declared: Parameter, found: int) -> bool:
    if declared is None:
        return True
    if isinstance(declared, Bits):
        return declared.fits(found)
    if isinstance(declared, int):
        return declared == found
    return found in declared


def split(title: str, parts: tuple[Part, ...], data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each part.

    Raises:
        LayoutError: Too few or too many bytes; `offset` is where the trouble begins.

    >>> head = Part("head", 1, Text("头", "head"))
    >>> dict(split("x", (head, Part("rest", None, Text("余", "rest"))), b"abc"))
    {'head': b'a', 'rest': b'bc'}
    """
    fixed = sum(part.size for part in parts if part.size is not None)
    spare = len(data) - fixed
    flexible = any(part.size is None for part in parts)
    if spare < 0 or (spare and not flexible):
        raise LayoutError(title, f"{len(data)} bytes where {fixed} are due", min(fixed, len(data)))
    at = 0
    for part in parts:
        size = spare if part.size is None else part.size
        yield part.name, data[at : at + size]
        at += size


def join(title: str, parts: tuple[Part, ...], values: Mapping[str, bytes]) -> bytes:
    """Put parts together.

    Raises:
        LayoutError: A part is missing, unknown or has another size.
    """
    if set(values) != {part.name for part in parts}:
        raise LayoutError(title, "other parts than declared")
    for part in parts:
        if part.size not in (None, len(values[part.name])):
            raise LayoutError(title, f"{part.name}: {part.size} bytes are due")
    return b"".join(values[part.name] for part in parts)
