# SPDX-License-Identifier: Apache-2.0
"""Applications and imports at the console."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from server.cli import cli, load_features
from server.config import load
from server.runtime import Runtime, open_runtime
from tests.factories import PASSPHRASE, make_store
from tests.integration.server.applications.desk import apply, ready
from tests.integration.server.applications.test_importing import GOOD
from tests.unit.server.applications.forms import make_submission


@pytest.fixture
def environment(tmp_path: Path, sqlite_url: str) -> dict[str, str]:
    """Environment of a fresh server."""
    load_features()
    make_store(tmp_path / "keys.yks")
    environment = {
        "YIKA_DATA_DIR": str(tmp_path),
        "YIKA_KEYS_PASSPHRASE": PASSPHRASE,
        "YIKA_DATABASE_URL": sqlite_url,
        "YIKA_KEYS_ALLOW_TEST_KEYS": "true",
    }
    assert call(environment, "init").exit_code == 0
    return environment


@pytest.fixture
def runtime(environment: dict[str, str]) -> Iterator[Runtime]:
    """The parts of that server."""
    opened = open_runtime(load(None, environment))
    yield opened
    opened.close()


def call(environment: dict[str, str], *arguments: str) -> Result:
    """Run one command in this process."""
    return CliRunner(env=environment).invoke(cli, arguments)


def answer(environment: dict[str, str], *arguments: str) -> Any:
    """Run one command that must work and return its JSON."""
    result = call(environment, *arguments, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


def test_applications_are_listed_shown_and_decided(
    environment: dict[str, str], runtime: Runtime
) -> None:
    """A list is masked, an approval prints the number, an unmet condition is one line and 1."""
    with runtime.database.writing() as session:
        good = ready(session, runtime.store, 1)
        bare = apply(session, runtime.store, make_submission(2))

    assert answer(environment, "application", "refresh") == {"moved": 1}
    [item] = answer(environment, "application", "list", "--state", "ready")["items"]
    assert (item["number"], item["masked_name"]) == (good.number, "王**")
    shown = answer(environment, "application", "show", str(bare.application_id))
    assert [one["code"] for one in shown["conditions"] if not one["met"]] == [
        "training", "pre-service",
    ]  # fmt: skip
    done = answer(environment, "application", "approve", str(good.application_id), "--by", "wang")
    assert done == {"number": "0000000014"}
    assert answer(environment, "application", "list", "--find", good.number)["items"] == []
    blocked = call(environment, "application", "approve", str(bare.application_id))
    assert blocked.exit_code == 1
    rejected = ("application", "reject", str(bare.application_id), "--reason", "资料不全")
    assert call(environment, *rejected).exit_code == 0


def test_rules_are_shown_and_set(environment: dict[str, str]) -> None:
    """A figure is set by name; a wrong one is refused, a word is a usage error."""
    assert answer(environment, "application", "rule")["pre_service_minutes"] == 600
    assert answer(environment, "application", "rule", "age_min=12")["age_min"] == 12
    assert call(environment, "application", "rule", "age_min=99").exit_code == 1
    assert call(environment, "application", "rule", "age_min=twelve").exit_code == 2


def test_a_new_version_of_a_text_is_published(environment: dict[str, str], tmp_path: Path) -> None:
    """Words come from files; the version counts up."""
    (tmp_path / "zh.txt").write_text("章程全文", "utf-8")
    (tmp_path / "en.txt").write_text("The whole charter", "utf-8")

    made = answer(
        environment, "application", "agreement", "charter", "--zh", str(tmp_path / "zh.txt"),
        "--en", str(tmp_path / "en.txt"), "--title-zh", "章程", "--title-en", "Charter",
    )  # fmt: skip

    assert made == {"kind": "charter", "version": 2}


def test_an_import_is_rehearsed_done_and_undone(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """A dry run reports and writes nothing; the import gives a number; undo takes it back."""
    file = tmp_path / "old.csv"
    file.write_bytes(GOOD)
    rehearsed = answer(environment, "volunteer", "import", str(file), "--dry-run")
    assert (rehearsed["good"], rehearsed["minutes"], rehearsed["import"]) == (3, 6_750, None)

    done = answer(environment, "volunteer", "import", str(file), "--source", "旧系统")
    assert done["import"] == 1
    assert call(environment, "volunteer", "import", str(file)).exit_code == 1
    assert call(environment, "volunteer", "import-undo", "1", "--by", "li").exit_code == 0
    assert call(environment, "volunteer", "import-undo", "1").exit_code == 1
