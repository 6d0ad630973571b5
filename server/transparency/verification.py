# SPDX-License-Identifier: Apache-2.0
"""Check everything again from the raw rows: events, uploads, log, audit trail, ledger.

Findings come as they are found; the first one stops nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from server.db import Database
from server.transparency import check_batches, check_trail
from server.transparency.check_events import EventCheck
from server.transparency.check_log import LogCheck, seal_findings
from server.transparency.findings import Finding
from server.transparency.tile_files import LogFolder


@dataclass
class Verification:
    """One run over a database; `counts` says afterwards how much was looked at."""

    database: Database
    folder: LogFolder | None = None
    server_keys: dict[int, bytes] = field(default_factory=dict)
    signatures: bool = True
    counts: dict[str, int] = field(default_factory=dict)

    def findings(self) -> Iterator[Finding]:
        """Give every contradiction."""
        with self.database.reading() as session:
            events = EventCheck(session, signatures=self.signatures)
            yield from events.findings()
            self.counts["events"] = events.count
        with self.database.reading() as session:
            log = LogCheck(session, self.folder)
            yield from log.findings()
            self.counts["leaves"] = log.count
        with self.database.reading() as session:
            yield from seal_findings(session)
            yield from check_batches.findings(session, self.server_keys)
            yield from check_trail.audit_findings(session)
            yield from check_trail.enrolment_findings(session)
            yield from check_trail.ledger_findings(session)
