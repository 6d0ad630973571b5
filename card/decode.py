# SPDX-License-Identifier: Apache-2.0
"""What an exchange says, in words: command, parts, file contents and status by the declarations.

>>> found = describe(bytes.fromhex("0084000004"), bytes.fromhex("BB83BFF3"))
>>> print(*found.lines(), sep=chr(10))
GET CHALLENGE 取随机数 / get challenge
  < 随机数 / challenge: BB83BFF3
  = 9000 正确执行 / done
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from card.apdu import CommandApdu
from card.codec import Layout
from card.declared import find_command
from card.declared_types import MAC_BYTES, CommandSpec, Part, split
from card.errors import CardError, LayoutError, MalformedApdu
from card.files import Directory, FileKind, FileSpec
from card.layouts import PUBLIC_DATA
from card.status_words import OK, Outcome, StatusWord, Text
from card.status_words import describe as describe_status
from card.trace import Exchange, Tape
from card.trace_place import DIRECTORIES, Whereabouts
from card.volunteer import public_data

_UNKNOWN = Text("未声明的指令", "undeclared command")
_MALFORMED = Text("格式错误的指令", "malformed command")
_DATA = Text("数据", "data")
_NO_FIT = Text("与声明不符", "does not fit its declaration")
_FILE = Text("文件", "file")
_SECURE = 0x04


@dataclass(frozen=True, slots=True)
class Line:
    """One thing an exchange says: label and value."""

    label: Text
    value: str

    def __str__(self) -> str:
        return f"{self.label.zh} / {self.label.en}: {self.value}"


@dataclass(frozen=True, slots=True)
class Described:
    """An exchange in words.

    Attributes:
        name: The command's name in its standard.
        label: Its name for people.
        source: Clause its declaration follows.
        sent: What the command says.
        received: What the answer says.
        status: What the status word means; None if no answer came.
        sw: The status word.
        error: What came instead of an answer, or "".
        file: The file that is read or written, if it is declared.
    """

    name: str
    label: Text
    source: str
    sent: tuple[Line, ...]
    received: tuple[Line, ...]
    status: StatusWord | None
    sw: int
    error: str = ""
    file: FileSpec | None = None

    def lines(self) -> list[str]:
        """Return it as lines of text, Chinese and English."""
        return [
            f"{self.name} {self.label.zh} / {self.label.en}",
            *(f"  > {line}" for line in self.sent),
            *(f"  < {line}" for line in self.received),
            f"  = {self.verdict()}",
        ]

    def verdict(self) -> str:
        """Return the status in words."""
        if self.status is None:
            return f"!! {self.error}"
        return f"{self.sw:04X} {self.status.meaning.zh} / {self.status.meaning.en}"

    @property
    def fine(self) -> bool:
        """Whether the card did what it was asked."""
        return self.status is not None and self.status.outcome in (Outcome.OK, Outcome.MORE)


def describe(
    command: bytes, answer: bytes = b"", sw: int = OK, file: FileSpec | None = None
) -> Described:
    """Say what one exchange means.

    Args:
        command: The command APDU.
        answer: The answer's data.
        sw: Status word.
        file: The file it reads or writes, if that is known.
    """
    return _described(Exchange(0, "", command, answer, sw), file)


def describe_tape(
    tape: Tape, directories: tuple[Directory, ...] = DIRECTORIES
) -> Iterator[tuple[Exchange, Described]]:
    """Yield each exchange with what it means, following where the conversation stands.

    Args:
        tape: The trace.
        directories: Declared directories; add your own application's.
    """
    place = Whereabouts(directories)
    for item in tape.exchanges:
        try:
            command = CommandApdu.from_bytes(item.command)
        except MalformedApdu:
            yield item, _described(item, None)
            continue
        file = place.file(command) if Whereabouts.touches_content(command) else None
        yield item, _described(item, file)
        place.follow(command, item.sw)


def _described(item: Exchange, file: FileSpec | None) -> Described:
    status = None if item.error else describe_status(item.sw)
    try:
        command = CommandApdu.from_bytes(item.command)
    except MalformedApdu:
        line = Line(_DATA, _hex(item.command, bool(item.hidden_command)))
        return Described("?", _MALFORMED, "", (line,), (), status, item.sw, item.error)
    spec = find_command(command)
    if spec is None:
        sent = _raw(command.data, bool(item.hidden_command))
        received = _raw(item.answer, bool(item.hidden_answer))
        name = f"{command.header.hex().upper()}"
        return Described(name, _UNKNOWN, "", sent, received, status, item.sw, item.error)
    sent = (*_place(spec, command, file), *_sent(spec, command, item, file))
    received = _received(spec, command, item, file)
    return Described(
        spec.name, spec.label, spec.source, sent, received, status, item.sw, item.error, file
    )


def _place(spec: CommandSpec, command: CommandApdu, file: FileSpec | None) -> tuple[Line, ...]:
    lines: list[Line] = []
    if spec.parameters.en and (command.p1 or command.p2):
        lines.append(Line(spec.parameters, f"{command.p1:02X} {command.p2:02X}"))
    if file is not None:
        lines.append(Line(_FILE, f"{file.fid:04X} {file.label.zh} / {file.label.en}"))
    return tuple(lines)


def _sent(
    spec: CommandSpec, command: CommandApdu, item: Exchange, file: FileSpec | None
) -> tuple[Line, ...]:
    parts = spec.data_parts(command.cla)
    if file is not None and Whereabouts.updates(command):
        mac = MAC_BYTES if command.cla & _SECURE else 0
        content = command.data[: len(command.data) - mac]
        inside = _content(file, command, content, bool(item.hidden_command))
        if inside:
            return inside
    return _parts(spec.name, parts, command.data, bool(item.hidden_command))


def _received(
    spec: CommandSpec, command: CommandApdu, item: Exchange, file: FileSpec | None
) -> tuple[Line, ...]:
    if not item.answer:
        return ()
    hidden = bool(item.hidden_answer)
    if file is not None and not Whereabouts.updates(command):
        mac = MAC_BYTES if command.cla & _SECURE else 0
        content = item.answer[: len(item.answer) - mac]
        inside = _content(file, command, content, hidden)
        if inside:
            return inside
    if spec.name == "SELECT by name" and not hidden:
        return (*_fci(item.answer), *_parts(spec.name, spec.answer, item.answer, hidden))
    return _parts(spec.name, spec.answer_parts(command.cla), item.answer, hidden)


def _content(
    file: FileSpec, command: CommandApdu, content: bytes, hidden: bool
) -> tuple[Line, ...]:
    """Return the fields of a file or record that is there as a whole; nothing if it is not."""
    layout: Layout[Any] | None = file.layout
    whole = file.kind is not FileKind.TRANSPARENT or command.p2 == 0
    if hidden or layout is None or not whole:
        return ()
    try:
        record = layout.parse(content)
    except LayoutError:
        return ()
    return record_lines(layout, record)


def record_lines(layout: Layout[Any], record: Any) -> tuple[Line, ...]:
    """Return the fields of a record with their labels."""
    return tuple(
        Line(field.label, shown(getattr(record, field.name)))
        for field in layout.fields
        if field.name is not None
    )


def shown(value: Any) -> str:
    """Return a field's value for people.

    >>> shown(b"ab"), shown(None), shown(dt.date(2026, 11, 21)), shown(5)
    ('6162', '-', '2026-11-21', '5')
    """
    if value is None or value == "":
        return "-"
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, dt.date):
        return value.isoformat()
    if dataclasses.is_dataclass(value):
        return ", ".join(
            f"{field.name}={shown(getattr(value, field.name))}"
            for field in dataclasses.fields(value)
        )
    return str(value)


def _fci(answer: bytes) -> tuple[Line, ...]:
    try:
        return record_lines(PUBLIC_DATA, public_data(answer))
    except CardError:
        return ()  # another application's, or a blank one: the bytes say what can be said


def _parts(title: str, parts: tuple[Part, ...], data: bytes, hidden: bool) -> tuple[Line, ...]:
    if not data:
        return ()
    if hidden and not any(part.secret for part in parts):
        return _raw(data, hidden)
    try:
        cut = dict(split(title, parts, data))
    except LayoutError:
        return (Line(_NO_FIT, _hex(data, hidden)),)
    return tuple(Line(part.label, part.show(cut[part.name])) for part in parts if cut[part.name])


def _raw(data: bytes, hidden: bool) -> tuple[Line, ...]:
    return (Line(_DATA, _hex(data, hidden)),) if data else ()


def _hex(data: bytes, hidden: bool) -> str:
    return f"‹{len(data)} bytes›" if hidden else data.hex().upper()
