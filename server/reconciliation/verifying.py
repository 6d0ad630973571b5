# SPDX-License-Identifier: Apache-2.0
"""Derive everybody again and hold the result against what is stored; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from server.ingest.verdicts import Verdict
from server.reconciliation.loading import load
from server.reconciliation.parameters import ENGINE_VERSION
from server.reconciliation.policy import DEFAULT_POLICY, Policy, reconcile_arrays
from server.reconciliation.storing import compare

DIFFERENCES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Verified:
    """What deriving everybody again found; identical when nothing is missing or too much."""

    engine_version: int
    events: int
    verdict_ok: int
    persons: int
    intervals: int
    exceptions: int
    credited_minutes: int
    differences: list[str] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """Say whether the stored result is what the events give."""
        return not self.differences


def verify(session: Session, now_ms: int, policy: Policy = DEFAULT_POLICY) -> Verified:
    """Derive everybody from the events and compare with the current rows, field by field."""
    loaded = load(session, None)
    result = reconcile_arrays(loaded.history, now_ms, policy)
    taps = loaded.history.taps
    return Verified(
        engine_version=ENGINE_VERSION,
        events=len(taps),
        verdict_ok=int((taps["verdict"] == Verdict.OK).sum()),
        persons=int(loaded.history.persons["derive"].sum()),
        intervals=len(result.intervals),
        exceptions=len(result.exceptions),
        credited_minutes=int(result.intervals["minutes"].sum()),
        differences=compare(session, loaded, result)[:DIFFERENCES_SHOWN],
    )
