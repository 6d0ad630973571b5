# SPDX-License-Identifier: Apache-2.0
"""A support bundle helps and tells nobody's secrets: planted ones are looked for in every byte."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from keys.identity import Identity
from swipe.frames import FileHeader
from terminal.cli import main
from terminal.files import IDENTITY, JOURNAL
from terminal.journal import Journal
from terminal.passport import Passport
from terminal.support import LOG_TAIL_BYTES, masked, masked_config, tail_of, write_bundle

SECRETS = {
    "pairing code": "K7QF-2M9C-XR04",
    "pairing code in small letters": "k7qf-2m9c-xr04",
    "passphrase": "correct horse battery",
    "card serial": "00005949000000000017",
    "psam number": "880000000042",
    "volunteer": "1000000004",
    "telephone": "13812345678",
    "identity number": "11010519491231002X",
    "name": "林**",
    "mail": "lin@example.org",
    "key": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "login": "gate:hunter2hunter2",
    "bearer": "eyJhbGciOi.J9.abc",
    "letter": "yika:1/aHR0cHM6Ly9h",
}
LOG = """\
2026-11-22 enrol {pairing code} again {pairing code in small letters}
PSAM passphrase="{passphrase}" psam {psam number}
tap card={card serial} volunteer {volunteer} {name} tel {telephone} id {identity number}
mail {mail} public {key}
GET https://{login}@example.org/ Authorization: Bearer {bearer}
scanned {letter}
"""


def contents(path: Path) -> dict[str, str]:
    """Return every file of a bundle."""
    with tarfile.open(path) as archive:
        return {
            Path(entry.name).name: file.read().decode()
            for entry in archive
            if (file := archive.extractfile(entry)) is not None
        }


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A terminal whose configuration, log and environment are full of secrets."""
    data = tmp_path / "data"
    data.mkdir()
    identity = Identity.generate()
    identity.save(data / IDENTITY)
    Passport(7, 1, 1, SECRETS["key"], 1, "莲花山", "Lianhua", 32).save(data)
    Journal.create(data / JOURNAL, FileHeader(7, 1, identity.public_key))
    (tmp_path / "gate.toml").write_text(
        f'[terminal]\nname = "gate"\ndata_dir = "{data}"\n'
        f'[server]\nurl = "http://{SECRETS["login"]}@127.0.0.1:9"\ntimeout_s = 1\n'
        f'[reader]\npsam = "soft:{tmp_path}/psam"\ncard = "pcsc:None"\n'
    )
    (tmp_path / "yika.log").write_text(LOG.format(**SECRETS))
    monkeypatch.setenv("YIKA_PSAM_PASSPHRASE", SECRETS["passphrase"])
    return tmp_path


def test_no_planted_secret_is_in_the_bundle(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Secrets in configuration, log, environment and files are in no byte of the bundle."""
    out = box / "b.tar.gz"
    line = ["--config", str(box / "gate.toml"), "support-bundle", "--out", str(out)]
    main([*line, "--log", str(box / "yika.log"), "--json"])

    assert json.loads(capsys.readouterr().out)["file"] == str(out)
    found = contents(out)
    private = (box / "data" / IDENTITY).read_text().splitlines()[1]
    whole = "\n".join(found.values())
    for what, secret in {**SECRETS, "private key": private}.items():
        assert secret not in whole, what
    assert out.stat().st_mode & 0o777 == 0o600


def test_the_bundle_helps(box: Path) -> None:
    """Doctor, versions, configuration, machine, update, journal figures and the log are there."""
    out = box / "b.tar.gz"
    main(
        ["--config", str(box / "gate.toml"), "support-bundle", "--out", str(out),
         "--log", str(box / "yika.log")]
    )  # fmt: skip
    found = contents(out)

    assert sorted(found) == [
        "config.json", "doctor.json", "journal.json", "log-1.txt", "machine.json", "update.json",
        "versions.json",
    ]  # fmt: skip
    assert json.loads(found["config.json"])["terminal"]["name"] == "gate"
    assert json.loads(found["journal.json"])["unsent"] == 0
    assert any(not part["fine"] for part in json.loads(found["doctor.json"])["parts"])


def test_a_broken_box_gives_a_bundle_too(tmp_path: Path) -> None:
    """Without a terminal, or with a configuration that cannot be read, there is a bundle."""
    broken = tmp_path / "gate.toml"
    broken.write_text('[server]\ntoken = "abc"\nurl = \n')
    out = tmp_path / "b.tar.gz"
    main(["--config", str(broken), "support-bundle", "--out", str(out)])

    found = contents(out)
    assert "trouble.txt" in found
    assert "abc" not in found["config.json"]


def test_times_and_counts_stay() -> None:
    """What a log is for is not masked: times, counts, short numbers, versions."""
    text = "2026-11-22 09:00:01 seq=1234567 total_ms=213.4 at 1795223312000 or 1795223312 v0.2.0"

    assert masked(text) == text


def test_a_private_key_is_cut_out_whole() -> None:
    """A key in PEM is cut out, also one whose end is missing."""
    pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQ\n-----END PRIVATE KEY-----"

    assert masked(f"a {pem} b") == "a *** b"
    assert masked(f"a {pem[:40]}") == "a ***"


@pytest.mark.parametrize("name", ["password", "api_token", "pin", "psam_passphrase", "secret"])
def test_secret_keys_of_a_configuration_are_masked(name: str) -> None:
    """Whatever is called a secret is one, however deep it stands."""
    shown = masked_config(f'[a.b]\n{name} = "x-y-z"\nurl = "https://u:w@h/"')

    assert "x-y-z" not in shown
    assert "u:w" not in shown


def test_a_long_log_is_cut_at_a_line(tmp_path: Path) -> None:
    """Only the end of a long log goes in, from a whole line on."""
    log = tmp_path / "log"
    log.write_text("".join(f"line {n} of the log\n" for n in range(40_000)))

    tail = tail_of(log)
    assert len(tail) <= LOG_TAIL_BYTES
    assert tail.startswith("line ")
    assert tail.endswith("line 39999 of the log\n")


def test_parts_are_masked_once_more(tmp_path: Path) -> None:
    """Whoever adds a part to the bundle cannot leak by forgetting to mask it."""
    write_bundle(tmp_path / "b", {"x.json": {"card": SECRETS["card serial"]}})

    assert contents(tmp_path / "b") == {"x.json": '{\n "card": "…0017"\n}'}
