# SPDX-License-Identifier: Apache-2.0
"""Configuration: file, environment, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.config import Config, IdentitySection, load
from server.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    """Write a configuration file."""
    path = folder / "server.toml"
    path.write_text(text, "utf-8")
    return path


def test_defaults_need_no_file() -> None:
    """Without file and environment the server listens on loopback and uses SQLite."""
    config = load(None, {})

    assert config == Config()
    assert (config.http.host, config.http.port) == ("127.0.0.1", 8000)
    assert config.database_url.startswith("sqlite:///")


def test_environment_is_above_the_file(tmp_path: Path) -> None:
    """A key in the environment wins over the same key in the file."""
    path = written(tmp_path, "[http]\nport = 1\nthreads = 2\n")

    config = load(path, {"YIKA_HTTP_PORT": "9000"})

    assert (config.http.port, config.http.threads) == (9000, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[http]\nprot = 1\n", "prot"),
        ("[web]\nport = 1\n", "web"),
        ("http = 1\n", "table"),
        ("[http]\nport = 'x'\n", "port"),
        ("[http]\nport = true\n", "port"),
        ("[worker]\nenabled = 'maybe'\n", "enabled"),
        ("[http\n", "server.toml"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Unknown sections and keys and wrong types are errors that name the place."""
    with pytest.raises(ConfigError, match=said):
        load(written(tmp_path, text), {})


def test_unknown_key_in_the_environment_is_refused() -> None:
    """A misspelt key in the environment is an error too."""
    with pytest.raises(ConfigError, match="prot"):
        load(None, {"YIKA_HTTP_PROT": "1"})


@pytest.mark.parametrize(("word", "value"), [("yes", True), ("0", False), ("OFF", False)])
def test_words_for_true_and_false(word: str, value: bool) -> None:
    """Switches take the usual words."""
    assert load(None, {"YIKA_WORKER_ENABLED": word}).worker.enabled is value


def test_secrets_do_not_show() -> None:
    """Neither passphrase nor database password stands in the configuration's repr."""
    config = load(
        None,
        {
            "YIKA_KEYS_PASSPHRASE": "open sesame",
            "YIKA_DATABASE_URL": "postgresql+psycopg://yika:hush@/yika",
        },
    )

    assert "sesame" not in repr(config)
    assert "hush" not in repr(config)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(ConfigError, match="nowhere"):
        load(tmp_path / "nowhere.toml", {})


def test_former_keys_are_read_by_number() -> None:
    """Old receipts are checked with the key of their number, of either suite."""
    section = IdentitySection(key_id=3, former=f"1:{'ab' * 32}  2:{'cd' * 64}")

    assert section.former_keys == {1: b"\xab" * 32, 2: b"\xcd" * 64}


@pytest.mark.parametrize("text", ["1", "x:ab", "1:zz", "1:abcd", "3:" + "ab" * 32])
def test_former_key_that_cannot_be_is_named(text: str) -> None:
    """No colon, no number, no hex, another length, the number of the key in use."""
    with pytest.raises(ConfigError, match="former"):
        _ = IdentitySection(key_id=3, former=text).former_keys
