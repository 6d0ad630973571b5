# SPDX-License-Identifier: Apache-2.0
"""docs/spec/card-layout.md, made from the declarations: `python -m card.layout_document`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from card.access import AFTER_CONTROL_KEY, RULES, words
from card.codec import Layout
from card.directory_steps import MakeDirectory
from card.files import (
    APPLICATION_VERSION,
    MASTER_FILE,
    VOLUNTEER,
    Directory,
    FileKind,
    FileSpec,
    KeySpec,
)
from card.layouts import FLAG_LABELS, SERVICE_DATA
from card.profile import STANDARD

_HEAD = """\
# Card layout · 卡片文件结构

Made by `python -m card.layout_document` from the declarations in `card/files.py` and
`card/layouts.py`; a test holds it equal. Numbers are hexadecimal unless they are lengths;
multi-byte fields are big-endian. Dialect: FMCOS 2.0 (user manual chapters 4, 5, 7.12, 7.13 and
8.9). Not tried on metal.

本文由 `python -m card.layout_document` 生成，与代码一致由测试保证。

Access rights XY: the directory's security register must lie between Y and X; X < Y is never.
A right key 39/00 sets the register to F, 39/01 to 2; power-up and SELECT of another directory
set it to 0. MAC = the command carries a MAC under key 36/00 over a fresh challenge, and the answer
to a read carries one too. `card.access` says the same to programs. v = first application version
that has the file; bytes = what it takes of the chip's memory.

A serial number is opaque, but it is the same at every reader: whoever holds a reader near a card
can recognise it again. 卡号不含个人信息，但任何读卡器都能认出同一张卡。
"""

_AFTER_FILES = """\
0018 is written by the card itself with each purchase; its reads must carry a MAC. 0019 is changed
by UPDATE CAPP DATA CACHE and committed by DEBIT, which a PSAM's MAC1 guards, so no terminal has
the right to write it directly. 001A is written last by every script of changes: its number says
that the whole script is on the card, and its MACed read proves that the card says so. 001B holds
its head and a JPEG of at most 1 536 bytes, and is written from its end: a cut leaves no photo that
looks whole. 001C takes a record by APPEND RECORD and forgets the oldest."""

_VERSIONS = f"""
Application version {APPLICATION_VERSION}. Cards of version 1 (byte 9 of 0015) have no 001A, 001B
and 001C, and zeros in 0017 where version 2 has `totals_date` and what follows; they are read as
having none of these. Their 0016 and 0017 are read without a MAC, and 0015 to 0017 are written
after the control key only (`VOLUNTEER_1`).

Whoever holds a reader near a card can use up the tries of its keys 39 with wrong proofs; taps go
on, for they use no key that counts errors, but a desk can then neither read nor change the card,
and it is replaced. 他人持读卡器可耗尽 39 类密钥的次数，刷卡不受影响，但需换卡。"""


def render() -> str:
    """Return the whole document."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    yield "## Directories · 目录"
    yield ""
    yield "| FID | name | space | create, erase, add key | EEPROM | CREATE FILE data |"
    yield "|---|---|---|---|---|---|"
    for directory in (MASTER_FILE, VOLUNTEER):
        yield _directory_row(directory)
    yield ""
    yield f"Free for later applications on a 32 KB chip: {STANDARD.free_bytes} bytes."
    yield from _rights()
    for directory in (MASTER_FILE, VOLUNTEER):
        yield from _keys(directory)
    yield from _files(VOLUNTEER)
    for spec in VOLUNTEER.files:
        if spec.layout is not None:
            yield from _layout(spec, spec.layout)


def _rights() -> Iterator[str]:
    yield ""
    yield "## Rights · 权限"
    yield ""
    yield "| byte | right | 权限 | source |"
    yield "|---|---|---|---|"
    for rule in RULES:
        yield _row(f"{rule.right:02X}", rule.label.en, rule.label.zh, rule.source)


def _directory_row(directory: Directory) -> str:
    name = directory.name.hex().upper() or "1PAY.SYS.DDF01"
    data = MakeDirectory(directory).control_data.hex().upper()
    cells = (
        f"{directory.fid:04X}",
        f"`{name}` {directory.label.zh} {directory.label.en}",
        f"{directory.space}" if directory.name else "all",
        words(AFTER_CONTROL_KEY).en,
        f"{directory.eeprom_bytes if directory.name else '–'}",
        f"`{data}`",
    )
    return _row(*cells)


def _keys(directory: Directory) -> Iterator[str]:
    yield ""
    yield f"## Keys in {directory.fid:04X} · {directory.label.zh}的密钥"
    yield ""
    control = _control(directory.key_file)
    yield f"Key file 0000, {directory.key_file.size} bytes: `{control}`."
    yield "All keys are 3DES, 16 bytes: used always, changed at register F, encrypted and MACed."
    yield ""
    yield "| type/id | usage | 用途 | header before the key (key set 1) | register after | tries |"
    yield "|---|---|---|---|---|---|"
    for spec in directory.keys:
        yield _key_row(spec)


def _key_row(spec: KeySpec) -> str:
    return _row(
        f"{spec.key_type:02X}/{spec.key_id:02X}",
        spec.label.en,
        spec.label.zh,
        f"`{spec.header(1).hex().upper()}`",
        "–" if spec.next_state is None else f"{spec.next_state:X}",
        "3" if spec.counted else "–",
    )


def _files(directory: Directory) -> Iterator[str]:
    yield ""
    yield f"## Files in {directory.fid:04X} · {directory.label.zh}的文件"
    yield ""
    yield "| FID | what | 名称 | v | type | size | read | write | bytes | CREATE FILE | source |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for spec in directory.files:
        yield _file_row(spec)
    yield ""
    yield _AFTER_FILES
    yield _VERSIONS


def _file_row(spec: FileSpec) -> str:
    counted = spec.kind in (FileKind.CYCLIC, FileKind.FIXED)
    size = f"{spec.records} × {spec.record_bytes}" if counted else str(spec.size)
    if spec.kind is FileKind.PURSE:
        size = "–"
    return _row(
        f"{spec.fid:04X}",
        spec.label.en,
        spec.label.zh,
        str(spec.since),
        spec.kind.label.en,
        size,
        f"{spec.read:02X} {words(spec.read).en}" + (", MAC" if spec.maced_reads else ""),
        f"{spec.write:02X} {words(spec.write).en}" + (", MAC" if spec.mac else ""),
        str(spec.eeprom_bytes),
        f"`{_control(spec)}`",
        spec.source,
    )


def _control(spec: FileSpec) -> str:
    return spec.control().hex().upper()


def _layout(spec: FileSpec, layout: Layout[object]) -> Iterator[str]:
    yield ""
    yield f"## {spec.fid:04X} {spec.label.zh} · {spec.label.en}, {layout.size} bytes"
    yield ""
    yield "| offset | bytes | field | 含义 | meaning |"
    yield "|---|---|---|---|---|"
    for offset, size, field in layout.offsets():
        name = "–" if field.name is None else f"`{field.name}`"
        yield _row(str(offset), str(size), name, field.label.zh, field.label.en)
    yield ""
    if layout is SERVICE_DATA:
        yield from _flags()
    yield "Examples, which are test vectors:"
    yield ""
    yield "```"
    for coded, _ in layout.vectors:
        yield bytes.fromhex(coded).hex().upper()
    yield "```"


def _flags() -> Iterator[str]:
    yield "| flag | bit | 含义 | meaning |"
    yield "|---|---|---|---|"
    for flag, label in FLAG_LABELS.items():
        yield _row(f"{type(flag).__name__}.{flag.name}", f"{flag:02X}", label.zh, label.en)
    yield ""


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(render())
