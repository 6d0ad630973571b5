# SPDX-License-Identifier: Apache-2.0
"""`--trace` on any command, and what one does with the file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from card import trace_file
from hardware_mocks.cardos.cos import VirtualCard
from keys.store import FileKeyStore
from tests.contracts.connection_cards import issued_card
from tests.unit.card.virtual_reader import invoke, readers_with


@pytest.fixture
def tape(tmp_path: Path, store: FileKeyStore) -> Path:
    """The trace of one `yika-card info`."""
    path = tmp_path / "tap.trace"
    done = invoke(readers_with(desk=issued_card(store)), "info", "--trace", str(path))
    assert done.exit_code == 0, done.output
    return path


def test_a_command_keeps_its_trace(tape: Path) -> None:
    """The file holds every exchange, with reader and answer to reset."""
    found = trace_file.load(tape)

    assert found.reader == "virtual:desk"
    assert found.atr
    assert [item.command[1] for item in found.exchanges] == [0xA4, 0xB2]


def test_a_cassette_is_a_reader(tape: Path) -> None:
    """`--reader cassette:FILE` answers without a card, and refuses another command."""
    again = invoke(readers_with(), "info", "--json", "--reader", f"cassette:{tape}")
    other = invoke(readers_with(), "dump", "--reader", f"cassette:{tape}")

    assert json.loads(again.stdout)["asn"] == "00000000000000000017"
    assert other.exit_code == 1
    assert "differs from the cassette" in other.stderr


def test_a_missing_cassette_is_one_line(tmp_path: Path) -> None:
    """No such file is an expected failure."""
    done = invoke(readers_with(), "info", "--reader", f"cassette:{tmp_path}/none")

    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1


def test_a_trace_is_shown_in_words(tape: Path) -> None:
    """`trace show` names each exchange; with --json it is one document."""
    words = invoke(readers_with(), "trace", "show", str(tape))
    document = json.loads(invoke(readers_with(), "trace", "show", str(tape), "--json").stdout)

    assert "SELECT by name" in words.stdout
    assert [row["name"] for row in document["exchanges"]] == [
        "SELECT by name",
        "READ RECORD by tag",
    ]
    assert not document["revealed"]


@pytest.mark.parametrize(("suffix", "begins"), [(".html", b"<!doctype"), (".pcapng", b"\n\r\r\n")])
def test_a_trace_is_exported_by_suffix(tape: Path, suffix: str, begins: bytes) -> None:
    """The name of the target says what it becomes."""
    target = tape.with_suffix(suffix)
    done = invoke(readers_with(), "trace", "export", str(tape), str(target), "--json")

    assert json.loads(done.stdout)["exchanges"] == 2
    assert target.read_bytes().startswith(begins)


def test_a_command_writes_a_page_at_once(tmp_path: Path, store: FileKeyStore) -> None:
    """`--trace x.html` needs no second step."""
    path = tmp_path / "x.html"
    invoke(readers_with(desk=issued_card(store)), "info", "--trace", str(path))

    assert "READ RECORD" in path.read_text(encoding="utf-8")


def test_a_failing_command_keeps_its_trace(tmp_path: Path) -> None:
    """What led to a failure is exactly what one wants to see."""
    path = tmp_path / "bad.trace"
    done = invoke(readers_with(desk=VirtualCard()), "info", "--trace", str(path))

    assert done.exit_code == 1
    assert trace_file.load(path).exchanges


def test_revealing_is_loud(tmp_path: Path, store: FileKeyStore) -> None:
    """Secrets in clear are announced; without a trace the flag is wrong usage."""
    readers = readers_with(desk=issued_card(store))
    path = str(tmp_path / "x.trace")
    loud = invoke(readers, "info", "--trace", path, "--reveal-secrets")
    useless = invoke(readers, "info", "--reveal-secrets")

    assert "SECRETS IN CLEAR" in loud.stderr
    assert useless.exit_code == 2


def test_a_trace_that_cannot_be_written_is_a_failure(tmp_path: Path, store: FileKeyStore) -> None:
    """A folder that is not there ends with one line."""
    readers = readers_with(desk=issued_card(store))
    done = invoke(readers, "info", "--trace", str(tmp_path / "none" / "x.trace"))

    assert done.exit_code == 1
    assert "cannot write" in done.stderr


def test_a_trace_is_minimised_by_a_command(tape: Path, tmp_path: Path) -> None:
    """The command decides what still fails; what remains is the exchange it looks for."""
    target = tmp_path / "short.trace"
    script = "import sys; sys.exit('00B2AAC8' not in open(sys.argv[1]).read())"
    done = invoke(
        readers_with(),
        "trace",
        "minimise",
        str(tape),
        str(target),
        "--",
        sys.executable,
        "-c",
        script,
    )
    never = invoke(readers_with(), "trace", "minimise", str(tape), str(target), "--", "false")

    assert done.exit_code == 0, done.output
    assert [item.command[1] for item in trace_file.load(target).exchanges] == [0xB2]
    assert never.exit_code == 1
