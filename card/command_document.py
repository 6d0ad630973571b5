# SPDX-License-Identifier: Apache-2.0
"""docs/spec/card-commands.md, made from the declarations: `python -m card.command_document`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from card.apdu import SECURE_MESSAGING
from card.declared import COMMANDS, Bits, CommandSpec, Part, Vector
from card.declared_fmcos import FMCOS
from card.declared_iso import ISO
from card.declared_purse import PSAM, PURSE
from card.declared_types import Parameter
from card.status_words import STATUS_WORDS, StatusWord

_HEAD = """\
# Card commands · 卡片指令

Made by `python -m card.command_document` from the declarations in `card/declared.py` and
`card/status_words.py`; a test holds it equal. Numbers are hexadecimal unless they are lengths.
Dialect: FMCOS 2.0 with the commands of ISO/IEC 7816-4 it follows. Not tried on metal.

本文由 `python -m card.command_document` 生成，与代码一致由测试保证。

Class bit 04 marks secure messaging: four bytes of MAC end the data, and of a MACed read also the
answer. "counted" = wrong use takes a try of a key or PIN; "writes" = changes the chip's memory.
‹secret› parts are never shown by traces. Vectors marked "computed" are made here; all others were
published or recorded."""

_GROUPS: tuple[tuple[str, tuple[CommandSpec, ...]], ...] = (
    ("ISO/IEC 7816-4 as FMCOS speaks it · 基本指令", ISO),
    ("Files, keys, PINs, blocking · 文件、密钥、口令、锁定", FMCOS),
    ("Purse · 电子钱包", PURSE),
    ("Purchase SAM · PSAM", PSAM),
)


def render() -> str:
    """Return the whole document."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    yield ""
    yield f"{len(COMMANDS)} commands, {len(STATUS_WORDS)} status words."
    for title, specs in _GROUPS:
        yield ""
        yield f"## {title}"
        for spec in specs:
            yield from _command(spec)
    yield from _status_words()


def _command(spec: CommandSpec) -> Iterator[str]:
    yield ""
    yield f"### {spec.name} · {spec.label.zh}"
    yield ""
    classes = " or ".join(f"{cla:02X}" for cla in sorted(spec.cla))
    head = f"`{classes} {spec.ins:02X} {_parameter(spec.p1)} {_parameter(spec.p2)}`"
    yield f"{head} {spec.label.en}.{_remarks(spec)} {spec.source}."
    rows = [*_parts("data · 数据", spec.data), *_parts("answer · 应答", spec.answer)]
    if spec.wrapped is not None:
        rows += _parts("data under 84 · 密文数据", spec.wrapped)
    if rows:
        yield ""
        yield "| where | part | bytes | 含义 | meaning |"
        yield "|---|---|---|---|---|"
        yield from rows
    yield ""
    for vector in spec.vectors:
        yield _vector(vector)


def _parameter(parameter: Parameter) -> str:
    if parameter is None:
        return "xx"
    if isinstance(parameter, Bits):
        return "".join(
            str(parameter.value >> bit & 1) if parameter.mask >> bit & 1 else "x"
            for bit in range(7, -1, -1)
        )
    if isinstance(parameter, int):
        return f"{parameter:02X}"
    return "/".join(f"{value:02X}" for value in sorted(parameter))


def _remarks(spec: CommandSpec) -> str:
    remarks = [spec.parameters.zh, spec.parameters.en] if spec.parameters.en else []
    if spec.counted:
        remarks.append("counted")
    if spec.writes:
        remarks.append("writes")
    if any(cla & SECURE_MESSAGING for cla in spec.cla) and spec.maced_answer:
        remarks.append("MACed answer under 04")
    return "".join(f" {remark}." for remark in remarks)


def _parts(where: str, parts: tuple[Part, ...]) -> list[str]:
    return [
        _row(
            where,
            f"`{part.name}`" + (" ‹secret›" if part.secret else ""),
            "rest" if part.size is None else str(part.size),
            part.label.zh,
            part.label.en,
        )
        for part in parts
    ]


def _vector(vector: Vector) -> str:
    data = f" ‹{len(bytes.fromhex(vector.data)):02X}› {vector.data}" if vector.data else ""
    le = "" if vector.le is None else f" ‹Le {vector.le % 256:02X}›"
    answer = f" → `{vector.answer}`" if vector.answer else ""
    return f"- `{vector.header}{data}{le}`{answer} ({vector.source})"


def _status_words() -> Iterator[str]:
    yield ""
    yield "## Status words · 状态字"
    yield ""
    yield "| SW | category | 含义 | meaning | 处理 | advice | source |"
    yield "|---|---|---|---|---|---|---|"
    for row in STATUS_WORDS:
        yield _row(
            _value(row),
            row.category.value,
            row.meaning.zh,
            row.meaning.en,
            row.advice.zh or "–",
            row.advice.en or "–",
            row.source,
        )


def _value(row: StatusWord) -> str:
    digits = (f"{row.mask:04X}", f"{row.value:04X}")
    return "".join("x" if mask == "0" else digit for mask, digit in zip(*digits, strict=True))


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(render())
