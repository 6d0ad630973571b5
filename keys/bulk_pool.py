# SPDX-License-Identifier: Apache-2.0
"""Proofs on all cores: worker processes that are handed card keys and inputs, never a master.

The library keeps the interpreter lock while it opens cipher contexts, which is most of the work,
so that threads would not help. A server's processes each have their own batches and need no pool;
it is for one program that checks very many taps, such as an audit of everything stored.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from keys.bulk_formulas import CardKeys, Runs, proofs_of
from keys.proof import ProofInputs, Proofs

# Below this a task is over before its arrays have crossed to a worker.
TASK_TAPS_MIN = 2_000
# More tasks than workers, so that a slow core does not keep the others waiting.
TASKS_PER_WORKER = 4


class ProofPool:
    """Compute proofs in as many processes as the program may use cores.

    Use it as a context manager. Workers start by "forkserver", so that no lock or thread of the
    program is copied into them; the first task waits for them about half a second.
    """

    def __init__(self, workers: int | None = None, task_taps: int = TASK_TAPS_MIN) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))
        self._task_taps = task_taps
        context = multiprocessing.get_context("forkserver")
        self._executor = ProcessPoolExecutor(self.workers, mp_context=context)

    def __enter__(self) -> ProofPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._executor.shutdown(cancel_futures=True)

    def proofs_of(self, runs: Runs, cards: CardKeys, inputs: ProofInputs) -> Proofs:
        """Compute the proofs of every tap (``bulk_formulas.proofs_of``) on all cores."""
        tasks: list[tuple[NDArray[np.intp], Future[Proofs]]] = []
        for low, high in self._shares(runs):
            first = runs.starts[low]
            last = runs.starts[high] if high < len(runs.starts) else len(runs.order)
            rows = runs.order[first:last]
            own = Runs(np.arange(last - first), runs.starts[low:high] - first)
            part = (own, cards.part(low, high), inputs.take(rows))
            tasks.append((rows, self._executor.submit(proofs_of, *part)))
        whole = Proofs.empty(len(inputs))
        for rows, task in tasks:
            whole.put(rows, task.result())
        return whole

    def _shares(self, runs: Runs) -> list[tuple[int, int]]:
        """Cut the groups into shares of about equally many taps: first group, one behind."""
        taps = len(runs.order)
        size = max(self._task_taps, -(-taps // (self.workers * TASKS_PER_WORKER)))
        cuts = np.searchsorted(runs.starts, np.arange(0, taps, size))
        bounds = np.unique(np.append(cuts, len(runs.starts))).tolist()
        return list(itertools.pairwise(bounds))
