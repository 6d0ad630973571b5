# SPDX-License-Identifier: Apache-2.0
"""Tell systemd how the program is doing, and feed its watchdog only while the program is well.

The protocol is that of sd_notify(3): datagrams of `NAME=value` lines to the socket that the
environment names. The watchdog is fed from the thread that answers cards, after a whole turn of
the loop, and only when the self-checks have passed: a reader call that never returns, a journal
that cannot be read back, or a thread that hangs ends in a restart by systemd.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_LOG = logging.getLogger(__name__)

SOCKET_VARIABLE = "NOTIFY_SOCKET"
USEC_VARIABLE = "WATCHDOG_USEC"
PID_VARIABLE = "WATCHDOG_PID"
STATUS_MAX = 200  # one line of `systemctl status`
# Without a watchdog the self-checks run all the same, for status and updates.
CHECK_EVERY_MS = 10_000

Check = Callable[[], str]
"""A self-check: "" if all is well, else what is not, in one line."""


@dataclass(frozen=True, slots=True)
class Notifier:
    """The way to systemd; with an empty address nothing is told."""

    address: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        """Return the notifier of the service that runs this process, if one does."""
        return cls(environ.get(SOCKET_VARIABLE, ""))

    def tell(self, **said: str) -> bool:
        """Send `NAME=value` lines; return whether they left. Never raises: taps come first.

        >>> Notifier().tell(READY="1")
        False
        """
        if not self.address.startswith(("/", "@")):
            return False
        lines = (f"{name}={value}".replace("\n", " ") for name, value in said.items())
        # A leading @ stands for the zero byte of Linux's abstract names.
        where = "\0" + self.address[1:] if self.address[0] == "@" else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.setblocking(False)
                line.sendto("\n".join(lines).encode(), where)
        except OSError as exc:
            _LOG.info("systemd: %s", exc.strerror or exc)
            return False
        return True


def interval_ms(environ: Mapping[str, str] = os.environ, pid: int | None = None) -> int:
    """Return how often the watchdog wants to be fed: a third of its patience.

    >>> interval_ms({"WATCHDOG_USEC": "60000000"})
    20000
    >>> interval_ms({})
    10000
    """
    meant = environ.get(PID_VARIABLE, "")
    try:
        ours = not meant or int(meant) == (os.getpid() if pid is None else pid)
        patience_us = int(environ.get(USEC_VARIABLE, "0"))
    except ValueError:
        return CHECK_EVERY_MS
    return max(1, patience_us // 3_000) if ours and patience_us > 0 else CHECK_EVERY_MS


class Watchdog:
    """Run the self-checks now and then; feed systemd when all of them pass."""

    def __init__(
        self,
        notifier: Notifier,
        checks: Mapping[str, Check],
        now_ms: Callable[[], int],
        every_ms: int = CHECK_EVERY_MS,
    ) -> None:
        self._notifier = notifier
        self._checks = dict(checks)
        self._now_ms = now_ms
        self._every_ms = every_ms
        self._due_ms = now_ms()
        self._ready = False
        self.passed = 0
        self.complaint = ""

    def turn(self) -> bool:
        """Check and feed if it is time; return whether everything was well the last time."""
        if self._now_ms() < self._due_ms:
            return not self.complaint
        self._due_ms = self._now_ms() + self._every_ms
        complaint = self._complaint()
        if complaint != self.complaint:
            _LOG.warning("self-check: %s", complaint or "well again")
        self.complaint = complaint
        status = (complaint or "well")[:STATUS_MAX]
        if complaint:
            self._notifier.tell(STATUS=status)
            return False
        self.passed += 1
        ready = {} if self._ready else {"READY": "1"}
        self._ready = True
        self._notifier.tell(**ready, WATCHDOG="1", STATUS=status)
        return True

    def stopping(self) -> None:
        """Say that the program ends by itself."""
        self._notifier.tell(STOPPING="1")

    def _complaint(self) -> str:
        for name, check in self._checks.items():
            found = check()
            if found:
                return f"{name}: {found}"
        return ""
