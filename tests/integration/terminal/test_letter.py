# SPDX-License-Identifier: Apache-2.0
"""A new box is provisioned from its letter alone: typed, from a file, or scanned."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from keys.store import FileKeyStore
from swipe.invitation import Invitation, digest
from terminal.cli import main
from terminal.config import load
from terminal.errors import ConfigError
from terminal.files import JOURNAL
from terminal.letter import scan_letter, settle_config, trust_releases
from terminal.releases.trust import Trust
from tests.factories import PASSPHRASE, make_identity
from tests.integration.terminal.bench import software_psam
from tests.integration.terminal.office import TOKEN, Office
from tests.unit.terminal.clocks import HandClock
from tests.unit.terminal.releases.publisher import Publisher

KEY = digest(make_identity("server").public_key)


@pytest.fixture
def office(
    tmp_path: Path, store: FileKeyStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    """A server, and a PSAM beside the box that is to be."""
    software_psam(tmp_path, store)
    monkeypatch.setenv("YIKA_PSAM_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("YIKA_READER_PSAM", f"soft:{tmp_path / 'psam'}")
    monkeypatch.setenv("YIKA_TERMINAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("YIKA_UPDATE_DIR", str(tmp_path / "releases"))
    office = Office(HandClock(), make_identity().public_key)
    with office.open():
        yield office


def provision(folder: Path, line: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """Provision with a line and return the answer."""
    main(["--config", str(folder / "etc" / "gate.toml"), "provision", "--code", line, "--json"])
    told: dict[str, object] = json.loads(capsys.readouterr().out)
    return told


def test_a_letter_is_all_a_new_box_needs(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without any file before, the box has its configuration, its enrolment and its journal."""
    line = Invitation(office.url, KEY, TOKEN).to_text()
    told = provision(tmp_path, line, capsys)

    assert (told["terminal"], told["releases_trusted"]) == (4711, False)
    config = tmp_path / "etc" / "gate.toml"
    assert load(config).server.url == office.url
    assert config.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data" / JOURNAL).exists()
    assert provision(tmp_path, line, capsys)["fingerprint"] == told["fingerprint"]


def test_another_server_gets_no_code(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that does not show the key of the letter never sees the pairing code."""
    line = Invitation(office.url, digest(b"other"), TOKEN).to_text()
    with pytest.raises(SystemExit):
        provision(tmp_path, line, capsys)

    assert "letter" in capsys.readouterr().err
    assert office.enrolled == []


def test_a_misread_letter_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One wrong character, and the person is asked to read again; nothing is written."""
    line = Invitation("https://h", KEY, TOKEN).to_text().replace("https", "httpx")
    with pytest.raises(SystemExit):
        provision(tmp_path, line, capsys)

    assert "misread" in capsys.readouterr().err
    assert not (tmp_path / "etc").exists()


def test_a_configuration_that_is_there_is_not_changed(tmp_path: Path) -> None:
    """Where the file names another server, the difference is told and the file stays."""
    config = tmp_path / "gate.toml"
    config.write_text('[server]\nurl = "https://one"\n')
    with pytest.raises(ConfigError, match="https://two"):
        settle_config(config, Invitation("https://two", KEY, "A"), {})

    assert config.read_text() == '[server]\nurl = "https://one"\n'
    same = settle_config(config, Invitation("https://one", KEY, "A"), {})
    assert same.server.url == "https://one"


class Scanned:
    """A scanner that reads other things before the letter."""

    def __init__(self, *codes: bytes) -> None:
        self.waiting = list(codes)

    def codes(self) -> list[bytes]:
        """Return the next code."""
        return [self.waiting.pop(0)] if self.waiting else []


def test_the_scanner_passes_over_other_codes() -> None:
    """Soap, noise and tickets before the letter do no harm; nothing at all ends in two minutes."""
    letter = Invitation("https://h", KEY, "A").to_text()
    scanner = Scanned(b"6901234567892", b"\xff\x00", letter.encode())

    assert scan_letter(scanner) == letter  # type: ignore[arg-type]
    ticks = iter([0.0, 121.0])
    with pytest.raises(ConfigError):
        scan_letter(Scanned(), lambda: next(ticks))  # type: ignore[arg-type]


def test_the_letter_names_the_publisher(tmp_path: Path) -> None:
    """The first root is taken if it is the one the letter names, and no other."""
    publisher = Publisher(tmp_path)
    (tmp_path / "gate.toml").write_text(f'[update]\ndir = "{tmp_path / "releases"}"\n')
    config = load(tmp_path / "gate.toml", {})
    other = Invitation("https://h", KEY, "A", root_digest=digest(b"other"))
    named = Invitation("https://h", KEY, "A", root_digest=digest(publisher.file("1.root.json")))

    assert not trust_releases(config, other, publisher.lines())
    assert trust_releases(config, named, publisher.lines())
    assert Trust(config.update_dir / "metadata").established
    assert trust_releases(config, other, publisher.lines())
