# SPDX-License-Identifier: Apache-2.0
"""The command yika-keys: what it prints, and how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keys.cli import PASSPHRASE_ENV, PSAM_PASSPHRASE_ENV, main
from keys.kcv import kcv
from keys.psam import SoftwarePsam
from keys.purse import diversify
from keys.usage import SCHEME_USAGES
from tests.contracts.softhsm import MODULE, PIN, SO_PIN
from tests.factories import PASSPHRASE
from tests.integration.keys.pty_room import PtyRoom, opening
from tests.unit.keys.room import PARTS


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


def test_a_program_runs_with_the_passphrase(path: str) -> None:
    """Run starts a program that finds the passphrase in its environment, once it is right."""
    program = ("--", sys.executable, "-c", f"import os; print(len(os.environ['{PASSPHRASE_ENV}']))")
    done = _run("run", "--store", path, *program)

    assert done.stdout.strip() == str(len(PASSPHRASE))
    assert _run("run", "--store", path, *program, **{PASSPHRASE_ENV: "wrong"}).stdout == ""


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """Give the name of a SoftHSM2 token and the environment that finds it."""
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    conf = folder / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n", "utf-8")
    environment = {"SOFTHSM2_CONF": str(conf), PASSPHRASE_ENV: PIN}
    command = ["softhsm2-util", "--init-token", "--free", "--label", "yika", "--pin", PIN]
    subprocess.run(
        [*command, "--so-pin", SO_PIN],
        check=True,
        capture_output=True,
        timeout=60,
        env={**os.environ, **environment},
    )
    return f"pkcs11:{MODULE}?token=yika&audit={folder}/hsm.audit", environment


def test_a_ceremony_and_its_keys_live_on_a_token(
    token: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    """The ceremony stores on a token; check, rotation, key block and doctor work there as well."""
    spec, environment = token
    room = PtyRoom(
        ("ceremony", "--store", spec, "--transcript", "t.json", "--key", "tac:1:3des"),
        tmp_path,
        **environment,
    )
    opening(room)
    for part in PARTS:
        room.answer("your component", part)
        room.answer("again", part)
        room.answer("(y/n)", "y")
    room.answer("type yes", "yes")
    assert room.close() == 0, room.screen
    key = bytes(a ^ b ^ c for a, b, c in zip(*map(bytes.fromhex, PARTS), strict=True))
    card = kcv(diversify(key, bytes.fromhex("0000594900000018")))

    args = ("derive-check", "--store", spec, "tac", "--factor", "0000594900000018")
    done = _run(*args, "--expect", card, **environment)
    assert done.returncode == 0, done.stderr
    assert "v2" in _run("rotate", "--store", spec, "tac", **environment).stdout
    told = json.loads(_run("doctor", "--store", spec, "--json", **environment).stdout)
    assert told["healthy"]
    assert "sm-keys" in {complaint["name"] for complaint in told["complaints"]}


def test_a_wrong_pin_is_told(token: tuple[str, dict[str, str]]) -> None:
    """Doctor says that the token refuses the PIN, and that it counts; the PIN is not repeated."""
    spec, environment = token

    done = _run("doctor", "--store", spec, **{**environment, PASSPHRASE_ENV: "999999"})

    assert done.returncode == 1
    assert "refuses the PIN" in done.stdout
    assert "999999" not in done.stdout + done.stderr


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
    path: str,
    args: tuple[str, ...],
    environment: dict[str, str],
    status: int,
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An expected failure exits 1, a wrong call 2; the last line names cause or next step."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as caught:
        for name, value in {PASSPHRASE_ENV: PASSPHRASE, **environment}.items():
            patch.setenv(name, value)
        main([part.format(path=path) for part in args])

    assert caught.value.code == status
    assert text in capsys.readouterr().err
