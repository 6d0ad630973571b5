# SPDX-License-Identifier: Apache-2.0
"""What both sides of the namespace have to agree on: the plan, the socket, the time limits."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

SOCKET = Path("/run/pcscd/pcscd.comm")
PID_FILE = Path("/run/pcscd/pcscd.pid")

# pcscd's socket appears within 40 ms, the card host's within 400 ms on an idle machine.
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to bring up; handed over as a JSON file."""

    pcscd: list[str] | None  # None: the system's own pcscd is used
    cardhost: list[str]
    control: str
    logs: str
    private: bool


def listening(path: Path) -> bool:
    """Whether somebody accepts connections on a UNIX socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
