# SPDX-License-Identifier: Apache-2.0
"""A guard against locking a card: what cards said about attempts left, and when to stop.

A card does not tell how many attempts a key has left until one has failed. The guard remembers
what it was told and refuses the next try when too few are left. With a path it remembers across
programs, so that starting again does not use up the last attempt.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from card.errors import GuardRefused, LayoutError

ATTEMPTS_MIN = 2  # the last attempt belongs to two people with the right key, not to a program

_TRIES_LEFT = 0x63C0
_BLOCKED = 0x6983
_OK = 0x9000


class AttemptGuard:
    """Remembers attempts left by the name of card and key.

    Args:
        path: File that keeps them across programs; None forgets with the object.

    Raises:
        LayoutError: The file is not a record of attempts.

    >>> guard = AttemptGuard()
    >>> guard.note("0017/39-00", 0x63C1)
    >>> guard.check("0017/39-00")
    Traceback (most recent call last):
    ...
    card.errors.GuardRefused: 密钥 0017/39-00 只剩 1 次机会，已停止尝试；\
请核对密钥库与卡片后由两人处理。key 0017/39-00 has 1 attempt(s) left; it is not tried again; \
compare store and card; two people decide.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._left: dict[str, int] = {}
        if path is not None and path.exists():
            self._left = _read(path)

    def check(self, name: str) -> None:
        """Refuse a try of a key with too few attempts left.

        Raises:
            GuardRefused: Fewer than `ATTEMPTS_MIN` are known to be left.
        """
        left = self._left.get(name, ATTEMPTS_MIN)
        if left < ATTEMPTS_MIN:
            raise GuardRefused(name, left)

    def note(self, name: str, sw: int) -> None:
        """Note how a try ended: success forgets, 63Cx and 6983 are remembered."""
        before = self._left.get(name)
        if sw == _OK:
            self._left.pop(name, None)
        elif sw & 0xFFF0 == _TRIES_LEFT:
            self._left[name] = sw & 0x0F
        elif sw == _BLOCKED:
            self._left[name] = 0
        if self._left.get(name) != before:
            self._save()

    def _save(self) -> None:
        if self._path is None:
            return
        text = json.dumps(self._left, indent=1, sort_keys=True)
        temporary = self._path.with_name(self._path.name + ".new")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)


def _read(path: Path) -> dict[str, int]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): int(left) for name, left in raw.items()}
    except (ValueError, AttributeError, TypeError) as exc:
        # Not ignored: forgetting what cards said could cost one its last attempt.
        raise LayoutError(str(path), "not a record of attempts") from exc
