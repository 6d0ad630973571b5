# SPDX-License-Identifier: Apache-2.0
"""Compare a closed period's totals with the server's, as bank terminals do at settlement (批结算).

The uplink's thread asks, once everything up to the CLOSE is acknowledged; the thread that owns the
journal takes the answer. What is compared stands in the journal, so after a power cut it is asked
for again until both sides are equal. Events that the server misses are sent once more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from terminal.asking import Asker
from terminal.courier import Fetch, Job
from terminal.errors import ServerError
from terminal.journal import Journal
from terminal.settlement import Settlement, ask_settlement

_LOG = logging.getLogger(__name__)


class Comparison:
    """A step of the exchange: what `fetch` has, and the answer to the last CLOSE.

    `again` is told each range the server misses, in the thread that owns the journal.
    """

    def __init__(
        self,
        fetch: Fetch,
        asker: Asker,
        journal: Journal,
        again: Callable[[int, int], None],
    ) -> None:
        self._fetch = fetch
        self._asker = asker
        self._journal = journal
        self._again = again
        self._found: tuple[int, Settlement] | None = None

    def __call__(self, cfg_ver: int, hot_ver: int) -> list[Job]:
        """Fetch notices, and the comparison if one is due.

        A server that does not answer it is asked at the next exchange; notices do not wait.

        Raises:
            ServerError: The notices could not be fetched.
        """
        jobs = self._fetch(cfg_ver, hot_ver)
        seq = self._due()
        if seq:
            try:
                answer = ask_settlement(self._asker, seq)
            except ServerError as exc:
                _LOG.info("settlement: %s", exc)
            else:
                jobs.append(partial(self._take, seq, answer))
        return jobs

    def found(self, seq: int) -> Settlement | None:
        """Return the server's answer to the CLOSE of this number, if there is one."""
        found = self._found
        return found[1] if found is not None and found[0] == seq else None

    def _due(self) -> int:
        """Return the number of a CLOSE whose comparison is not settled, or 0."""
        state = self._journal.state
        if state.closed is None or state.covered < state.closed[0]:
            return 0
        seq = state.closed[0]
        found = self.found(seq)
        return 0 if found is not None and found.equal else seq

    def _take(self, seq: int, answer: Settlement) -> None:
        self._found = (seq, answer)
        if not answer.equal:
            _LOG.warning(
                "settlement %d: %s, the server has %d/%d/%d, misses %s",
                seq, answer.state, answer.n_in, answer.n_out, answer.n_rej, answer.missing,
            )  # fmt: skip
        for first, last in answer.missing:
            self._again(first, last)
