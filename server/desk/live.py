# SPDX-License-Identifier: Apache-2.0
"""Operations under way in this process: a shortcut past making them again from their answers.

Nothing depends on it. What is taken out is out until it is put back, so two requests never drive
the same one; one that is not where the database says is dropped and made again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from server.desk.driving import Under

LIVE_MAX = 64  # desks that work at the same moment


class Live:
    """The latest runs, each under its session and step."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, tuple[int, Under]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, session: str, step: int) -> Under | None:
        """Take a run out, if it stands exactly there."""
        with self._lock:
            found = self._runs.pop(session, None)
        return found[1] if found is not None and found[0] == step else None

    def put(self, session: str, step: int, under: Under) -> None:
        """Put a run back; the one used longest ago makes room."""
        with self._lock:
            self._runs[session] = (step, under)
            while len(self._runs) > LIVE_MAX:
                self._runs.popitem(last=False)

    def clear(self) -> None:
        """Forget all, as a restart does."""
        with self._lock:
            self._runs.clear()
