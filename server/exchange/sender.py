# SPDX-License-Identifier: Apache-2.0
"""The thread that tells receivers; it waits for the network, so it is nobody else's."""

from __future__ import annotations

import threading

import sqlalchemy.exc
import structlog

from server.exchange import webhooks
from server.runtime import Runtime

INTERVAL_S = 2.0
STOP_TIMEOUT_S = webhooks.TIMEOUT_S + 2.0

log = structlog.get_logger("yika.webhooks")


class Sender:
    """Deliver what is due every two seconds until stopped."""

    def __init__(self, runtime: Runtime, post: webhooks.Post = webhooks.post_https) -> None:
        self._runtime = runtime
        self._post = post
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the delivery under way."""
        self._ended.set()
        self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL_S):
            runtime = self._runtime
            try:
                webhooks.turn(
                    runtime.database, runtime.identity, runtime.clock.utc_ms(), self._post
                )
            except sqlalchemy.exc.SQLAlchemyError as error:  # the database is away: later
                log.warning("webhooks_wait", error=type(error).__name__)
