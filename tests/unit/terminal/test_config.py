# SPDX-License-Identifier: Apache-2.0
"""The configuration file and what the environment changes in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminal.config import CONFIG_SIZE_MAX, NO_POSITION, load
from terminal.errors import ConfigError

FULL = """
[terminal]
name = "gate-1"
data_dir = "/var/lib/gate"
training = true
[server]
url = "https://yika.example:8443/base"
timeout_s = 5
keep_alive_s = 600
[reader]
card = "pcsc:Gate 00 00"
psam = "soft:/var/lib/gate/psam"
[display]
device = "tty:/dev/ttyUSB0"
[keypad]
device = "none"
[site]
latitude = 22.5
longitude = 114
[clock]
drift_ppm = 5
"""


def written(folder: Path, text: str) -> Path:
    """Write a configuration file."""
    path = folder / "terminal.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_key_is_read(tmp_path: Path) -> None:
    """A full file gives a full configuration."""
    config = load(written(tmp_path, FULL), {})

    assert (config.terminal.name, config.terminal.training) == ("gate-1", True)
    assert config.data_dir == Path("/var/lib/gate")
    assert (config.server.timeout_s, config.server.keep_alive_s) == (5, 600)
    assert config.reader.psam == "soft:/var/lib/gate/psam"
    assert (config.display.device, config.keypad.device) == ("tty:/dev/ttyUSB0", "none")
    assert (config.site.lat, config.site.lon) == (225_000_000, 1_140_000_000)
    assert config.clock.drift_ppm == 5


def test_without_a_file_there_are_defaults() -> None:
    """Everything has a default; a terminal without position says so."""
    config = load(None, {})

    assert (config.site.lat, config.site.lon) == (NO_POSITION, NO_POSITION)
    assert config.display.device == "none"


def test_environment_wins(tmp_path: Path) -> None:
    """Each key is overridden by YIKA_<SECTION>_<KEY>; other variables are not ours."""
    environ = {
        "YIKA_SERVER_URL": "https://10.0.0.1",
        "YIKA_SERVER_TIMEOUT_S": "7",
        "YIKA_TERMINAL_TRAINING": "false",
        "YIKA_SITE_LATITUDE": "1.5",
        "YIKA_OTHER_THING": "x",
    }
    config = load(written(tmp_path, FULL), environ)

    assert (config.server.url, config.server.timeout_s) == ("https://10.0.0.1", 7)
    assert (config.terminal.training, config.site.latitude) == (False, 1.5)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[server]\nport = 1", "unknown key port in [server]"),
        ("[servers]\nurl = 'x'", "unknown section [servers]"),
        ("server = 1", "[server] must be a table"),
        ("[server]\nurl = 5", "[server] url must be of type str"),
        ("[server]\ntimeout_s = true", "[server] timeout_s must be of type int"),
        ("[server]\nurl = 'ftp://x'", "[server] url is no http or serial address"),
        ("[server]\nurl = 'http://'", "[server] url is no http or serial address"),
        ("[server]\nurl = 'http://10.0.0.1'", "[server] url: http to another machine"),
        ("[server]\nurl = 'serial:/dev/x?baud=1'", "[server] url is no http or serial address"),
        ("[server]\npin = 'abc'", "[server] pin must be sha256: and 64 hex digits"),
        ("[server]\ntimeout_s = 0", "[server] timeout_s must be 1 to 120"),
        ("[server]\nkeep_alive_s = 1", "[server] keep_alive_s must be 60 to 86400"),
        ("[reader]\ncard = 'usb'", "[reader] card: pcsc: or serial:"),
        ("[reader]\npsam = 'file:x'", "[reader] psam: pcsc: or soft:"),
        ("[display]\ndevice = 'x'", "[display] device must be tty:/… or none"),
        ("[keypad]\ndevice = 'tty:x'", "[keypad] device must be tty:/… or none"),
        ("[site]\nlatitude = 91.0", "[site] latitude must be -90 to 90"),
        ("[site]\nlongitude = 181.0", "[site] longitude must be -180 to 180"),
        ("[clock]\ndrift_ppm = 0", "[clock] drift_ppm must be 1 to 1000"),
        ("[printer]\nbaud = 9601", "[printer] baud must be one of 1200"),
        ("[printer]\ncolumns = 33", "[printer] columns: 32, 42, 48"),
        ("[display]\nkind = 'vfd'", "[display] kind must be one of text, st7920"),
        ("[gps]\ndevice = 'usb'", "[gps] device must be tty:/… or none"),
        ("[sounder]\ndevice = 'tty:/x'", "[sounder] device must be evdev:/… or none"),
        ("[terminal", "Expected ']'"),
    ],
)
def test_wrong_configurations_are_named(tmp_path: Path, text: str, complaint: str) -> None:
    """The error names the file and what is wrong in it."""
    path = written(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        load(path, {})

    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[server]\n# port = 0\nport = 1\n", 3),
        ("server.timeout_s = 5\n\nserver.port = 1", 3),
        ("server = { timeout_s = 5, port = 1 }", 1),
        ('[terminal]\nname = """\nport = 1\n"""\n[server]\n\'port\' = [\n 1,\n]\n', 6),
        ("[terminal]\nname = 'x'\n[servers]\nurl = 'x'", 3),
        ("[server]\n\ntimeout_s = 0", 3),
        ("[server]\n\n\ntimeout_s = true", 4),
    ],
)
def test_the_line_is_named(tmp_path: Path, text: str, line: int) -> None:
    """Whatever way a wrong key is written, the error names the line it stands in."""
    path = written(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        load(path, {})

    assert caught.value.where == f"{path}:{line}"


def test_a_key_that_repeats_itself_everywhere_is_still_an_error(tmp_path: Path) -> None:
    """Where the line cannot be found among thousands of words, the file alone is named."""
    noise = "# port\n" * 3000
    path = written(tmp_path, f"{noise}[server]\nport = 1\n")

    with pytest.raises(ConfigError, match="unknown key port") as caught:
        load(path, {})

    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("YIKA_SERVER_TIMEOUT_S", "soon"), ("YIKA_TERMINAL_TRAINING", "yes")],
)
def test_wrong_variables_are_named(variable: str, value: str) -> None:
    """The error names the variable."""
    with pytest.raises(ConfigError, match=variable):
        load(None, {variable: value})


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is an error, not a default."""
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml", {})


def test_huge_file_is_not_read(tmp_path: Path) -> None:
    """A file beyond a page of text is no configuration."""
    with pytest.raises(ConfigError, match="larger than"):
        load(written(tmp_path, "#" * (CONFIG_SIZE_MAX + 1)), {})


def test_binary_file_is_named(tmp_path: Path) -> None:
    """Bytes that are no text are an error."""
    path = tmp_path / "terminal.toml"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigError):
        load(path, {})
