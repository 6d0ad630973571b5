# SPDX-License-Identifier: Apache-2.0
"""The commands log, audit and database, on an initialised server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from server.cli import cli, load_features
from server.db import Database
from server.errors import Refused
from server.transparency.errors import LogDiverged
from swipe.cli import cli as swipe_cli
from tests.factories import PASSPHRASE, make_store


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of an initialised server on which staff has acted."""
    load_features()
    folder = tmp_path_factory.mktemp("data")
    make_store(folder / "keys.yks")
    environment = {
        "YIKA_DATA_DIR": str(folder),
        "YIKA_KEYS_PASSPHRASE": PASSPHRASE,
        "YIKA_NEW_PASSWORD": "a good password",
    }
    for words in ("init", "user add li --role staff", "site add 一站 One --by li"):
        assert call(environment, *words.split()).exit_code == 0
    return environment


def call(environment: dict[str, str], *arguments: object) -> Result:
    """Run one command of the server."""
    return CliRunner(env=environment).invoke(cli, [str(each) for each in arguments])


def test_an_exported_log_proves_offline(environment: dict[str, str], tmp_path: Path) -> None:
    """What export writes is enough to prove a leaf and to verify the proof with the log's key."""
    folder, proof = tmp_path / "log", tmp_path / "it.tlog-proof"
    exported = json.loads(call(environment, "log", "export", folder, "--records", "--json").stdout)
    key = json.loads(call(environment, "log", "key", "--json").stdout)["key"]
    record = json.loads((folder / "records.jsonl").read_text("utf-8").splitlines()[0])
    entry = (folder / "tile/entries/000.p" / str(exported["size"])).read_bytes()[2:34]

    made = CliRunner().invoke(swipe_cli, ["prove", str(folder), "--index", "0", "-o", str(proof)])
    arguments = ["verify-proof", str(proof), "--leaf", entry.hex(), "--log-key", key]
    held = CliRunner().invoke(swipe_cli, arguments)

    assert made.exit_code == held.exit_code == 0, held.output
    assert key == exported["key"] == (folder / "log-key").read_text().strip()
    assert record["record"]["kind"] == "audit-head"


def test_publishing_twice_changes_nothing(environment: dict[str, str]) -> None:
    """A second publication without news gives the same head."""
    first, second = (call(environment, "log", "publish", "--json").stdout for _ in range(2))

    assert first == second


def test_the_audit_trail_is_searched(environment: dict[str, str]) -> None:
    """Lines are found by who, what and when."""
    by_action = call(environment, "audit", "list", "--action", "site.", "--json")
    by_actor = call(environment, "audit", "list", "--by", "li")
    later = call(environment, "audit", "list", "--since", "2200-01-01T00:00")

    lines = json.loads(by_action.stdout)["lines"]
    assert [line["action"] for line in lines] == ["site.added"]
    assert "site.added site:1" in by_actor.stdout
    assert "none" in later.stdout
    assert call(environment, "audit", "list", "--since", "soon").exit_code == 2


def test_verify_ends_with_1_when_something_was_changed(environment: dict[str, str]) -> None:
    """An honest database ends with 0; one changed line of the audit trail with 1, and is named."""
    call(environment, "log", "publish")
    honest = call(environment, "audit", "verify")
    database = Database(f"sqlite:///{environment['YIKA_DATA_DIR']}/yika.db")
    with database.writing() as session:
        session.execute(sa.text("DROP TRIGGER audit_no_update"))
        session.execute(sa.text("UPDATE audit SET actor = 'zhao' WHERE action = 'site.added'"))
    database.close()
    changed = call(environment, "audit", "verify", "--quick", "--json")

    assert (honest.exit_code, "nothing was changed" in honest.stdout) == (0, True)
    found = [json.loads(line) for line in changed.stdout.splitlines()]
    assert changed.exit_code == 1
    assert [each["table"] for each in found[:-1]] == ["audit"]
    assert found[-1]["findings"] == 1


def test_roles_on_sqlite_name_the_triggers(environment: dict[str, str]) -> None:
    """Where there are no roles, the command says what guards instead."""
    shown = call(environment, "database", "roles")

    assert shown.exit_code == 0
    assert "event" in shown.stdout


def test_a_log_that_lost_leaves_begins_anew(environment: dict[str, str], tmp_path: Path) -> None:
    """Under a new origin the log goes on from what is left; the old folder and its end are kept."""
    data = tmp_path / "data"
    shutil.copytree(environment["YIKA_DATA_DIR"], data)
    copied = environment | {"YIKA_DATA_DIR": str(data)}
    backup = tmp_path / "yika.backup"
    call(copied, "log", "publish")
    shutil.copy(data / "yika.db", backup)
    call(copied, "site", "add", "三站", "Three", "--by", "li")
    published = json.loads(call(copied, "log", "publish", "--json").stdout)["size"]
    for file in data.glob("yika.db*"):
        file.unlink()
    shutil.copy(backup, data / "yika.db")
    words = ("log", "restart", "--by", "wang", "--reason", "恢复自备份")
    named = copied | {"YIKA_EVIDENCE_ORIGIN": "log.example.org/2"}

    assert isinstance(call(copied, "log", "publish").exception, LogDiverged)
    assert "evidence.origin" in str(call(copied, *words).exception)
    begun = call(named, *words, "--json")
    assert begun.exit_code == 0, begun.exception
    made = json.loads(begun.stdout)

    assert made["origin"] == "log.example.org/2"
    assert (Path(made["kept"]) / "checkpoint").exists()
    assert str(published) in Path(made["kept"]).name
    assert isinstance(call(named, *words).exception, Refused)
    assert call(named, "log", "publish").exit_code == 0
