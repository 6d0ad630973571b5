# SPDX-License-Identifier: Apache-2.0
"""A trace as a file of JSON lines: a head, values taken from outside, exchanges.

The file is a cassette as well: `card.cassette.Player` answers from it. It is read strictly: an
unknown version, a field that is missing or of another kind, or a file beyond the limits below is a
`LayoutError` with the number of the line.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from card.apdu import RESPONSE_BYTES_MAX
from card.errors import LayoutError
from card.protocol import PARTS_MAX
from card.trace import EXCHANGES_MAX, Exchange, Spans, Tape
from keys.files import write_private

VERSION = 1
HEAD = "yika_trace"
COMMAND_BYTES_MAX = 4 + 1 + 255 + 1
ANSWER_BYTES_MAX = PARTS_MAX * RESPONSE_BYTES_MAX
FILE_BYTES_MAX = 256 * 1024 * 1024  # the longest trace that `Trace` keeps is about a fifth of it


def dumps(tape: Tape) -> str:
    """Return a tape as text.

    >>> print(dumps(Tape((), b";", "pcsc:X", 5)), end="")
    {"yika_trace": 1, "atr": "3B", "reader": "pcsc:X", "started_us": 5, "revealed": false}
    """
    head = {
        HEAD: VERSION,
        "atr": _hex(tape.atr),
        "reader": tape.reader,
        "started_us": tape.started_us,
        "revealed": tape.revealed,
    }
    rows: list[dict[str, Any]] = [head]
    rows += [{"taken": _hex(value)} for value in tape.taken]
    rows += [_row(item) for item in tape.exchanges]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def save(tape: Tape, path: Path) -> None:
    """Write a tape to a file that only its owner may read."""
    write_private(path, dumps(tape).encode("utf-8"), replace=True)


def load(path: Path) -> Tape:
    """Read a tape from a file.

    Raises:
        LayoutError: It is no trace of this version; names the line.
        OSError: It cannot be read.
    """
    if path.stat().st_size > FILE_BYTES_MAX:
        raise LayoutError(path.name, f"more than {FILE_BYTES_MAX} bytes")
    try:
        return loads(path.read_text(encoding="utf-8"), path.name)
    except UnicodeDecodeError as exc:
        raise LayoutError(path.name, "not UTF-8") from exc


def loads(text: str, name: str = "trace") -> Tape:
    """Read a tape from text.

    Raises:
        LayoutError: It is no trace of this version; names the line.
    """
    exchanges: list[Exchange] = []
    taken: list[bytes] = []
    head: dict[str, Any] | None = None
    lines = text.removesuffix("\n").split("\n") if text else []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            if head is None:
                head = _head(row)
            elif "taken" in row:
                taken.append(_bytes(row["taken"], COMMAND_BYTES_MAX))
            else:
                exchanges.append(_exchange(row))
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            raise LayoutError(name, f"line {number}: {type(exc).__name__}") from exc
        if len(exchanges) > EXCHANGES_MAX or len(taken) > EXCHANGES_MAX:
            raise LayoutError(name, f"more than {EXCHANGES_MAX} exchanges")
    if head is None:
        raise LayoutError(name, "empty")
    return Tape(
        tuple(exchanges),
        head["atr"],
        head["reader"],
        head["started_us"],
        head["revealed"],
        tuple(taken),
    )


def _row(item: Exchange) -> dict[str, Any]:
    row: dict[str, Any] = {
        "t_us": item.t_us,
        "took_us": item.took_us,
        "reader": item.reader,
        "command": _hex(item.command),
        "answer": _hex(item.answer),
        "sw": f"{item.sw:04X}",
    }
    if item.hidden_command:
        row["hidden_command"] = [list(span) for span in item.hidden_command]
    if item.hidden_answer:
        row["hidden_answer"] = [list(span) for span in item.hidden_answer]
    if item.error:
        row["error"] = item.error
    return row


def _head(row: Any) -> dict[str, Any]:
    if row[HEAD] != VERSION:
        raise ValueError("version")
    return {
        "atr": _bytes(row["atr"], RESPONSE_BYTES_MAX),
        "reader": _text(row["reader"]),
        "started_us": _count(row["started_us"]),
        "revealed": row["revealed"] is True,
    }


def _exchange(row: Any) -> Exchange:
    command = _bytes(row["command"], COMMAND_BYTES_MAX)
    answer = _bytes(row["answer"], ANSWER_BYTES_MAX)
    return Exchange(
        _count(row["t_us"]),
        _text(row["reader"]),
        command,
        answer,
        int.from_bytes(_bytes(row["sw"], 2), "big"),
        _count(row["took_us"]),
        _spans(row.get("hidden_command", []), len(command)),
        _spans(row.get("hidden_answer", []), len(answer)),
        _text(row.get("error", "")),
    )


def _hex(data: bytes) -> str:
    return data.hex().upper()


def _bytes(value: Any, most: int) -> bytes:
    data = bytes.fromhex(_text(value))
    if len(data) > most:
        raise ValueError("too long")
    return data


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise TypeError("count")
    return value


def _spans(value: Any, size: int) -> Spans:
    spans = tuple((_count(start), _count(length)) for start, length in value)
    if any(start + length > size for start, length in spans):
        raise ValueError("span")
    return spans
