# SPDX-License-Identifier: Apache-2.0
"""Who used which master key, for what, how often: a log of JSON lines, chained by hash.

One line is one call, not one card: ``{"n":7,"time":"2026-11-21T01:00:00Z","who":"issuer",
"key":"tac/1","purpose":"derive","count":500,"prev":"..."}``. ``prev`` is the SHA-256 of the line
before it, so a line that is changed, dropped, put in or moved breaks the chain there. Cutting off
the end breaks nothing: compare the head with one noted elsewhere (a transcript, a receipt).

A use that cannot be logged does not happen: the line is written before the key is used.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from keys.errors import AuditBroken, AuditUnwritable
from keys.files import PRIVATE_MODE

GENESIS = "0" * 64
# Sealing and opening personal data happens name by name while a page is shown; their counts are
# gathered and written with the next line, at the latest after this many uses or at the close.
TALLY_MAX = 256
# A line is some 200 bytes; one that is longer than this was not written here.
LINE_MAX = 4096


def utc_now() -> datetime:
    """Give the time of now in UTC."""
    return datetime.now(UTC)


def this_user() -> str:
    """Name the operating system's user, or its number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


@dataclass(frozen=True, slots=True)
class AuditHead:
    """Say where a log ends: the number of its lines and the hash of the last."""

    lines: int
    digest: str


class AuditLog:
    """Append to one log; several threads and programs may do so at once."""

    def __init__(
        self, path: Path | str, who: str = "", now: Callable[[], datetime] = utc_now
    ) -> None:
        self.path = Path(path)
        self.who = who or this_user()
        self._now = now
        self._mutex = threading.Lock()
        self._tally: dict[tuple[str, str], int] = {}
        self._known = (0, AuditHead(0, GENESIS))

    def __repr__(self) -> str:
        return f"AuditLog({str(self.path)!r})"

    def now_text(self) -> str:
        """Give the time of now as the log writes it, without the zone."""
        return self._now().strftime("%Y-%m-%dT%H:%M:%S")

    def record(self, key: str, purpose: str, count: int = 1) -> None:
        """Write that ``key`` is about to be used ``count`` times; raise ``AuditUnwritable``."""
        with self._mutex:
            gathered, self._tally = self._tally, {}
            uses = [(*names, total) for names, total in gathered.items()]
            self._append([*uses, (key, purpose, count)])

    def tally(self, key: str, purpose: str) -> None:
        """Count one small use; the sum is written with the next line, or after ``TALLY_MAX``."""
        with self._mutex:
            self._tally[key, purpose] = self._tally.get((key, purpose), 0) + 1
            if sum(self._tally.values()) < TALLY_MAX:
                return
        self.flush()

    def flush(self) -> None:
        """Write what was only counted so far."""
        with self._mutex:
            gathered, self._tally = self._tally, {}
            if gathered:
                self._append([(*names, total) for names, total in gathered.items()])

    def verify(self, noted: AuditHead | None = None) -> AuditHead:
        """Follow the chain and give its end.

        With ``noted``, a head written down earlier, the log must still hold that line as it was.

        Raises:
            AuditBroken: with the number of the first line that does not follow.
        """
        self.flush()
        head = AuditHead(0, GENESIS)
        for line in self._lines():
            head = _follow(self.path, head, line)
            if noted and head.lines == noted.lines and head.digest != noted.digest:
                raise AuditBroken(str(self.path), head.lines, "is not the line noted earlier")
        if noted and head.lines < noted.lines:
            raise AuditBroken(str(self.path), head.lines + 1, "is missing: the end was cut off")
        return head

    def entries(self) -> Iterator[dict[str, object]]:
        """Give every line as it was written, in order; verify first."""
        self.flush()
        for line in self._lines():
            yield json.loads(line)

    def _lines(self) -> Iterator[bytes]:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            while line := file.readline(LINE_MAX):
                yield line

    def _append(self, uses: list[tuple[str, str, int]]) -> None:
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE_MODE)
        except OSError as exc:
            raise AuditUnwritable(str(self.path), exc.strerror or "") from exc
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._extend(handle, uses)
        except OSError as exc:
            raise AuditUnwritable(str(self.path), exc.strerror or "") from exc
        finally:
            os.close(handle)

    def _extend(self, handle: int, uses: list[tuple[str, str, int]]) -> None:
        head = self._head(handle)
        block = b""
        for key, purpose, count in uses:
            line = self._line(head, key, purpose, count)
            head = AuditHead(head.lines + 1, hashlib.sha256(line).hexdigest())
            block += line
        start = os.fstat(handle).st_size
        if os.write(handle, block) != len(block):
            os.ftruncate(handle, start)
            raise AuditUnwritable(str(self.path), "the disk is full")
        self._known = (start + len(block), head)

    def _line(self, head: AuditHead, key: str, purpose: str, count: int) -> bytes:
        row = {
            "n": head.lines + 1,
            "time": self.now_text() + "Z",
            "who": self.who,
            "key": key,
            "purpose": purpose,
            "count": count,
            "prev": head.digest,
        }
        return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    def _head(self, handle: int) -> AuditHead:
        """Give the end of the chain; read anew only what others have written since."""
        size, head = self._known
        end = os.fstat(handle).st_size
        if end < size:
            raise AuditBroken(str(self.path), head.lines, "is missing: the end was cut off")
        while size < end:
            chunk = os.pread(handle, LINE_MAX, size)
            line = chunk[: chunk.find(b"\n") + 1]
            if not line:  # a power cut left half a line; the use it announced never came
                os.ftruncate(handle, size)
                break
            head = _follow(self.path, head, line)
            size += len(line)
        return head


def _follow(path: Path, head: AuditHead, line: bytes) -> AuditHead:
    """Check that a line follows its predecessor, and give the new head."""
    number = head.lines + 1
    if not line.endswith(b"\n"):
        raise AuditBroken(str(path), number, "is cut in the middle")
    try:
        row = json.loads(line)
        told = (row["n"], row["prev"])
    except (ValueError, KeyError, TypeError) as exc:
        raise AuditBroken(str(path), number, "is not a line of this log") from exc
    if told != (number, head.digest):
        raise AuditBroken(str(path), number, "does not follow the line before it")
    return AuditHead(number, hashlib.sha256(line).hexdigest())
