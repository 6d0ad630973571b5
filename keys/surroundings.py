# SPDX-License-Identifier: Apache-2.0
"""What a key store is given from outside: who uses it, the time, the disk and the machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from keys.audit import AuditLog, utc_now
from keys.files import DISK, Disk
from keys.host import machine_id


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Name the user for the audit log, where that is kept, the clock, the disk and the machine.

    ``audit`` is by default a file beside the store; retirement dates begin at midnight UTC.
    """

    who: str = ""
    audit: Path | None = None
    now: Callable[[], datetime] = utc_now
    disk: Disk = field(default=DISK)
    host: Callable[[], str] = machine_id

    def today(self) -> date:
        """Give the date of now."""
        return self.now().date()

    def log(self, beside: Path) -> AuditLog:
        """Open the audit log, by default ``beside`` with ``.audit`` behind its name."""
        path = self.audit or beside.with_name(beside.name + ".audit")
        return AuditLog(path, self.who, self.now)


HERE = Surroundings()
