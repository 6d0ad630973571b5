# SPDX-License-Identifier: Apache-2.0
"""A cluster of one master and two workers derives what one machine derives, row for row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.reconcile_world import AS_OF_MS, make_city
from keys.store import FileKeyStore
from server.archive import hours, spark, statistics, writing
from server.archive.spark import Cluster
from server.archive.writing import Wish
from server.db import Database
from server.reconciliation.elsewhere import Elsewhere
from server.reconciliation.policy import reconcile_arrays
from server.reconciliation.verifying import verify
from tests.factories import make_store
from tests.integration.server.rig import NOW_MS, Rig
from tests.integration.server.test_hours import day_of, new_card
from tests.integration.spark_cluster import settings, spark_cluster

SHARDS = 2  # one for each worker


@pytest.fixture(scope="module")
def master() -> Iterator[str]:
    """The URL of a cluster's master."""
    with spark_cluster() as url:
        yield url


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """A key store with version 1 of every key."""
    return make_store(tmp_path_factory.mktemp("keys") / "keys.yks")


@pytest.mark.slow
def test_two_workers_derive_what_one_machine_derives(master: str, tmp_path: Path) -> None:
    """The kernel by mapInArrow gives the same intervals, minutes and exceptions."""
    history = make_city(1_500).history
    cluster = Cluster(master, SHARDS, settings(tmp_path / "spark"))

    found = spark.reconcile(history, cluster, AS_OF_MS, tmp_path)

    alone = reconcile_arrays(history, AS_OF_MS)
    assert found.intervals.tolist() == alone.intervals.tolist()
    assert found.exceptions.tolist() == alone.exceptions.tolist()
    assert found.sets == alone.sets


@pytest.mark.slow
def test_hours_come_back_from_the_cluster_by_copy(
    master: str, postgres_url: str, store: FileKeyStore, tmp_path: Path
) -> None:
    """Events archived, derived by two workers and loaded back by COPY verify as identical."""
    rig = Rig(Database(postgres_url), store).populate()
    posts = (rig.add_post(1), rig.add_post(2))
    _person, asn = new_card(rig)
    for post, chain in zip(posts, day_of(rig, posts, asn), strict=True):
        assert rig.put(post.batch(chain), 1, post.terminal_id).status == 200
    asked = Elsewhere(
        master, tmp_path / "archive", tmp_path / "work", SHARDS, settings(tmp_path / "spark")
    )

    with rig.database.writing() as session:
        done = hours.reconcile(session, asked, NOW_MS)
        found = verify(session, NOW_MS)
    with rig.database.reading() as session:
        manifest = writing.write(session, asked.archive, Wish(unfinished=True), NOW_MS, print)
    rig.database.close()
    with spark.connect(Cluster(master, SHARDS, asked.settings)) as connected:
        summed = statistics.on_cluster(connected, asked.archive, manifest, {1: "370200"})

    assert summed == statistics.by_region_and_month(asked.archive, manifest, {1: "370200"})
    assert sum(each.minutes for each in summed) == found.credited_minutes
    assert found.identical, found.differences
    assert (done.intervals, done.new_intervals) == (found.intervals, found.intervals)
    assert found.credited_minutes > 0
