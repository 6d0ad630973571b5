# SPDX-License-Identifier: Apache-2.0
"""A guard against locking a card: what cards said about attempts left, and when to stop.

A card does not tell how many attempts a key has left until one has failed. The guard remembers
what it was told, and with which key a card let itself be opened. It refuses the next try when too
few attempts are left, or when the key at hand is another one than the card is known to hold; two
people may decide otherwise, once for each decision. With a path it remembers across programs, so
that starting again does not use up the last attempt.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from card.errors import CardError, GuardRefused, LayoutError
from card.status_words import Text

ATTEMPTS_MIN = 2  # the last attempt belongs to two people with the right key, not to a program
REASON_CHARS_MIN = 5  # "ok" is no reason
KEYS_REMEMBERED = 2  # the key in force and the one being written over it
BUSY_S = 10.0  # another program at the same desk holds the record for milliseconds

_TRIES_LEFT = 0x63C0
_BLOCKED = 0x6983
_OK = 0x9000
_TRIES_FRESH = 3  # what a key is written with; a card never says it
_HEADER_BYTES = 100  # of a database; a shorter file is none, and SQLite would overwrite it
_TABLES = """
CREATE TABLE IF NOT EXISTS key (name TEXT PRIMARY KEY, left INTEGER, known TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS consent (id INTEGER PRIMARY KEY, made TEXT NOT NULL,
    name TEXT NOT NULL, people TEXT NOT NULL);
"""


class KeyDisagrees(CardError):
    """The key at hand is not the one this card is known to hold; it was not tried.

    Attributes:
        key: Name of card and key.
        known: Version and check value the card accepted before.
        at_hand: Version and check value of the key that was to be tried.
    """

    advice = Text("请核对密钥库与卡片后由两人处理", "compare store and card; two people decide")

    def __init__(self, key: str, known: str, at_hand: str) -> None:
        super().__init__(key, known, at_hand)
        self.key, self.known, self.at_hand = key, known, at_hand
        self.meaning = Text(
            f"密钥 {key} 记录为 {known}，手中是 {at_hand}，未尝试",
            f"key {key} is recorded as {known}, at hand is {at_hand}; it was not tried",
        )


class NotTwoPeople(CardError):
    """A decision against the guard lacks two different names or their reasons."""

    meaning = Text("须由两人签名并说明理由", "two different people must give their reasons")
    advice = Text("请补全两人的姓名与理由", "give both names and reasons")


@dataclass(frozen=True, slots=True)
class Consent:
    """Two people's decision to let one key be tried in spite of the guard.

    Attributes:
        names: The two who decide.
        reasons: Why, in the words of each.

    Raises:
        NotTwoPeople: One person, or a reason that is none.

    >>> Consent(("王芳", "王芳 "), ("换过密钥库", "换过密钥库"))
    Traceback (most recent call last):
    ...
    card.attempts.NotTwoPeople: 须由两人签名并说明理由；请补全两人的姓名与理由。\
two different people must give their reasons; give both names and reasons.
    """

    names: tuple[str, str]
    reasons: tuple[str, str]

    def __post_init__(self) -> None:
        first, second = (" ".join(name.split()).casefold() for name in self.names)
        reasons = (len(reason.strip()) for reason in self.reasons)
        if not first or not second or first == second or min(reasons) < REASON_CHARS_MIN:
            raise NotTwoPeople


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision against the guard: when, about which key, by whom and why."""

    made: str
    key: str
    consent: Consent


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What is known of one key: attempts left (None: all), version and check value it may be."""

    left: int | None
    known: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """What is known of one key: attempts left and the keys it may be; empty is nothing."""

    left: int | None = None
    known: tuple[str, ...] = ()


class AttemptGuard:
    """Remembers attempts left and keys in force by the name of card and key.

    Args:
        path: File that keeps them across programs, which may use it together; None forgets with
            the object.
        now: The clock that dates decisions.

    Raises:
        LayoutError: The file is not a record of attempts.

    >>> guard = AttemptGuard()
    >>> guard.note("0017/39-00", 0x63C1)
    >>> guard.check("0017/39-00")
    Traceback (most recent call last):
    ...
    card.errors.cards.GuardRefused: 密钥 0017/39-00 只剩 1 次机会，已停止尝试；\
请核对密钥库与卡片后由两人处理。key 0017/39-00 has 1 attempt(s) left; it is not tried again; \
compare store and card; two people decide.
    """

    def __init__(
        self, path: Path | None = None, now: Callable[[], dt.datetime] | None = None
    ) -> None:
        self._path = path
        self._now = now or (lambda: dt.datetime.now(dt.UTC))
        self._granted: set[str] = set()
        self._memory: dict[str, _Row] = {}
        self._decisions: list[Decision] = []
        if path is not None:
            if path.exists() and 0 < path.stat().st_size < _HEADER_BYTES:
                raise LayoutError(str(path), "not a record of attempts")
            self._database(lambda found: found.executescript(_TABLES))

    def consents(self) -> list[Decision]:
        """Return the decisions made against the guard, oldest first."""
        if self._path is None:
            return list(self._decisions)
        rows = self._database(
            lambda found: found.execute("SELECT made, name, people FROM consent ORDER BY id")
        )
        return [Decision(made, name, _consent(people)) for made, name, people in rows]

    def allow(self, name: str, consent: Consent) -> None:
        """Let a key be tried once in spite of the guard, and keep who decided so.

        The card's own counter still counts. The decision is kept before the key is tried.
        """
        made = self._now().isoformat(timespec="seconds")
        if self._path is None:
            self._decisions.append(Decision(made, name, consent))
        else:
            people = json.dumps([consent.names, consent.reasons], ensure_ascii=False)
            row = (made, name, people)
            self._database(
                lambda found: found.execute(
                    "INSERT INTO consent (made, name, people) VALUES (?, ?, ?)", row
                )
            )
        self._granted.add(name)

    def check(self, name: str, key: object = None) -> None:
        """Refuse a try of a key with too few attempts left, or of another key than is known.

        Args:
            name: Card and key.
            key: The key about to be tried; compared if it has version and check value.

        Raises:
            GuardRefused: Fewer than `ATTEMPTS_MIN` are known to be left.
            KeyDisagrees: The card is known to hold another version or value.
        """
        if name in self._granted:
            self._granted.discard(name)
            return
        row = self._get(name)
        if row.left is not None and row.left < ATTEMPTS_MIN:
            raise GuardRefused(name, row.left)
        at_hand = _identity(key)
        if row.known and at_hand is not None and at_hand not in row.known:
            raise KeyDisagrees(name, row.known[-1], at_hand)

    def check_version(self, name: str, recorded: int, key: object) -> None:
        """Refuse a key of another version than the card itself says it holds.

        Args:
            name: Card and key.
            recorded: The version in the card's public data.
            key: The key about to be tried.

        Raises:
            KeyDisagrees: The versions differ, and no two people said to try.
        """
        at_hand = _identity(key)
        if name not in self._granted and getattr(key, "version", recorded) != recorded:
            raise KeyDisagrees(name, f"v{recorded}", at_hand or "?")

    def holds(self, name: str, key: object) -> bool | None:
        """Say whether a card is known to hold a key; None where nothing is known."""
        known = self._get(name).known
        return None if not known else _identity(key) in known

    def note(self, name: str, sw: int, key: object = None) -> None:
        """Note how a try ended: success remembers the key, 63Cx and 6983 what is left."""
        row = self._get(name)
        identity = _identity(key)
        if sw == _OK:
            row = _Row(None, row.known if identity is None else (identity,))
        elif sw & 0xFFF0 == _TRIES_LEFT:
            row = _Row(sw & 0x0F, row.known)
        elif sw == _BLOCKED:
            row = _Row(0, row.known)
        self._put(name, row)

    def note_wrong_mac(self, name: str) -> None:
        """Note a wrong MAC under a counted key: the card counts it but does not say how many."""
        row = self._get(name)
        left = _TRIES_FRESH if row.left is None else row.left
        self._put(name, _Row(max(0, left - 1), row.known))

    def replacing(self, name: str, key: object) -> None:
        """Note that a key is about to be written over another: until proved, either may hold."""
        row = self._get(name)
        identity = _identity(key)
        if identity is not None and row.known and identity not in row.known:
            self._put(name, _Row(row.left, (*row.known, identity)[-KEYS_REMEMBERED:]))

    def recall(self, facts: Mapping[str, KeyFacts]) -> None:
        """Know what a record kept elsewhere says, by the name of card and key."""
        for name, fact in facts.items():
            self._put(name, _Row(fact.left, fact.known))

    def facts(self) -> dict[str, KeyFacts]:
        """Return what a guard without a file knows, for a record kept elsewhere."""
        return {name: KeyFacts(row.left, row.known) for name, row in self._memory.items()}

    def new_card(self, card: str) -> None:
        """Forget what is known of a card's keys: a blank one takes its serial.

        Args:
            card: What the names of its keys begin with, up to the slash.
        """
        mine = f"{card}/"
        for name in [name for name in self._memory if name.startswith(mine)]:
            del self._memory[name]
        if self._path is not None:
            self._database(
                lambda file: file.execute(
                    "DELETE FROM key WHERE substr(name, 1, ?) = ?", (len(mine), mine)
                )
            )

    def _get(self, name: str) -> _Row:
        if self._path is None:
            return self._memory.get(name, _Row())
        found = self._database(
            lambda file: file.execute("SELECT left, known FROM key WHERE name = ?", (name,))
        )
        return _Row(found[0][0], tuple(found[0][1].split())) if found else _Row()

    def _put(self, name: str, row: _Row) -> None:
        if row == self._get(name):
            return
        if self._path is None:
            self._memory[name] = row
            return
        values = (name, row.left, " ".join(row.known))
        self._database(
            lambda file: file.execute("INSERT OR REPLACE INTO key VALUES (?, ?, ?)", values)
        )

    def _database(self, act: Callable[[sqlite3.Connection], sqlite3.Cursor]) -> list[Any]:
        """Do one thing in the file, durably; every use opens it, as other programs do too."""
        try:
            file = sqlite3.connect(str(self._path), timeout=BUSY_S)
            try:
                with file:
                    file.execute("PRAGMA synchronous = FULL")
                    return act(file).fetchall()
            finally:
                file.close()
        except sqlite3.DatabaseError as exc:
            # Not ignored: forgetting what cards said could cost one its last attempt.
            raise LayoutError(str(self._path), "not a record of attempts") from exc


def _identity(key: object) -> str | None:
    """Return version and check value of a key that has them.

    >>> from keys.working import TRANSPORT_KEY
    >>> _identity(TRANSPORT_KEY)
    'v0/CAAAAF'
    """
    version, kcv = getattr(key, "version", None), getattr(key, "kcv", None)
    if not isinstance(version, int) or not isinstance(kcv, str):
        return None
    return f"v{version}/{kcv}"


def _consent(people: str) -> Consent:
    names, reasons = json.loads(people)
    return Consent(tuple(names), tuple(reasons))
