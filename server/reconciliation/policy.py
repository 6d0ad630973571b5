# SPDX-License-Identifier: Apache-2.0
"""Reconciliation as one pure function: the set of events in, each person's service time out.

No clock, no I/O, no framework: the instant "now" is an argument, and order of arrival,
duplicates and splits of the events cannot change the result. The same function runs for one
person after an upload and for a whole city.
"""

from __future__ import annotations

from server.reconciliation.arrays import EXCEPTION_DTYPE, INTERVAL_DTYPE, History, Result
from server.reconciliation.compiled import choose_engine
from server.reconciliation.desk import EXCEPTIONS, INTERVALS
from server.reconciliation.parameters import DEFAULT_POLICY, ENGINE_VERSION, Policy
from server.reconciliation.preparing import check, lay_out, rows_of

__all__ = ["DEFAULT_POLICY", "ENGINE_VERSION", "History", "Policy", "Result", "reconcile_arrays"]


def reconcile_arrays(
    history: History, as_of_ms: int, policy: Policy = DEFAULT_POLICY, *, engine: str = "auto"
) -> Result:
    """Derive all intervals and exceptions of the persons whose `derive` is 1.

    Args:
        history: events, registers and decisions; see `server.reconciliation.arrays`.
        as_of_ms: the instant "now", milliseconds UTC: whoever tapped in may still be on duty.
        policy: the settings of the rules.
        engine: "auto", "plain" or "compiled"; the results are identical.

    Raises:
        ValueError: an array has another dtype, a register is not sorted, an index leads nowhere.
    """
    check(history)
    chosen = choose_engine(engine, len(history.taps))
    own, other = lay_out(history, chosen, chosen.settings(policy), as_of_ms)
    chosen.reconcile_persons(own, other)
    return Result(
        intervals=rows_of(own.intervals, INTERVAL_DTYPE, int(own.counts[INTERVALS])),
        exceptions=rows_of(own.exceptions, EXCEPTION_DTYPE, int(own.counts[EXCEPTIONS])),
    )
