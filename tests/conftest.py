# SPDX-License-Identifier: Apache-2.0
"""Fixtures that more than one package of tests uses: throw-away migrated databases.

`database` and `database_url` run a test twice, on SQLite and on PostgreSQL; the other fixtures
give one of the two.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from server.db import Database
from server.people import sign_in
from server.schema import upgrade
from server.telemetry import configure_logging
from tests.factories import QUICK
from tests.integration.postgres import PostgresCluster, Wiper
from tests.kept_pages import keep
from tests.throwaway import open_unsynced

SHARED = "yika_shared"

# The suite is a gate, so it tries the same examples every time, however slow the machine is.
# YIKA_HYPOTHESIS=search tries new ones: for looking for faults, not for passing.
settings.register_profile(
    "gate", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("YIKA_HYPOTHESIS", "gate"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files with slow tests first: at the end the other workers would wait for them."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def quick_secrets() -> Iterator[None]:
    """Secrets of people are hashed at next to no cost; other processes hash as they always do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sign_in, "ARGON2", QUICK)
        yield


@pytest.fixture(scope="session", autouse=True)
def kept_pages() -> Iterator[None]:
    """Templates and catalogues are compiled by the first application that needs them."""
    with pytest.MonkeyPatch.context() as patch:
        keep(patch)
        yield


@pytest.fixture
def log_as_server() -> Iterator[Callable[[], None]]:
    """Configure logging as the server does; undone at the end, with the stream it writes to."""
    yield configure_logging
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    """One PostgreSQL cluster for the whole test session."""
    cluster = PostgresCluster()
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def postgres_template(postgres_cluster: PostgresCluster) -> str:
    """Name of a migrated, empty PostgreSQL database that others are copied from."""
    name = "yika_template"
    database = Database(postgres_cluster.create_database(name))
    upgrade(database)
    database.close()
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a migrated, empty SQLite file that others are copied from."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    database = open_unsynced(f"sqlite:///{path}")
    upgrade(database)
    database.close()
    return path


@pytest.fixture(scope="session")
def sqlite_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the SQLite file of each test lies, one after the other."""
    return tmp_path_factory.mktemp("sqlite-shared")


@pytest.fixture
def sqlite_url(sqlite_template: Path, sqlite_folder: Path) -> str:
    """URL of a fresh migrated SQLite file."""
    path = sqlite_folder / "yika.db"
    for left in sqlite_folder.glob(f"{path.name}*"):
        left.unlink()
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def postgres_wiper(postgres_cluster: PostgresCluster, postgres_template: str) -> Iterator[Wiper]:
    """The one PostgreSQL database that tests share, each finding it empty."""
    postgres_cluster.create_database(SHARED, postgres_template)
    wiper = Wiper(postgres_cluster.dsn(SHARED))
    yield wiper
    wiper.close()


@pytest.fixture
def postgres_url(postgres_cluster: PostgresCluster, postgres_wiper: Wiper) -> str:
    """URL of a migrated PostgreSQL database without a trace of earlier tests."""
    postgres_wiper.wipe()
    return postgres_cluster.url(SHARED)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a fresh migrated database, once of each kind."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture(scope="session")
def opened() -> Callable[[str], Database]:
    """One engine for each URL: what it has learnt of statements serves the tests that follow."""
    return cache(open_unsynced)


@pytest.fixture
def database(database_url: str, opened: Callable[[str], Database]) -> Iterator[Database]:
    """A fresh migrated database, once of each kind."""
    kept = opened(database_url)
    yield kept
    kept.close()


@pytest.fixture
def sqlite_database(sqlite_url: str, opened: Callable[[str], Database]) -> Iterator[Database]:
    """A fresh migrated SQLite database."""
    kept = opened(sqlite_url)
    yield kept
    kept.close()
