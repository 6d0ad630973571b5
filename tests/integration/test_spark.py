# SPDX-License-Identifier: Apache-2.0
"""A cluster of one master and two workers derives what one machine derives, row for row."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.reconcile_world import AS_OF_MS, make_city
from server.archive import spark
from server.archive.spark import Cluster
from server.reconciliation.policy import reconcile_arrays
from tests.integration.spark_cluster import settings, spark_cluster

SHARDS = 4


@pytest.mark.slow
def test_two_workers_derive_what_one_machine_derives(tmp_path: Path) -> None:
    """The kernel by mapInArrow gives the same intervals, minutes and exceptions."""
    history = make_city(4_000).history
    with spark_cluster() as master:
        cluster = Cluster(master, SHARDS, settings(tmp_path / "spark"))

        found = spark.reconcile(history, cluster, AS_OF_MS, tmp_path)

    alone = reconcile_arrays(history, AS_OF_MS)
    assert found.intervals.tolist() == alone.intervals.tolist()
    assert found.exceptions.tolist() == alone.exceptions.tolist()
    assert found.sets == alone.sets
