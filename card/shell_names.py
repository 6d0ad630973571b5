# SPDX-License-Identifier: Apache-2.0
"""What people call files, directories and commands in the shell, all from the declarations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from card.apdu import LE_MAX, CommandApdu
from card.declared import COMMANDS
from card.declared_types import Bits, CommandSpec, Parameter
from card.errors import LayoutError
from card.files import MASTER_FILE, VOLUNTEER, Directory, FileSpec

DIRECTORIES: dict[str, Directory] = {"mf": MASTER_FILE, "volunteer": VOLUNTEER}

_HEADER = ("cla", "p1", "p2", "le", "file")
_BINARY = (0xB0, 0xD0, 0xD6)
_RECORD = (0xB2, 0xDC, 0xE2)
_READS = (0xB0, 0xB2)


class UnknownName(LayoutError):
    """A name that no declaration knows; `reason` holds it."""


def slug(name: str) -> str:
    """Return a name as one types it.

    >>> slug("CREATE FILE, master file")
    'create-file-master-file'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def file_names(directory: Directory | None) -> dict[str, FileSpec]:
    """Return the files of a directory by identifier and by label."""
    files = () if directory is None else directory.files
    return {
        **{f"{spec.fid:04X}": spec for spec in files},
        **{slug(spec.label.en): spec for spec in files},
    }


def find_file(name: str, directory: Directory | None) -> FileSpec:
    """Return the file of a name in a directory.

    Raises:
        UnknownName: There is none.
    """
    found = file_names(directory).get(name.upper()) or file_names(directory).get(name.lower())
    if found is None:
        raise UnknownName("file", name)
    return found


def command_names() -> dict[str, CommandSpec]:
    """Return every declared command by the name one types."""
    return {slug(spec.name): spec for spec in COMMANDS}


def argument_names(spec: CommandSpec) -> list[str]:
    """Return what may stand before `=` for a command."""
    return [*(part.name for part in spec.data), *_HEADER]


def build(
    spec: CommandSpec, arguments: Mapping[str, str], directory: Directory | None
) -> CommandApdu:
    """Put a command together from `name=value`: parts in hex, `p1 p2 cla` in hex, `le` decimal.

    `file=` fills in a short file identifier where the command takes one.

    Raises:
        UnknownName: No such argument or file.
        LayoutError: A part is missing or has another size.
        ValueError: Not a number or not hex.
    """
    unknown = set(arguments) - set(argument_names(spec))
    if unknown:
        raise UnknownName("argument", ", ".join(sorted(unknown)))
    cla = _hex_byte(arguments, "cla", min(spec.cla))
    p1 = _hex_byte(arguments, "p1", _default(spec.p1))
    p2 = _hex_byte(arguments, "p2", _default(spec.p2))
    if "file" in arguments:
        sfi = find_file(arguments["file"], directory).sfi
        if spec.ins in _BINARY:
            p1 |= 0x80 | sfi
        elif spec.ins in _RECORD:
            p2 |= sfi << 3
    parts = {name: bytes.fromhex(value) for name, value in arguments.items() if name not in _HEADER}
    le = int(arguments["le"]) if "le" in arguments else _length(spec)
    return spec.build(bytes((cla, spec.ins, p1, p2)), parts, le)


def _length(spec: CommandSpec) -> int | None:
    """Return the Le to send: all of a file or record, else that of the declared vector."""
    reads = spec.ins in _READS
    return LE_MAX if reads else spec.vectors[0].le


def _hex_byte(arguments: Mapping[str, str], name: str, default: int) -> int:
    value = int(arguments[name], 16) if name in arguments else default
    if not 0 <= value <= 0xFF:
        raise ValueError(f"{name} is one byte")
    return value


def _default(parameter: Parameter) -> int:
    if parameter is None:
        return 0
    if isinstance(parameter, int):
        return parameter
    if isinstance(parameter, Bits):
        return parameter.value
    return min(parameter)


def starting(names: Iterable[str], begun: str) -> list[str]:
    """Return the names that begin as typed, in order."""
    return sorted(name for name in names if name.lower().startswith(begun.lower()))
