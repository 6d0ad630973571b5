# SPDX-License-Identifier: Apache-2.0
"""The doctor looks at every part of a real terminal and says what is wrong and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from card.doctor import Diagnosis
from card.status_words import Text
from terminal.cli import main
from terminal.config import Config
from terminal.config_sections import DeviceSection, ReaderSection
from terminal.doctor import Around, Finding, examine
from terminal.doctor_words import words
from terminal.errors import ConfigError, Unreachable
from terminal.files import (
    CONFIG,
    HIGH_WATER,
    IDENTITY,
    JOURNAL,
    JOURNAL_DRAFT,
    sole_writer,
)
from terminal.psam_slot import open_named
from terminal.transport import Request
from tests.factories import PASSPHRASE, make_identity
from tests.integration.terminal.bench import Bench

PARTS = [
    "config", "reader", "psam", "identity", "journal", "disk", "notices", "server", "pin", "clock",
    "update", "display", "keypad", "printer", "gps", "scanner",
]  # fmt: skip


class Answers:
    """A server that shows keys, or nothing."""

    def __init__(self, body: bytes | None) -> None:
        self.body = body

    def send(self, request: Request) -> bytes:
        """Answer the request for the keys."""
        if self.body is None:
            raise Unreachable("no route to host")
        return self.body


def keys(*public: bytes) -> bytes:
    """Return the server's list of keys."""
    return json.dumps({"keys": [{"public_key": key.hex()} for key in public]}).encode()


Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def look(bench: Bench) -> Look:
    """Examine a provisioned terminal, with changes to its configuration or surroundings."""
    bench.desk.chain.journal.close()
    psam = f"soft:{bench.folder.parent / 'psam'}"
    config = replace(bench.config, reader=ReaderSection("pcsc:Hand", psam))

    def looked(changed: Config | None = None, **around: object) -> dict[str, Finding]:
        whole: dict[str, object] = {
            "transport": Answers(keys(make_identity("server").public_key)),
            "passphrase": lambda: PASSPHRASE,
            "diagnose": lambda *_, **__: [],
        }
        surroundings = Around(**(whole | around))  # type: ignore[arg-type]
        found = examine(changed or config, surroundings)
        assert [one.part for one in found] == PARTS
        return {one.part: one for one in found}

    looked.config = config  # type: ignore[attr-defined]
    return looked


def wrong(found: dict[str, Finding]) -> list[str]:
    """Return the parts that are not fine."""
    return [part for part, one in found.items() if not one.fine]


def test_a_new_terminal_lacks_what_only_the_server_gives(look: Look) -> None:
    """After provisioning everything is fine but the notices and a signed time."""
    found = look()

    assert set(wrong(found)) <= {"notices", "clock", "disk"}
    assert "software" in found["psam"].found
    assert "880000000002" not in str(found)


def test_before_it_is_enrolled_a_box_is_sent_to_provision(look: Look, tmp_path: Path) -> None:
    """A box that was never enrolled has no journal yet; nobody is told that one is gone."""
    config: Config = look.config  # type: ignore[attr-defined]
    bare = replace(
        config, terminal=replace(config.terminal, data_dir=str(tmp_path / "new" / "data"))
    )
    found = look(bare)

    assert found["journal"].found == "none yet"
    assert "provision" in found["journal"].next_step[1]
    assert "No such file" not in found["disk"].found


def test_a_journal_that_is_gone_is_never_begun_anew(look: Look, bench: Bench) -> None:
    """A box that has a receipt and no journal is told to restore a copy.

    Without a receipt nothing was ever told to anybody: that box is sent to `provision`.
    """
    (bench.folder / JOURNAL).unlink()
    (bench.folder / HIGH_WATER).write_bytes(b"a receipt")

    assert "never begin a new one" in look()["journal"].next_step[1]


def test_a_journal_that_was_never_put_in_place_is_provisioned(look: Look, bench: Bench) -> None:
    """A cut during `provision`, or a replacement that is not approved: once more."""
    (bench.folder / JOURNAL).unlink()
    fresh = look()["journal"].next_step[1]
    (bench.folder / HIGH_WATER).write_bytes(b"a receipt of the key before")
    (bench.folder / JOURNAL_DRAFT).write_bytes(b"draft")

    assert "provision` once more" in fresh
    assert look()["journal"].next_step[1] == fresh


@pytest.mark.parametrize("pem", [None, b"half a key"], ids=["gone", "damaged"])
def test_a_lost_key_leads_to_a_replacement(look: Look, bench: Bench, pem: bytes | None) -> None:
    """Enrolling again would be refused: staff has to order a replacement."""
    (bench.folder / IDENTITY).unlink()
    if pem is not None:
        (bench.folder / IDENTITY).write_bytes(pem)

    assert all("fleet replace" in words for words in look()["identity"].next_step)


def test_every_part_has_words_in_both_languages(look: Look) -> None:
    """Whatever is wrong, the expectation and the next step stand in Chinese and English."""
    for part in PARTS:
        for pair in (words(part).expected, words(part).next_step):
            assert all(pair)


def test_a_server_that_is_away_is_told(look: Look) -> None:
    """Without a server the doctor says so, and that taps go on."""
    found = look(transport=Answers(None))

    assert not found["server"].fine
    assert "taps go on" in found["server"].next_step[1]
    assert found["pin"].fine


def test_another_server_s_key_is_an_alarm(look: Look) -> None:
    """A server that shows another key than the pinned one is not the one we enrolled at."""
    assert not look(transport=Answers(keys(make_identity("other").public_key)))["pin"].fine
    assert not look(transport=Answers(b"<html>"))["pin"].fine


def test_a_reader_s_own_advice_is_passed_on(look: Look) -> None:
    """What the card SDK's doctor says of the reader is told, an empty reader is fine."""
    said = [Diagnosis("service", False, Text("坏", "bad"), Text("做", "do"), "NoService")]
    found = look(diagnose=lambda *_, **__: said)["reader"]
    empty = [Diagnosis("pcsc:Hand", False, Text("无卡", "no card"), Text("放卡", "lay"), "NoCard")]

    assert (found.fine, found.next_step) == (False, ("做", "do"))
    assert look(diagnose=lambda *_, **__: empty)["reader"].fine


def test_a_reader_without_a_name_is_told(look: Look) -> None:
    """The bare scheme names no reader: doctor and start say where the names are printed."""
    config: Config = look.config  # type: ignore[attr-defined]
    found = look(replace(config, reader=replace(config.reader, card="pcsc:")))["reader"]

    assert "yika-card readers" in found.next_step[1]
    with pytest.raises(ConfigError, match="yika-card readers"):
        open_named("card", "pcsc:")


def test_what_is_broken_on_the_disk_is_told(look: Look, bench: Bench) -> None:
    """A key others can read, a journal that is damaged, a notice that is not the server's."""
    (bench.folder / IDENTITY).chmod(0o644)
    with (bench.folder / JOURNAL).open("ab") as file:
        file.write(b"half a frame")
    for name in (CONFIG, "hotlist"):
        (bench.folder / name).write_bytes(b"forged")

    assert {"identity", "journal", "notices"} <= set(wrong(look()))


def test_a_clock_behind_the_server_s_last_time_is_told(look: Look, bench: Bench) -> None:
    """The device's clock cannot be earlier than what the server has signed."""
    assert not look(now_s=lambda: 0.0)["clock"].fine


def test_beside_the_running_program_it_disturbs_nothing(look: Look, bench: Bench) -> None:
    """While the program holds the terminal, the PSAM is said to be in use and not touched."""
    with sole_writer(bench.folder):
        found = look(passphrase=lambda: pytest.fail("asked"))

    assert found["psam"].found == "in use by the program"


def test_a_device_that_is_not_there_is_told(look: Look, tmp_path: Path) -> None:
    """A configured device whose file is missing is wrong, with where stable names are."""
    config: Config = look.config  # type: ignore[attr-defined]
    found = look(replace(config, keypad=DeviceSection(f"tty:{tmp_path}/ttyUSB7")))["keypad"]

    assert not found.fine
    assert "/dev/yika" in found.next_step[1]


def test_a_wrong_passphrase_is_told(look: Look) -> None:
    """A software PSAM that does not open is wrong."""
    assert not look(passphrase=lambda: "wrong")["psam"].fine


def test_the_command_exits_1_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a broken configuration the line is named, in text and in JSON."""
    (tmp_path / "gate.toml").write_text("[server]\nurll = 3\n")
    for flags in ([], ["--json"]):
        with pytest.raises(SystemExit) as caught:
            main(["--config", str(tmp_path / "gate.toml"), "doctor", *flags])
        assert caught.value.code == 1
        assert "urll" in capsys.readouterr().out
