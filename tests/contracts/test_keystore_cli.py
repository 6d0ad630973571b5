# SPDX-License-Identifier: Apache-2.0
"""The command yika-keys: what it prints, and how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keys.cli import PASSPHRASE_ENV, PSAM_PASSPHRASE_ENV
from keys.psam import SoftwarePsam
from keys.usage import SCHEME_USAGES
from tests.factories import PASSPHRASE


def _run(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "keys.cli", *args],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, PASSPHRASE_ENV: PASSPHRASE, **environment},
        check=False,
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the path of a store made by the command."""
    path = str(tmp_path_factory.mktemp("cli") / "issuer.keys")
    assert _run("init", "--store", path).returncode == 0
    return path


def test_list_names_every_key(path: str) -> None:
    """The JSON names each usage once, with version and check value, and no key."""
    done = _run("list", "--store", path, "--json")

    rows = json.loads(done.stdout)["keys"]
    assert {row["usage"] for row in rows} == {usage.value for usage in SCHEME_USAGES}
    assert {row["algorithm"] for row in rows} == {"3des", "aes"}
    assert "key" not in rows[0]


def test_kcv_agrees_with_the_list(path: str) -> None:
    """Kcv prints the check value that list prints."""
    done = _run("kcv", "--store", path, "tac")

    rows = json.loads(_run("list", "--store", path, "--json").stdout)["keys"]
    assert done.stdout.strip() == next(row["kcv"] for row in rows if row["usage"] == "tac")


def test_psam_is_written_and_opens(path: str, tmp_path: Path) -> None:
    """A software PSAM opens with its own passphrase and has the number asked for."""
    out = tmp_path / "pos1.psam"
    args = ("psam", "create", "--store", path, "--number", "880000000001", "--out", str(out))
    done = _run(*args, **{PSAM_PASSPHRASE_ENV: "another long passphrase"})

    assert done.returncode == 0, done.stderr
    assert SoftwarePsam.open(out, "another long passphrase").number.hex() == "880000000001"


@pytest.mark.parametrize(
    ("args", "environment", "status", "text"),
    [
        (("list", "--store", "{path}"), {PASSPHRASE_ENV: "wrong"}, 1, "wrong passphrase"),
        (("list", "--store", "{path}"), {PASSPHRASE_ENV: ""}, 1, f"set {PASSPHRASE_ENV}"),
        (("list", "--store", "{path}.none"), {}, 1, "yika-keys init"),
        (("init", "--store", "{path}"), {}, 1, "never overwritten"),
        (("init", "--store", "{path}.new"), {PASSPHRASE_ENV: "short"}, 1, "take a sentence"),
        (("kcv", "--store", "{path}", "tac", "--version", "9"), {}, 1, "no key tac version 9"),
        (("kcv", "--store", "{path}", "none"), {}, 2, "Invalid value"),
        (
            ("psam", "create", "--store", "{path}", "--number", "12", "--out", "x"),
            {},
            2,
            "12 hex digits",
        ),
        (("nothing",), {}, 2, "No such command"),
    ],
)
def test_failures_say_what_to_do(
    path: str, args: tuple[str, ...], environment: dict[str, str], status: int, text: str
) -> None:
    """An expected failure exits 1, a wrong call 2; the last line names cause or next step."""
    done = _run(*(part.format(path=path) for part in args), **environment)

    assert done.returncode == status
    assert text in done.stderr
    assert "Traceback" not in done.stderr
