# SPDX-License-Identifier: Apache-2.0
"""The desk's journal of one card: what was begun, how far it came, how it ended.

At a desk with its own keys one file of JSON lines for each card, named by its serial, appended and
forced to disk line by line; at a server rows of its database.
The card itself says where to go on (ADR 0032); the journal says what a card cannot: that the card
on the reader is the one that was begun, with the same data and keys, and who decided what. It holds
no key, no name and no document number: data and keys appear as one mark that needs the card's own
key to be recomputed.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from card.attempts import Consent
from card.errors import CardError, LayoutError
from card.issuing_errors import CardSwapped, PlanChanged

BLANK = "blank"
LINES_MAX = 10_000  # a run writes about 50; more is not a journal of one card
_SUFFIX = ".jsonl"

Entry = dict[str, Any]


class CardJournal:
    """The rules of a card's journal; who keeps the lines is the business of `keep`.

    Args:
        entries: What was noted before, oldest first.
        keep: Keeps one more line; it is durable when this returns.
        chip: What the reader says of the chip, so far as it tells one from another; may be empty.
        now: The clock.
    """

    def __init__(
        self,
        entries: list[Entry],
        keep: Callable[[Entry], None],
        chip: str = "",
        now: Callable[[], dt.datetime] | None = None,
    ) -> None:
        self._entries = entries
        self._keep = keep
        self._chip = chip
        self._now = now or (lambda: dt.datetime.now(dt.UTC))

    @property
    def entries(self) -> list[Entry]:
        """Return everything, oldest first."""
        return list(self._entries)

    @property
    def issued(self) -> bool:
        """Whether the latest card of this serial was finished."""
        return any(entry["what"] == "done" for entry in self._current())

    @property
    def replaces(self) -> bool:
        """Whether the card in hand takes the place of one that was thrown away."""
        return any(entry["what"] == "spoilt" for entry in self._entries)

    @property
    def writes(self) -> int:
        """Return the writes to the current card in all runs."""
        return sum(entry["writes"] for entry in self._current() if "writes" in entry)

    def begin(self, mark: str, state: str) -> None:
        """Note that a run begins; the card must be the one of the runs before.

        Args:
            mark: What stands for data and keys.
            state: How far the card says it is.

        Raises:
            CardSwapped: Another chip, or a blank one where something was written before.
            PlanChanged: It was begun with other data or keys.
        """
        before = [entry for entry in self._current() if entry["what"] == "begin"]
        wrote = self.writes > 0
        if before and wrote:
            if before[-1]["chip"] != self._chip and before[-1]["chip"] and self._chip:
                raise CardSwapped(before[-1]["chip"], self._chip)
            if state == BLANK:
                raise CardSwapped(f"{self.writes} writes", BLANK)
            if before[-1]["mark"] != mark:
                raise PlanChanged
        self._append(what="begin", mark=mark, state=state, chip=self._chip)

    def step(self, number: int, label: str, writes: int) -> None:
        """Note that a step of the plan is done; steps that wrote nothing are not kept."""
        if writes:
            self._append(what="step", step=number, label=label, writes=writes)

    def stopped(self, error: CardError) -> None:
        """Note why a run ended early."""
        self._append(what="stopped", error=error.code, text=str(error))

    def done(self, found: str) -> None:
        """Note that the card was read back and is issued."""
        self._append(what="done", found=found)

    def spoilt(self, reason: str, who: str = "") -> None:
        """Note that the card was thrown away: the next one of this serial may be blank again."""
        self._append(what="spoilt", reason=reason, who=who)

    def decided(self, key: str, consent: Consent) -> None:
        """Note that two people let a key be tried in spite of the guard."""
        names, reasons = list(consent.names), list(consent.reasons)
        self._append(what="decided", key=key, names=names, reasons=reasons)

    def _current(self) -> list[Entry]:
        """Return the entries of the card in hand: those after the latest that was spoilt."""
        spoilt = [n for n, entry in enumerate(self._entries) if entry["what"] == "spoilt"]
        return self._entries[spoilt[-1] + 1 :] if spoilt else self._entries

    def _append(self, **entry: Any) -> None:
        entry = {"at": self._now().isoformat(timespec="seconds"), **entry}
        self._keep(entry)
        self._entries.append(entry)


class IssueJournal(CardJournal):
    """The journal of one card in a file of its own.

    Args:
        folder: Where the journals of a desk lie; it is made if it is not there.
        asn: The card's serial.
        chip: What the reader says of the chip, so far as it tells one from another; may be empty.
        now: The clock.

    Raises:
        LayoutError: The file is not a journal.
    """

    def __init__(
        self,
        folder: Path,
        asn: bytes,
        chip: str = "",
        now: Callable[[], dt.datetime] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / (asn.hex().upper() + _SUFFIX)
        entries = _read(self.path) if self.path.exists() else []
        super().__init__(entries, self._write, chip, now)

    def _write(self, entry: Entry) -> None:
        line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            _drop_torn_line(file)
            os.write(file, line)
            os.fdatasync(file)
        finally:
            os.close(file)


def _drop_torn_line(file: int) -> None:
    """Cut off a last line without its end: a cut while it was written."""
    size = os.fstat(file).st_size
    if size == 0 or os.pread(file, 1, size - 1) == b"\n":
        return
    whole = os.pread(file, size, 0).rfind(b"\n") + 1
    os.ftruncate(file, whole)


def _read(path: Path) -> list[Entry]:
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = text[: text.rfind("\n") + 1].splitlines()
    if len(lines) > LINES_MAX:
        raise LayoutError(str(path), f"more than {LINES_MAX} lines")
    entries: list[Entry] = []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            entry["what"], entry["at"]
        except (ValueError, TypeError, KeyError) as exc:
            raise LayoutError(str(path), f"line {number} is not of a journal") from exc
        entries.append(entry)
    return entries
