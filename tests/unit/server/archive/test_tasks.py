# SPDX-License-Identifier: Apache-2.0
"""The tasks of a cluster, run one after the other here, give what one machine gives."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.reconcile_world import AS_OF_MS, City, make_city
from server.archive import spark, tap_files, tasks
from server.reconciliation.arrays import History, Result
from server.reconciliation.parameters import DEFAULT_POLICY
from server.reconciliation.policy import reconcile_arrays
from tests.unit.server.reconciliation.histories import Story
from tests.unit.server.reconciliation.story import VECTORS

SHARDS = 5
# What makes a written history more than the taps of one person.
OWN = {"people", "corrections", "parameters"}


@pytest.fixture(scope="module")
def city() -> City:
    """A small city with every kind of trouble, minors with guardians in other shards among it."""
    return make_city(4_000)


def cut(
    history: History, folder: Path, as_of_ms: int, engine: str = "plain", shards: int = SHARDS
) -> Result:
    """Derive everybody by the tasks alone, as a cluster with one slow worker does."""
    files = tap_files.write(history, folder / "in", shards)
    registers = files.registers()
    job = tasks.Job(files, registers, engine, DEFAULT_POLICY, as_of_ms, folder / "out")
    parts: dict[int, list[bytes]] = defaultdict(list)
    for name in reversed(files.names):
        for shard, taps in tasks.correct(job, name):
            parts[shard].append(taps)
    done = [tasks.file_result(job, shard, parts[shard]) for shard in range(shards)]
    _, intervals, exceptions, minutes = (sum(column) for column in zip(*done, strict=True))
    output = spark.Output(folder / "out", intervals, exceptions, minutes)
    found = spark.collect(output, history)
    assert (len(found.intervals), len(found.exceptions)) == (intervals, exceptions)
    assert int(found.intervals["minutes"].sum()) == minutes
    return found


def same(one: Result, other: Result) -> bool:
    """Tell if two results are equal, row for row."""
    return (
        one.intervals.tolist() == other.intervals.tolist()
        and one.exceptions.tolist() == other.exceptions.tolist()
        and one.sets == other.sets
    )


@pytest.mark.parametrize("engine", ["plain", "compiled"])
def test_shards_do_not_show(city: City, tmp_path: Path, engine: str) -> None:
    """People judged shard by shard from files have the intervals that one machine gives."""
    whole = reconcile_arrays(city.history, AS_OF_MS, engine="plain")

    assert same(cut(city.history, tmp_path, AS_OF_MS, engine), whole)
    assert len(whole.intervals) > 1_000


def test_order_and_repetition_do_not_show(city: City, tmp_path: Path) -> None:
    """Events that lie in another order, some twice, give the same rows."""
    rows = np.random.default_rng(7).permutation(np.tile(np.arange(len(city.history.taps)), 2))
    shuffled = replace(city.history, taps=city.history.taps[rows[: len(rows) * 3 // 4]])

    assert same(cut(shuffled, tmp_path, AS_OF_MS), reconcile_arrays(shuffled, AS_OF_MS))


def test_every_rule_survives_the_cut(tmp_path: Path) -> None:
    """Written histories with people, decisions and settings of their own have their results."""
    told = [vector for vector in VECTORS if OWN & set(vector)]
    for number, vector in enumerate(told + VECTORS[::5]):
        story = Story(vector)

        found = cut(story.history, tmp_path / str(number), story.now, shards=2)

        assert same(found, reconcile_arrays(story.history, story.now)), vector["name"]
