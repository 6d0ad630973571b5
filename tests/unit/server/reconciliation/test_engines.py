# SPDX-License-Identifier: Apache-2.0
"""Both engines, any number of parts, and plain SQL give one result; the door keeps out the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.reconcile_world import AS_OF_MS, City, make_city
from server.ingest.verdicts import Proof, Verdict
from server.reconciliation import codes
from server.reconciliation.arrays import BATCH_DTYPE, History, Result
from server.reconciliation.compiled import COMPILE_FROM, PLAIN, choose_engine
from server.reconciliation.parameters import DAY_MS, DEFAULT_POLICY, Policy
from server.reconciliation.policy import reconcile_arrays
from server.reconciliation.running import derive
from tests.unit.server.reconciliation import sql_oracle
from tests.unit.server.reconciliation.totals import counted

EVENTS = 6_000


@pytest.fixture(scope="module")
def city() -> City:
    """Return a small city with every kind of trouble."""
    return make_city(EVENTS)


def same(one: Result, other: Result) -> bool:
    """Tell if two results are equal to the bit."""
    intervals = one.intervals.tobytes() == other.intervals.tobytes()
    # Exceptions have padding bytes, which mean nothing.
    return intervals and one.exceptions.tolist() == other.exceptions.tolist()


def test_compiled_equals_plain(city: City) -> None:
    """Machine code gives what plain Python gives, for a whole city."""
    plain = reconcile_arrays(city.history, AS_OF_MS, engine="plain")

    assert same(plain, reconcile_arrays(city.history, AS_OF_MS, engine="compiled"))


def test_compiled_equals_plain_out_of_order(city: City) -> None:
    """So it does when the events lie in another order, some of them twice."""
    rows = np.random.default_rng(7).permutation(np.tile(np.arange(len(city.history.taps)), 2))
    shuffled = replace(city.history, taps=city.history.taps[rows[: len(rows) * 3 // 4]])
    plain = reconcile_arrays(shuffled, AS_OF_MS, engine="plain")

    assert same(plain, reconcile_arrays(shuffled, AS_OF_MS, engine="compiled"))


@pytest.mark.parametrize("parts", [1, 3, 7])
def test_parts_do_not_show(city: City, parts: int) -> None:
    """The number of threads cannot change the result."""
    plain = reconcile_arrays(city.history, AS_OF_MS, engine="plain")
    engine = replace(choose_engine("compiled", EVENTS), threads=parts)

    assert same(plain, derive(city.history, engine, DEFAULT_POLICY, AS_OF_MS))


def test_sql_counts_the_same(city: City) -> None:
    """DuckDB's windows count what the kernel counts, of the volunteers SQL can judge."""
    taps = city.history.taps
    simple = taps[city.simple_persons[city.history.cards["person"][taps["card"]]]]
    found = reconcile_arrays(city.history, AS_OF_MS)
    with sql_oracle.connect(simple, city.history.activities) as connection:
        assert sql_oracle.totals(connection, DEFAULT_POLICY) == counted(found, city.simple_persons)


@pytest.mark.parametrize("seed", range(4))
def test_sql_counts_the_same_under_other_policies(seed: int) -> None:
    """So it does with other settings of the rules and other cities."""
    city = make_city(EVENTS, seed + 10)
    policy = Policy(
        duplicate_ms=(0, 15_000, 60_000, 600_000)[seed],
        min_interval_ms=(0, 300_000, 3_600_000, 60_000)[seed],
        max_shift_ms=(DAY_MS // 6, DAY_MS // 2, 2 * DAY_MS, DAY_MS)[seed],
    )
    taps = city.history.taps
    simple = taps[city.simple_persons[city.history.cards["person"][taps["card"]]]]
    found = reconcile_arrays(city.history, AS_OF_MS, policy)
    with sql_oracle.connect(simple, city.history.activities) as connection:
        assert sql_oracle.totals(connection, policy) == counted(found, city.simple_persons)


def test_engine_is_chosen_by_size() -> None:
    """Small histories are never worth a compiler; an unknown engine is refused."""
    assert choose_engine("auto", COMPILE_FROM - 1) is PLAIN
    with pytest.raises(ValueError, match="unknown engine 'fast'"):
        choose_engine("fast", 1)


def broken(history: History, table: str, field: str, value: int) -> History:
    """Return the history with one wrong number."""
    rows = getattr(history, table).copy()
    rows[field][0] = value
    return replace(history, **{table: rows})


@pytest.mark.parametrize(
    ("table", "field", "value"),
    [
        ("taps", "terminal", -1),
        ("taps", "terminal", 1 << 30),
        ("taps", "card", 1 << 30),
        ("taps", "batch", -1),
        ("taps", "anchor", 1 << 30),
        ("taps", "activity", -2),
        ("cards", "person", -1),
        ("persons", "guardian", 1 << 30),
        ("persons", "id", 1 << 40),
        ("batches", "id", 1 << 40),
    ],
)
def test_an_index_that_leads_nowhere_is_refused(
    city: City, table: str, field: str, value: int
) -> None:
    """A wrong index or an unsorted register is named and nothing is derived."""
    with pytest.raises(ValueError, match=table):
        reconcile_arrays(broken(city.history, table, field, value), AS_OF_MS)


def test_another_dtype_is_refused(city: City) -> None:
    """An array of another layout is named."""
    fields: list[Any] = [(name, "i8") for name in BATCH_DTYPE.names or ()]
    other = np.zeros(len(city.history.batches), [*fields, ("more", "i8")])
    with pytest.raises(ValueError, match="batches: not of the dtype"):
        reconcile_arrays(replace(city.history, batches=other), AS_OF_MS)


def test_codes_are_those_of_ingest() -> None:
    """The plain integers of the kernel are the server's words on events."""
    assert {name: getattr(codes, f"PROOF_{name}") for name in Proof.__members__} == dict(
        Proof.__members__
    )
    named = {name: int(word) for name, word in Verdict.__members__.items() if name != "MALFORMED"}
    assert {name: getattr(codes, f"VERDICT_{name}") for name in named} == named
