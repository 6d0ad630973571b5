# SPDX-License-Identifier: Apache-2.0
"""Two engines for the same functions: plain Python, and machine code made of them by numba.

numba is an optional speed-up. Compiling takes seconds, so only large histories ask for it; the
functions are the same objects, and a test holds the results equal.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import threading
from collections import defaultdict, namedtuple
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.reconciliation import arrays, clock, codes, desk, kernel, ordering, parameters
from server.reconciliation.arrays import Array, records
from server.reconciliation.parameters import Policy
from swipe import kinds

# Below this the plain engine has finished before the compiler would have.
COMPILE_FROM = 500_000
# With machine code in memory already; below this the plain engine is as fast.
READY_FROM = 200
ENGINES = ("auto", "plain", "compiled")
# More would wait for memory, not for processors.
THREADS_MAX = 8

# A frozen dataclass for people, a named tuple of the same fields for the compiler.
Settings = namedtuple("Settings", [field.name for field in fields(Policy)])  # type: ignore[misc]


@dataclass(frozen=True)
class Engine:
    """The entry points; whether their tables are lists of dicts (plain) or arrays; the threads."""

    plain: bool
    threads: int  # parts that run side by side; plain Python gains nothing by it
    correct_clocks: Callable[..., None]
    reconcile_persons: Callable[..., None]
    sort_guardians: Callable[..., None]
    survey: Callable[..., int]
    count_cards: Callable[..., int]
    fill_cards: Callable[..., None]

    def settings(self, policy: Policy) -> Any:
        """Return the policy in the form this engine reads."""
        return policy if self.plain else Settings(*astuple(policy))

    def table(self, array: Array) -> Any:
        """Return an array in the form this engine reads."""
        return records(array) if self.plain else array

    def numbers(self, array: NDArray[Any]) -> Any:
        """Return integers in the form this engine reads."""
        return array.tolist() if self.plain else array

    def room(self, count: int, dtype: np.dtype[np.void]) -> Any:
        """Return room for at most so many rows; rows that are never written cost no memory."""
        return defaultdict(dict) if self.plain else np.empty(count, dtype)


ENTRIES: tuple[Callable[..., Any], ...] = (
    clock.correct_clocks,
    kernel.reconcile_persons,
    kernel.sort_guardians,
    ordering.survey,
    ordering.count_cards,
    ordering.fill_cards,
)
PLAIN = Engine(True, 1, *ENTRIES)


def choose_engine(name: str, events: int) -> Engine:
    """Return the engine for a number of events; "auto" compiles if it pays and numba is there.

    Machine code that this process has in memory (see `make_ready`) is used for small histories too.

    Raises:
        ValueError: for an unknown name.
        ModuleNotFoundError: "compiled" was asked for and numba is not installed.
    """
    if name not in ENGINES:
        message = f"unknown engine {name!r}: use one of {', '.join(ENGINES)}"
        raise ValueError(message)
    if name == "auto":
        least = READY_FROM if _ready.is_set() else COMPILE_FROM
        worth_it = events >= least and importlib.util.find_spec("numba") is not None
        name = "compiled" if worth_it else "plain"
    return compiled_engine() if name == "compiled" else PLAIN


_ready = threading.Event()


def make_ready() -> None:
    """Say that the entries were run once: machine code is in memory."""
    _ready.set()


@cache
def compiled_engine() -> Engine:
    """Compile the entry points; everything they call is registered with the compiler first.

    Counting references to the tables is switched off: the caller holds them, and it costs more
    than the rules themselves. Machine code is kept on disk, where that is possible.
    """
    numba = importlib.import_module("numba")
    register = importlib.import_module("numba.extending").register_jitable
    for helper in kernel.HELPERS:
        register(_nrt=False)(helper)
    for helper in kernel.HOT:
        register(_nrt=False, forceinline=True)(helper)
    options = {"nogil": True, "_nrt": False}
    folder = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_folder())
    try:
        entries = [numba.njit(cache=True, **options)(entry) for entry in ENTRIES]
    except RuntimeError:  # nowhere to write
        entries = [numba.njit(**options)(entry) for entry in ENTRIES]
    finally:
        numba.config.CACHE_DIR = folder
    return Engine(False, min(THREADS_MAX, os.cpu_count() or 1), *entries)


def cache_folder() -> Path:
    """Return the folder for machine code, named by all sources it was made from.

    The compiler itself looks at the file of the entry only and would run stale helpers.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256()
    for module in (*kernel.MODULES, arrays, codes, desk, kernel, kinds, parameters):
        digest.update(Path(str(module.__file__)).read_bytes())
    digest.update(Path(__file__).read_bytes())
    return home / "yika" / f"kernel-{digest.hexdigest()[:16]}"
