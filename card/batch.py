# SPDX-License-Identifier: Apache-2.0
"""Issuing a box of cards: which are done, which are spoilt, what is left, across restarts.

The results are one file of JSON lines beside the list, appended and forced to disk card by card.
A restart reads it and goes on with the first card that is not done. The list's content is bound to
its results: another list under the same name is refused.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from card.attempts import AttemptGuard
from card.batch_rows import BatchRow, read_batch
from card.card_keys import CardKeys, KeyDeriver
from card.errors import CardError, LayoutError
from card.issue_journal import IssueJournal
from card.operation import Connection, run
from card.personalise import Issue, personalise
from card.profile import STANDARD, Profile
from card.status_words import Text

RESULTS_SUFFIX = ".results.jsonl"
JOURNAL_SUFFIX = ".journal"
DONE, FAILED, SPOILT = "done", "failed", "spoilt"


class OtherBatch(CardError):
    """The results beside the list belong to another list of the same name."""

    meaning = Text("结果文件属于另一份名单", "the results are those of another list")
    advice = Text("请换文件名，或移走旧结果", "use another name, or move the old results away")


@dataclass(frozen=True, slots=True)
class Stock:
    """The count at the end: cards wanted, issued, spoilt; and blanks taken from the box."""

    wanted: int
    done: int
    spoilt: int
    failed: int

    @property
    def left(self) -> int:
        """Return the cards that are still to be issued."""
        return self.wanted - self.done

    @property
    def blanks_used(self) -> int:
        """Return the blanks that left the box: issued, spoilt, and begun but not finished."""
        return self.done + self.spoilt + self.failed


class Batch:
    """One list and its results.

    Args:
        path: The list, CSV or JSON lines; its results lie beside it.
        now: The clock.

    Raises:
        BatchRefused: The list has faults.
        OtherBatch: The results are another list's.
        LayoutError: The results are damaged.
    """

    def __init__(self, path: Path, now: Callable[[], dt.datetime] | None = None) -> None:
        self.rows = read_batch(path)
        self.path = path
        self._now = now or (lambda: dt.datetime.now(dt.UTC))
        self._results = path.with_name(path.name + RESULTS_SUFFIX)
        self._journals = path.with_name(path.name + JOURNAL_SUFFIX)
        self._entries = _read(self._results)
        mark = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        if not self._entries:
            self._append(what="list", mark=mark, rows=len(self.rows))
        elif self._entries[0].get("mark") != mark:
            raise OtherBatch

    def waiting(self) -> Iterator[BatchRow]:
        """Yield the cards to issue, in the order of the list; look again after each."""
        for row in self.rows:
            if self._last(row).get("what") != DONE:
                yield row

    def stock(self) -> Stock:
        """Return the count as of now."""
        last = [self._last(row).get("what") for row in self.rows]
        spoilt = sum(1 for entry in self._entries if entry["what"] == SPOILT)
        return Stock(len(self.rows), last.count(DONE), spoilt, last.count(FAILED))

    def issue(
        self,
        row: BatchRow,
        store: KeyDeriver,
        connection: Connection,
        guard: AttemptGuard,
        profile: Profile = STANDARD,
        chip: str = "",
    ) -> Issue:
        """Issue one card and keep how it ended.

        Raises:
            CardError: The card was not issued; the result says why.
        """
        data = row.data
        try:
            journal = IssueJournal(self._journals, data.asn, chip, self._now)
            keys = CardKeys.from_store(store, data.asn, data.key_version)
            operation = personalise(data, keys, profile, guard, journal)
            issue = run(operation, connection)
        except CardError as exc:
            self._append(what=FAILED, line=row.line, asn=_hex(row), error=exc.code, text=str(exc))
            raise
        self._append(
            what=DONE, line=row.line, asn=_hex(row), writes=issue.writes, found=issue.found.value
        )
        return issue

    def spoilt(self, row: BatchRow, reason: str, who: str = "") -> None:
        """Note that the card in hand is thrown away; a new blank takes its place."""
        IssueJournal(self._journals, row.data.asn, now=self._now).spoilt(reason, who)
        self._append(what=SPOILT, line=row.line, asn=_hex(row), reason=reason, who=who)

    def _last(self, row: BatchRow) -> dict[str, Any]:
        asn = _hex(row)
        found = (entry for entry in reversed(self._entries) if entry.get("asn") == asn)
        return next(found, {})

    def _append(self, **entry: Any) -> None:
        entry = {"at": self._now().isoformat(timespec="seconds"), **entry}
        with self._results.open("ab") as file:
            file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._entries.append(entry)


def _hex(row: BatchRow) -> str:
    return row.data.asn.hex().upper()


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    blob = path.read_bytes()
    whole = blob[: blob.rfind(b"\n") + 1]
    if len(whole) != len(blob):  # a cut while the last line was written
        os.truncate(path, len(whole))
    entries = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            entry = json.loads(line)
            entry["what"]
        except (ValueError, TypeError, KeyError) as exc:
            raise LayoutError(str(path), f"line {number} is not a result") from exc
        entries.append(entry)
    return entries
