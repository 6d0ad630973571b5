# SPDX-License-Identifier: Apache-2.0
"""The installation guide is followed as written, up to the point where hardware is needed."""

from __future__ import annotations

import json
import re
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from werkzeug.serving import make_server

from server.app import build_app
from server.cli import cli as server_cli
from server.cli import load_features
from server.config import load
from server.runtime import open_runtime
from terminal.cli import main as terminal
from tests.factories import CHEAP, PASSPHRASE, make_store
from tests.integration.terminal.bench import SOFT_NUMBER
from tests.unit.terminal.releases.publisher import make_wheel

GUIDE = (Path(__file__).parents[3] / "docs" / "terminal-install.md").read_text(encoding="utf-8")


def steps(heading: str, program: str) -> list[list[str]]:
    """Return the commands of a program in one section of the guide, in order."""
    section = GUIDE.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    lines = "\n".join(re.findall(r"```bash\n(.*?)```", section, re.DOTALL)).splitlines()
    whole = [part for line in lines for part in line.partition("#")[0].split("&&")]
    return [shlex.split(part)[1:] for part in whole if part.strip().startswith(program)]


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An initialised server with two people and a site; a new box with a software PSAM."""
    load_features()
    data = tmp_path / "server"
    data.mkdir()
    store = make_store(data / "keys.yks")
    store.export_software_psam(tmp_path / "psam", SOFT_NUMBER, PASSPHRASE, CHEAP)
    for name, value in {
        "YIKA_DATA_DIR": str(data),
        "YIKA_KEYS_PASSPHRASE": PASSPHRASE,
        "YIKA_NEW_PASSWORD": "a good password",
        "YIKA_RELEASE_PASSPHRASE": "correct horse",
        "YIKA_TERMINAL_DATA_DIR": str(tmp_path / "data"),
        "YIKA_UPDATE_DIR": str(tmp_path / "releases"),
        "YIKA_READER_PSAM": f"soft:{tmp_path / 'psam'}",
        "YIKA_PSAM_PASSPHRASE": PASSPHRASE,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    for line in ("init", "user add li --role staff", "user add wang --role staff"):
        at_server(line.split())
    at_server(["site", "add", "一站", "Site one"])
    return tmp_path


def at_server(arguments: list[str]) -> str:
    """Run one command of the server that must work."""
    done = CliRunner().invoke(server_cli, arguments)
    assert done.exit_code == 0, (arguments, done.output, done.exception)
    return done.stdout


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the terminal's answer; the server of the same process logs beside it."""
    lines = capsys.readouterr().out.splitlines()
    found: dict[str, Any] = json.loads(next(line for line in lines if line.startswith("{")))
    return found


@pytest.fixture
def serving(environ: Path) -> Iterator[str]:
    """The server of the guide, on the loop-back address."""
    runtime = open_runtime(load(None))
    server = make_server("127.0.0.1", 0, build_app(runtime), threaded=True)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        runtime.close()


def test_a_new_box_is_set_up_as_written(
    environ: Path,
    serving: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Order, letter, units, self-test, provision by the letter, compare, approve, doctor."""
    order, letter = steps("1 At", "yika-server")
    at_server(order)
    plain = letter[: letter.index("--tls-pin")] + letter[letter.index("--out") :]
    plain[plain.index("--url") + 1] = serving
    told = json.loads(at_server([*plain, "--json"]))
    assert "<svg" in (environ / "gate-1.html").read_text()

    units, test = steps("2 The", "/opt/yika/bin/yika-terminal")
    units[units.index("--root") + 1] = str(environ / "root")
    terminal(units)
    terminal(test)
    assert capsys.readouterr().out.count("好 ok") == 2

    monkeypatch.setenv("YIKA_TERMINAL_CONFIG", str(environ / "etc" / "yika" / "terminal.toml"))
    (enrol,) = steps("4 The", "yika-terminal")
    terminal([*enrol, "--code", told["line"], "--json"])
    enrolled = said(capsys)
    keys, approve = steps("4 The", "yika-server")
    assert enrolled["fingerprint"] in at_server(keys)
    at_server(approve)

    (doctor,) = (line for line in steps("5 Start", "yika-terminal") if line == ["doctor"])
    with pytest.raises(SystemExit):
        terminal([*doctor, "--json"])
    parts = said(capsys)["parts"]
    wrong = {part["part"] for part in parts if not part["fine"]}
    # No reader is plugged in here, and the server has told this box nothing yet.
    assert wrong <= {"reader", "notices", "clock", "disk"}


@pytest.mark.parametrize(
    ("option", "value", "cause"), [("--url", "h", "http://"), ("--out", "none/1.html", "folder")]
)
def test_a_letter_that_cannot_be_ends_no_code(
    environ: Path, option: str, value: str, cause: str
) -> None:
    """A wrong address or folder is told before a new code would end the printed one."""
    at_server(["terminal", "add", "gate-1", "--site", "1", "--by", "li"])
    words = {"--url": "http://127.0.0.1", "--out": "1.html", "--by": "li"}
    good = ["terminal", "letter", "1", *(word for pair in words.items() for word in pair)]
    bad = [value if word == words[option] else word for word in good]
    refused = CliRunner().invoke(server_cli, bad)

    assert cause in str(refused.exception)
    assert "terminal.code" not in at_server(["audit", "list", "--json"])
    at_server(good)
    assert "terminal.code" in at_server(["audit", "list", "--json"])


def test_releases_are_published_as_written(environ: Path) -> None:
    """Three keys, two signatures and one for the timestamp; publish refuses what lacks one."""
    make_wheel(environ / "yika-0.2.0-py3-none-any.whl", "release 12")
    commands = steps("Updates", "yika-server")
    public: dict[str, str] = {}
    for line in commands:
        if line[:2] == ["release", "key"]:
            name = line[2].partition(".")[0].upper()
            public[name] = json.loads(at_server([*line, "--json"]))["public"]
            continue
        if line[:2] == ["release", "sign"] and line == commands[-2]:
            refused = CliRunner().invoke(server_cli, commands[-1])
            assert refused.exit_code != 0
        at_server([public.get(word, word) for word in line])

    listed = json.loads(at_server(["release", "list", "--json"]))
    assert [release["release"] for release in listed["releases"]] == [12]
    assert all(role["signed"] >= role["threshold"] for role in listed["roles"])


def test_every_command_of_the_guide_is_one(environ: Path) -> None:
    """Each command that needs hardware or a second box is one that the programs have."""
    for heading in ("5 Start", "Updates", "A dead", "Watching"):
        for line in steps(heading, "yika-server"):
            words = line[:2]
            done = CliRunner().invoke(server_cli, [*words, "--help"])
            assert done.exit_code == 0, line
        for line in steps(heading, "yika-terminal"):
            with pytest.raises(SystemExit) as caught:
                terminal([line[0], "--help", "--no-such-option"])
            assert caught.value.code in (0, 2), line
