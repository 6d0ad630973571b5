# SPDX-License-Identifier: Apache-2.0
"""Reconciliation as one pure function: the set of events in, each person's service time out.

No clock, no I/O, no framework: the instant "now" is an argument, and order of arrival,
duplicates and splits of the events cannot change the result. The same function runs for one
person after an upload and for a whole city.
"""

from __future__ import annotations

import numpy as np

from server.reconciliation import arrays
from server.reconciliation.arrays import Array, History, Result
from server.reconciliation.compiled import choose_engine, make_ready
from server.reconciliation.parameters import DEFAULT_POLICY, ENGINE_VERSION, Policy
from server.reconciliation.preparing import check
from server.reconciliation.running import derive, judge

__all__ = [
    "DEFAULT_POLICY",
    "ENGINE_VERSION",
    "History",
    "Policy",
    "Result",
    "judge_arrays",
    "reconcile_arrays",
    "warm_up",
]


def warm_up() -> None:
    """Bring the machine code into memory, so that small histories use it too.

    The first time on a machine this compiles for a minute; later it reads a file.

    Raises:
        ModuleNotFoundError: numba is not installed.
    """
    persons, taps = np.zeros(1, arrays.PERSON_DTYPE), np.zeros(1, arrays.TAP_DTYPE)
    persons["derive"], taps["activity"] = 1, -1
    history = History(
        taps=taps,
        persons=persons,
        cards=np.zeros(1, arrays.CARD_DTYPE),
        terminals=np.zeros(1, arrays.TERMINAL_DTYPE),
        batches=np.zeros(1, arrays.BATCH_DTYPE),
    )
    reconcile_arrays(history, 1, engine="compiled")
    make_ready()


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
    return derive(history, chosen, policy, as_of_ms)


def judge_arrays(
    history: History,
    times: Array,
    as_of_ms: int,
    policy: Policy = DEFAULT_POLICY,
    *,
    engine: str = "auto",
) -> Result:
    """Derive as `reconcile_arrays` does, of taps alone whose corrected times are known already.

    Raises:
        ValueError: as `reconcile_arrays`.
    """
    check(history)
    chosen = choose_engine(engine, len(history.taps))
    corrected = (chosen.table(history.taps), chosen.table(times))
    return judge(history, corrected, chosen, policy, as_of_ms)
