# SPDX-License-Identifier: Apache-2.0
"""`yika-card apdu` and `yika-card shell` through a pipe."""

from __future__ import annotations

import json
from pathlib import Path

from card import trace_file
from keys.store import FileKeyStore
from tests.contracts.connection_cards import issued_card
from tests.unit.card.virtual_reader import invoke, readers_with

SELECT = "00A4040006F059494B4101"


def test_raw_commands_are_decoded(store: FileKeyStore) -> None:
    """Several commands run over one connection, each with its answer in words."""
    readers = readers_with(desk=issued_card(store))
    words = invoke(readers, "apdu", SELECT, "00B0950038")
    document = json.loads(invoke(readers, "apdu", SELECT, "00B2AAC800", "--json").stdout)

    assert words.exit_code == 0, words.output
    assert "masked name" in words.stdout
    assert [row["name"] for row in document["exchanges"]] == [
        "SELECT by name",
        "READ RECORD by tag",
    ]


def test_costly_commands_want_to_be_meant(store: FileKeyStore) -> None:
    """A PIN is not tried without `--really`, and no command of that line is sent."""
    readers = readers_with(desk=issued_card(store))
    done = invoke(readers, "apdu", SELECT, "0020000003123456")
    meant = invoke(readers, "apdu", SELECT, "0020000003123456", "--really")

    assert done.exit_code == 1
    assert "--really" in done.stderr
    assert not done.stdout
    assert "123456" not in meant.stdout + meant.stderr + done.stderr


def test_a_refusal_ends_the_run(store: FileKeyStore) -> None:
    """What the card refuses is shown, ends the run and makes the status 1."""
    done = invoke(readers_with(desk=issued_card(store)), "apdu", "00B0960080", "0084000004")

    assert done.exit_code == 1
    assert "GET CHALLENGE" not in done.stdout
    assert len(done.stderr.strip().splitlines()) == 1


def test_what_is_no_command_is_wrong_usage() -> None:
    """Letters are wrong usage; lengths that do not fit are a failure with a reason."""
    assert invoke(readers_with(), "apdu", "xyz").exit_code == 2
    assert invoke(readers_with(), "apdu", "00A404000A00").exit_code == 1


def test_a_script_goes_through_a_pipe(store: FileKeyStore, tmp_path: Path) -> None:
    """Lines come from standard input; comments are skipped, `quit` ends, the trace is kept."""
    script = "# whose card\nselect volunteer\n\nread 0015\ndesk\nread 0016\nquit\nfly\n"
    readers = readers_with(desk=issued_card(store))
    path = tmp_path / "x.trace"
    done = invoke(readers, "shell", "--trace", str(path), text=script, store=store)

    assert done.exit_code == 0, done.output
    assert "王小明" in done.stdout
    assert "王小明".encode("gb18030").hex().upper() not in path.read_text("utf-8")
    assert len(trace_file.load(path).exchanges) > 4


def test_a_script_stops_at_its_first_failure(store: FileKeyStore) -> None:
    """The line is named, and nothing behind it is run."""
    done = invoke(readers_with(desk=issued_card(store)), "shell", text="sw 9000\nfly\nbalance\n")

    assert done.exit_code == 1
    assert done.stderr.startswith("2: ")
    assert "balance" not in done.stdout


def test_the_shell_speaks_json_lines(store: FileKeyStore) -> None:
    """With `--json` each line answers with one document."""
    readers = readers_with(desk=issued_card(store))
    done = invoke(readers, "shell", "--json", text="select volunteer\n\nbalance\n")
    rows = [json.loads(line) for line in done.stdout.splitlines()]

    assert [row["line"] for row in rows] == [1, 3]
    assert rows[1]["said"] == ["余额 / balance: 0"]
