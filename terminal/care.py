# SPDX-License-Identifier: Apache-2.0
"""What the program does for itself between two cards: watchdog, status, the end of a trial.

`Care.turn` is called after each turn of the loop, in the thread that owns the journal. The status
is gathered there and sent by a thread of its own, so that no tap waits for the network.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping
from typing import Protocol

from keys.identity import Identity
from swipe.requests import STATUS_CONTEXT, status_message
from terminal.config import Config
from terminal.errors import TerminalError
from terminal.health import JournalCheck, Vitals, figures
from terminal.policy import Say
from terminal.releases import slots
from terminal.station import Station
from terminal.transport import Request, Transport
from terminal.watchdog import Notifier, Watchdog, interval_ms

_LOG = logging.getLogger(__name__)

STATUS_PATH = "/api/v1/terminals/{}/status"
# A new release that has answered for a minute and passed its self-checks is there to stay.
TRIAL_MS = 60_000
# How soon a version that was switched to by hand or timer begins to run.
LOOK_AT_SWITCH_MS = 60_000
FIRST_STATUS_MS = 5_000


class Seen(Protocol):
    """What is asked of the loop."""

    @property
    def reader_problem(self) -> Say | None:
        """Return what the screen says of the reader, None while it answers."""

    @property
    def psam_failed(self) -> bool:
        """Say whether the PSAM failed at the last tap."""


class Care:
    """Look after one running program."""

    def __init__(
        self,
        config: Config,
        station: Station,
        loop: Seen,
        transport: Transport,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        time = station.chain.time
        self._config = config
        self._station = station
        self._loop = loop
        self._now_ms = time.uptime_ms
        self._started_ms = time.uptime_ms()
        self._slot = environ.get(slots.SLOT_VARIABLE, "")
        self.vitals = Vitals()
        checks = {"journal": JournalCheck(station.journal, time.uptime_ms)}
        notifier = Notifier.from_environ(environ)
        self.watchdog = Watchdog(notifier, checks, time.uptime_ms, interval_ms(environ))
        self.messenger = Messenger(transport, config.update.status_s * 1000)
        self._look_ms = self._started_ms + LOOK_AT_SWITCH_MS
        self._settled = False
        self._passed_over: slots.Switch | None = None

    def turn(self) -> bool:
        """Do what is due; return False when the program must end so that another version runs."""
        self.vitals.reader = _word(self._loop.reader_problem)
        self.vitals.psam = "failed" if self._loop.psam_failed else "ok"
        self.watchdog.turn()
        self._settle()
        now_ms = self._now_ms()
        if self.messenger.is_due(now_ms):
            self._report(now_ms)
        if now_ms < self._look_ms:
            return True
        self._look_ms = now_ms + LOOK_AT_SWITCH_MS
        return not self._switched()

    def end(self) -> None:
        """Tell systemd, and let the messenger go."""
        self.watchdog.stopping()
        self.messenger.end()

    def _settle(self) -> None:
        """End the trial of a new release once it has shown that it works."""
        due = self._now_ms() - self._started_ms >= TRIAL_MS
        if self._settled or not due or not self.watchdog.passed or self.watchdog.complaint:
            return
        self._settled = True
        if self._slot not in slots.SLOTS:
            return
        try:
            if slots.load(self._config.update_dir).active == self._slot:
                slots.confirm(self._config.update_dir)
        except OSError as exc:
            _LOG.warning("update: %s", exc)

    def _switched(self) -> bool:
        """Say whether another version is to run: the program ends and the launcher starts it.

        What the launcher has passed over, because it is damaged or never came up, is no reason.
        """
        folder = self._config.update_dir
        switch = slots.load(folder)
        if not self._slot or switch.active == self._slot or switch == self._passed_over:
            return False
        fresh = slots.next_up(folder, switch)
        if fresh == self._slot:
            self._passed_over = switch
            _LOG.warning("update: %s is passed over, %s runs", switch.active, self._slot)
            return False
        _LOG.warning("update: %s takes over from %s", fresh, self._slot)
        return True

    def _report(self, now_ms: int) -> None:
        terminal = self._station.passport.terminal_id
        told = figures(self._config, self._station, self.vitals, self._slot)
        request = status_request(terminal, self._station.chain.identity, told)
        self.messenger.send(request, now_ms)


class Messenger:
    """Send one status at a time from a thread of its own; what fails is not sent again."""

    def __init__(self, transport: Transport, every_ms: int) -> None:
        self._transport = transport
        self._every_ms = every_ms
        self._due_ms: int | None = None
        self._thread: threading.Thread | None = None

    def is_due(self, now_ms: int) -> bool:
        """Say whether it is time for a status, the first soon after the start."""
        if self._due_ms is None:
            self._due_ms = now_ms + FIRST_STATUS_MS
        return now_ms >= self._due_ms and not (self._thread and self._thread.is_alive())

    def send(self, request: Request, now_ms: int) -> None:
        """Begin to send; the caller goes on at once."""
        self._due_ms = now_ms + self._every_ms
        self._thread = threading.Thread(
            target=self._send, args=(request,), name="status", daemon=True
        )
        self._thread.start()

    def end(self, timeout_s: float = 1.0) -> None:
        """Wait a moment for the thread; a status under way may be lost."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _send(self, request: Request) -> None:
        try:
            self._transport.send(request)
        except TerminalError as exc:
            _LOG.info("status: %s", exc)


def status_request(terminal_id: int, identity: Identity, told: Mapping[str, object]) -> Request:
    """Return the signed request that tells the server a status."""
    text = json.dumps(told, ensure_ascii=False, sort_keys=True)
    signature = identity.sign(STATUS_CONTEXT, status_message(terminal_id, text.encode()))
    body = json.dumps({"status": text, "signature": signature.hex()}, ensure_ascii=False)
    path = STATUS_PATH.format(terminal_id)
    return Request("POST", path, body.encode(), "application/json")


def _word(problem: Say | None) -> str:
    return {None: "ok", Say.NO_SERVICE: "no-service"}.get(problem, "missing")
