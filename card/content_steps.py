# SPDX-License-Identifier: Apache-2.0
"""Steps of personalisation that write keys, files and their content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from card.apdu import CommandApdu
from card.card_keys import CardKeys
from card.commands import (
    append_record,
    create_file,
    get_balance,
    read_binary,
    read_record,
    update_binary,
)
from card.errors import KeyNotFound, status_error
from card.file_access import (
    PIECE_BYTES,
    SELECT,
    read_commands,
    read_file,
    update_commands,
)
from card.files import Directory, FileKind, FileSpec, KeySpec
from card.operation import Operation, exchange
from card.status_words import OK, Text
from card.step import ADD_KEY, SHOWN_CHALLENGE, Progress, shown, shown_maced, shown_wrapped
from keys.usage import KeyUsage

_NO_FILE = 0x6A82
_NO_RECORD = 0x6A83


@dataclass(frozen=True, slots=True)
class WriteKey:
    """Write one key, encrypted and MACed under the control key in force.

    Keys cannot be read. In a directory whose first key was written in this run the key is added;
    otherwise it is replaced by itself, and added if the card says that it is not there.
    """

    directory: Directory
    spec: KeySpec

    @property
    def label(self) -> Text:
        """What the step is for."""
        name = self.spec.label
        return Text(f"写入{name.zh}", f"write the {name.en}")

    @property
    def writes(self) -> int:
        """Return how many commands change a blank card."""
        return 1

    def show(self, keys: CardKeys) -> Iterator[str]:
        """Yield the commands to a blank card."""
        header = self.spec.header(keys.version)
        yield SHOWN_CHALLENGE
        yield shown_wrapped(ADD_KEY, self.spec.key_id, header, keys[self.spec.usage])

    def run(self, progress: Progress) -> Operation[None]:
        """Add it, or replace it by itself."""
        if self.directory.fid in progress.fresh:
            yield from progress.write_key(self.directory, self.spec, ADD_KEY)
            return
        try:
            yield from progress.write_key(self.directory, self.spec, self.spec.key_type)
        except KeyNotFound:
            yield from progress.write_key(self.directory, self.spec, ADD_KEY)


def look_at(spec: FileSpec) -> CommandApdu:
    """Return the command that tells whether a file is there, and shows a small one's content."""
    if spec.kind is FileKind.PURSE:
        return get_balance()
    if spec.kind is FileKind.TRANSPARENT:
        return read_binary(spec.sfi, 0, min(spec.size, PIECE_BYTES))
    return read_record(spec.sfi, 1)


@dataclass(frozen=True, slots=True)
class MakeFile:
    """Create a file unless it answers."""

    spec: FileSpec

    @property
    def label(self) -> Text:
        """What the step is for."""
        fid, name = self.spec.fid, self.spec.label
        return Text(f"建立文件 {fid:04X} {name.zh}", f"create file {fid:04X}, {name.en}")

    @property
    def writes(self) -> int:
        """Return how many commands change a blank card."""
        return 1

    def show(self, keys: CardKeys) -> Iterator[str]:  # noqa: ARG002 - all steps have one shape
        """Yield the commands to a blank card."""
        yield shown(look_at(self.spec))
        yield shown(create_file(self.spec.fid, self.spec.control()))

    def run(self, progress: Progress) -> Operation[None]:
        """Create it if the card does not find it; any other answer means that it is there."""
        response = yield look_at(self.spec)
        if response.sw == _NO_FILE:
            yield from progress.write(create_file(self.spec.fid, self.spec.control()))


@dataclass(frozen=True, slots=True)
class FillBinary:
    """Write the content of a transparent file, MACed, unless it reads back equal."""

    spec: FileSpec
    content: bytes

    @property
    def label(self) -> Text:
        """What the step is for."""
        fid, name = self.spec.fid, self.spec.label
        return Text(f"写入 {fid:04X} {name.zh}", f"fill {fid:04X}, {name.en}")

    @property
    def writes(self) -> int:
        """Return how many commands change a blank card."""
        sent = update_commands(self.spec, self.content)
        return sum(1 for command in sent if command.ins != SELECT)

    def show(self, keys: CardKeys) -> Iterator[str]:  # noqa: ARG002 - all steps have one shape
        """Yield the commands to a blank card; a person's data are masked like keys."""
        for command in read_commands(self.spec, len(self.content)):
            if self.spec.maced_reads and command.ins != SELECT:
                yield SHOWN_CHALLENGE
                yield shown_maced(command)
            else:
                yield shown(command)
        for command in update_commands(self.spec, self.content):
            if command.ins == SELECT:
                yield shown(command)
                continue
            yield SHOWN_CHALLENGE
            yield shown_maced(command, f"‹{len(command.data)} bytes of {self.spec.fid:04X}›")

    def run(self, progress: Progress) -> Operation[None]:
        """Write it if it differs."""
        key = progress.keys[KeyUsage.MAINTENANCE]
        found = yield from read_file(self.spec, len(self.content), key)
        if found == self.content:
            return
        for command in update_commands(self.spec, self.content):
            if command.ins == SELECT:
                yield from exchange(command)
            else:
                yield from progress.write_maced(command, key)


@dataclass(frozen=True, slots=True)
class FillRecord:
    """Append the first record of a record file unless there is one."""

    spec: FileSpec
    content: bytes

    @property
    def label(self) -> Text:
        """What the step is for."""
        fid, name = self.spec.fid, self.spec.label
        return Text(f"写入 {fid:04X} {name.zh}", f"fill {fid:04X}, {name.en}")

    @property
    def writes(self) -> int:
        """Return how many commands change a blank card."""
        return 1

    def show(self, keys: CardKeys) -> Iterator[str]:  # noqa: ARG002 - all steps have one shape
        """Yield the commands to a blank card."""
        yield shown(look_at(self.spec))
        yield shown(append_record(self.spec.sfi, self.content))

    def run(self, progress: Progress) -> Operation[None]:
        """Append it to an empty file."""
        command = look_at(self.spec)
        response = yield command
        if response.sw == _NO_RECORD:
            yield from progress.write(append_record(self.spec.sfi, self.content))
        elif response.sw != OK:
            raise status_error(response.sw, command.ins)


@dataclass(frozen=True, slots=True)
class PatchByte:
    """Write one byte of a transparent file, MACed: the switch that enables the application."""

    spec: FileSpec
    offset: int
    value: int

    @property
    def label(self) -> Text:
        """What the step is for."""
        return Text("启用应用", "enable the application")

    def _command(self) -> CommandApdu:
        return update_binary(self.spec.sfi, self.offset, bytes([self.value]))

    @property
    def writes(self) -> int:
        """Return how many commands change a blank card."""
        return 1

    def show(self, keys: CardKeys) -> Iterator[str]:  # noqa: ARG002 - all steps have one shape
        """Yield the commands to a blank card."""
        yield SHOWN_CHALLENGE
        yield shown_maced(self._command())

    def run(self, progress: Progress) -> Operation[None]:
        """Write it."""
        yield from progress.write_maced(self._command(), progress.keys[KeyUsage.MAINTENANCE])
