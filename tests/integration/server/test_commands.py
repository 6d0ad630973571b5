# SPDX-License-Identifier: Apache-2.0
"""yika-server as staff use it: set up, people, terminals, and the running server itself."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from server.cli import cli, load_features
from tests.factories import PASSPHRASE, make_store

PROGRAM = [sys.executable, "-m", "server"]
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 15.0


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of an initialised server with one staff user and one administrator."""
    load_features()
    folder = tmp_path_factory.mktemp("data")
    make_store(folder / "keys.yks")
    environment = {
        "YIKA_DATA_DIR": str(folder),
        "YIKA_KEYS_PASSPHRASE": PASSPHRASE,
        "YIKA_NEW_PASSWORD": "a good password",
    }
    run(environment, "init")
    run(environment, "user", "add", "li", "--role", "staff")
    run(environment, "user", "add", "wang", "--role", "admin")
    run(environment, "site", "add", "一站", "Site one")
    return environment


def call(environment: dict[str, str], *arguments: str) -> Result:
    """Run one command in this process."""
    return CliRunner(env=environment).invoke(cli, arguments)


def run(environment: dict[str, str], *arguments: str) -> str:
    """Run one command that must work and return what it printed."""
    result = call(environment, *arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def answer(environment: dict[str, str], *arguments: str) -> Any:
    """Run one command with --json and return its answer."""
    return json.loads(run(environment, *arguments, "--json"))


def test_init_twice_changes_nothing(environment: dict[str, str]) -> None:
    """A second init creates nothing and leaves the schema where it is."""
    again = answer(environment, "init")

    assert again["created"] == []
    assert again["schema"]["before"] == again["schema"]["after"]
    assert again["key_store_exists"]


def test_init_names_the_next_step_without_a_key_store(tmp_path: Path) -> None:
    """On an empty machine init says how to make the key store."""
    printed = run({"YIKA_DATA_DIR": str(tmp_path)}, "init")

    assert "yika-keys init" in printed


def test_volunteer_card_and_loss(environment: dict[str, str]) -> None:
    """A volunteer gets number and code; a card is registered, lost and found."""
    added = answer(environment, "volunteer", "add", "王小明", "--birth", "1990-05-17")
    number = added["number"]
    serial = answer(environment, "card", "serial")["asn"]

    run(environment, "card", "register", number, serial)
    run(environment, "card", "lost", serial, "--at", "2026-11-20T09:00", "--reason", "bus")
    run(environment, "card", "restore", serial)

    assert added["masked_name"] == "王**"
    assert answer(environment, "volunteer", "code", number)["code"] != added["code"]


def test_guardian_is_named(environment: dict[str, str]) -> None:
    """A minor is taken in with a guardian, who can be changed."""
    adult = answer(environment, "volunteer", "add", "何俊杰", "--birth", "1984-10-23")["number"]
    child = answer(
        environment, "volunteer", "add", "何小雨", "--birth", "2014-05-05", "--guardian", adult
    )["number"]

    run(environment, "volunteer", "guardian", child, adult)
    nobody = call(environment, "volunteer", "guardian", child, "1000000004")

    assert child != adult
    assert nobody.exit_code != 0


def test_terminal_takes_two_people(environment: dict[str, str]) -> None:
    """A terminal is ordered by one; the same person, and nobody unknown, can approve it."""
    ordered = answer(environment, "terminal", "add", "pos-a", "--site", "1", "--by", "li")
    terminal = str(ordered["id"])

    same = call(environment, "terminal", "approve", terminal, "--by", "li")
    nobody = call(environment, "terminal", "approve", terminal, "--by", "zhao")

    assert ordered["token"]
    assert "two different people" in str(same.exception)
    assert "no staff user" in str(nobody.exception)
    listed = answer(environment, "terminal", "list")["terminals"]
    assert [(row["name"], row["state"]) for row in listed] == [("pos-a", "pending")]
    assert "pos-a" in run(environment, "terminal", "list")


def test_activity_and_psam(environment: dict[str, str]) -> None:
    """An activity is planned in Shanghai time; a further PSAM takes two people."""
    terminal = answer(environment, "terminal", "add", "pos-p", "--site", "1", "--by", "li")["id"]
    run(
        environment,
        "activity",
        "add",
        "1",
        "G",
        "导览",
        "Guide",
        "2026-11-21T09:00",
        "2026-11-21T12:00",
    )

    run(environment, "psam", "add", str(terminal), "880000000002", "--from-seq", "9", "--by", "li")
    same = call(environment, "psam", "approve", "880000000002", "--by", "li")
    run(environment, "psam", "approve", "880000000002", "--by", "wang")

    assert "two different people" in str(same.exception)
    told = answer(environment, "terminal", "keys", str(terminal))["psams"]
    assert [(one["number"], one["state"], one["ordered_by"]) for one in told] == [
        ("880000000002", "active", "li")
    ]
    assert "880000000002" in run(environment, "terminal", "keys", str(terminal))
    run(environment, "terminal", "revoke", str(terminal), "--reason", "test", "--by", "li")


def test_psam_that_was_set_apart_is_released(environment: dict[str, str]) -> None:
    """One that is in use needs no release; one set apart comes back by another than ordered it."""
    terminal = answer(environment, "terminal", "add", "pos-r", "--site", "1", "--by", "li")["id"]
    number = "880000000003"
    run(environment, "psam", "add", str(terminal), number, "--from-seq", "9", "--by", "li")
    run(environment, "psam", "approve", number, "--by", "wang")
    release = ["psam", "release", number, "--reason", "tried at the bench", "--by"]
    assert "not set apart" in str(call(environment, *release, "wang").exception)
    with sqlite3.connect(Path(environment["YIKA_DATA_DIR"]) / "yika.db") as database:
        database.execute("update psam set state = 'quarantined' where hex(number) = ?", (number,))

    same = call(environment, *release, "li")
    released = answer(environment, *release, "wang")

    assert "two different people" in str(same.exception)
    assert (released["state"], released["gap_flags"]) == ("active", 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ["psam", "add", "1", "xyz", "--from-seq", "1", "--by", "li"],
        ["card", "lost", "59490000000000000001", "--at", "yesterday"],
        ["volunteer", "add", "王", "--birth", "17.5.1990"],
        ["user", "add", "x", "--role", "king"],
        ["terminal", "add", "x"],
    ],
)
def test_wrong_usage_ends_with_two(environment: dict[str, str], arguments: list[str]) -> None:
    """What cannot be meant is a usage error, exit status 2."""
    assert call(environment, *arguments).exit_code == 2


def test_every_command_has_help_with_an_example(environment: dict[str, str]) -> None:
    """Every command explains itself in both languages and with an example."""
    assert environment
    for name, group in cli.commands.items():
        commands = getattr(group, "commands", {name: group})
        for command in commands.values():
            assert command.help, command.name
            assert "Example" in (command.epilog or ""), command.name


def program(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real program."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_expected_failure_is_one_line_and_status_one(environment: dict[str, str]) -> None:
    """A refusal is one line on standard error in both languages, without a traceback."""
    done = program(environment, "card", "restore", "59490000000000099999")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == ["yika-server: 没有这张卡 · no card 59490000000000099999"]


def test_database_that_was_not_initialised_is_told(tmp_path: Path) -> None:
    """A database without schema is refused with the command to run."""
    done = program({"YIKA_DATA_DIR": str(tmp_path)}, "terminal", "list")

    assert done.returncode == 1
    assert "run yika-server init" in done.stderr


@contextmanager
def running(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the real server on a free port until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*PROGRAM, "run", "--port", str(port)],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process, port
    finally:
        process.kill()
        process.communicate()


def get(port: int, path: str) -> tuple[int, bytes]:
    """GET one path; status 0 while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


def test_server_runs_and_ends_on_sigterm(environment: dict[str, str]) -> None:
    """`yika-server run` answers, works its queue off, and ends cleanly when told to."""
    with running(environment) as (process, port):
        deadline = time.monotonic() + START_TIMEOUT_S
        while get(port, "/readyz")[0] != 200:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        metrics = get(port, "/metrics")[1]
        process.send_signal(signal.SIGTERM)
        status = process.wait(STOP_TIMEOUT_S)
        _, errors = process.communicate()

    assert status == 0
    assert b"yika_requests_total" in metrics
    assert PASSPHRASE.encode() not in errors


def test_run_tells_a_wrong_passphrase_at_once(environment: dict[str, str]) -> None:
    """A key store that does not open ends the program before it listens."""
    done = program(environment | {"YIKA_KEYS_PASSPHRASE": "wrong"}, "run")

    assert done.returncode == 1
    assert "passphrase" in done.stderr
    assert len(done.stderr.splitlines()) == 1
