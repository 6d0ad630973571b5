# SPDX-License-Identifier: Apache-2.0
"""The demonstration day on a PostgreSQL database and a SoftHSM2 token."""

from __future__ import annotations

from pathlib import Path

import pytest

from keys.audit import AuditLog
from tests.e2e.day import DAY_TIMEOUT_S, assert_full_day, playing
from tests.integration.postgres import PostgresCluster

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]


def test_day_is_the_same_on_postgresql_and_a_token(
    tmp_path: Path, postgres_cluster: PostgresCluster
) -> None:
    """On PostgreSQL and a SoftHSM2 token the same day meets the same page; --exit ends with 0."""
    url = postgres_cluster.create_database("demo_day")
    options = ("--exit", "--json", "--database", url, "--keys", "pkcs11")
    with playing(tmp_path, *options) as day:
        output, _ = day.process.communicate(timeout=DAY_TIMEOUT_S)

    assert day.process.returncode == 0, day.said.read_text(encoding="utf-8")
    assert_full_day(output, "postgresql+psycopg://")
    assert list((day.folder / "hsm" / "tokens").glob("*/*.object"))
    assert not (day.folder / "keys.yks").exists()
    for log in (day.folder / "keys.audit", day.folder / "server" / "keys.audit"):
        assert AuditLog(log).verify().lines > 50
    assert day.survivors() == []
