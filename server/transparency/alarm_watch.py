# SPDX-License-Identifier: Apache-2.0
"""Keep the metrics of alarms current and log each alarm when it begins and when it ends."""

from __future__ import annotations

import structlog

from server.ingest import alarms, silence
from server.ingest.silence import Pauses
from server.runtime import Runtime

LOOK_EVERY_MS = 60_000
# Habits change slowly, and learning them is a look at ten weeks of uploads.
LEARN_EVERY_MS = 3_600_000

log = structlog.get_logger("yika.alarms")


class AlarmWatch:
    """What was alarmed at the last look."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._known: set[tuple[int, str]] = set()
        self._pauses: Pauses = {}
        self._looked_ms = self._learnt_ms = 0

    def look(self) -> None:
        """Look at all terminals, at most once a minute; a clock that was set back looks at once."""
        now_ms = self._runtime.clock.utc_ms()
        if 0 <= now_ms - self._looked_ms < LOOK_EVERY_MS:
            return
        self._looked_ms = now_ms
        with self._runtime.database.reading() as session:
            if not 0 <= now_ms - self._learnt_ms < LEARN_EVERY_MS:
                self._pauses = silence.day_pauses(session, now_ms)
                self._learnt_ms = now_ms
            found = alarms.alarms(session, now_ms, self._pauses)
        for kind, count in alarms.counts(found).items():
            self._runtime.metrics.terminals.labels(kind).set(count)
        present = {(alarm.terminal_id, alarm.kind) for alarm in found}
        for terminal_id, kind in sorted(present - self._known):
            log.warning("terminal_alarm", terminal_id=terminal_id, kind=kind)
        for terminal_id, kind in sorted(self._known - present):
            log.info("terminal_alarm_over", terminal_id=terminal_id, kind=kind)
        self._known = present
