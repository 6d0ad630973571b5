# SPDX-License-Identifier: Apache-2.0
"""Opening a server: what is created once, and what is told when something is missing."""

from __future__ import annotations

import dataclasses
import stat
from pathlib import Path

import pytest

from keys.identity import Identity, Suite
from keys.material import KeyMaterial
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from server.app import create_app
from server.config import Config, DatabaseSection, DataSection, IdentitySection, KeysSection
from server.errors import ConfigError
from server.runtime import EXTENSION, initialise_files, open_runtime, seal_identity
from tests.factories import PASSPHRASE, make_store


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration with its files in place."""
    made = Config(data=DataSection(tmp_path / "data"), keys=KeysSection(passphrase=PASSPHRASE))
    initialise_files(made)
    make_store(made.key_store_path)
    return made


def test_private_files_are_private(config: Config) -> None:
    """Folder, identity and web secret are for the server's user alone."""
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (config.data.dir, config.identity_path, config.secret_path)
    ]

    assert modes == [0o700, 0o600, 0o600]


def test_files_are_created_once(config: Config) -> None:
    """A second initialisation keeps identity and secret."""
    before = Identity.load(config.identity_path).public_key

    assert initialise_files(config) == []
    assert Identity.load(config.identity_path).public_key == before


def test_identity_may_be_of_the_second_suite(tmp_path: Path) -> None:
    """The configuration says of which suite the signing key is made; another word is refused."""
    sm2 = Config(data=DataSection(tmp_path / "a"), identity=IdentitySection(suite="sm2"))
    wrong = Config(data=DataSection(tmp_path / "b"), identity=IdentitySection(suite="rsa"))

    initialise_files(sm2)

    assert Identity.load(sm2.identity_path).suite is Suite.SM2
    with pytest.raises(ConfigError, match="ed25519 or sm2"):
        initialise_files(wrong)


@pytest.mark.parametrize("suite", ["ed25519", "sm2"])
def test_signing_key_is_kept_by_the_key_store(tmp_path: Path, suite: str) -> None:
    """Sealed, the key is the same, no plain file is left, and nothing opens without the store."""
    config = Config(
        data=DataSection(tmp_path / "data"),
        keys=KeysSection(passphrase=PASSPHRASE),
        identity=IdentitySection(suite=suite),
    )
    initialise_files(config)
    store = make_store(config.key_store_path)
    before = Identity.load(config.identity_path).public_key

    assert seal_identity(config, store)
    assert not seal_identity(config, store)

    runtime = open_runtime(config)
    runtime.close()
    assert runtime.identity.public_key == before
    assert not config.identity_path.exists()
    assert b"PRIVATE KEY" not in config.sealed_identity_path.read_bytes()
    assert initialise_files(config) == []
    config.sealed_identity_path.write_bytes(b"\x01" + bytes(80))
    with pytest.raises(ConfigError, match="signing key"):
        open_runtime(config)


def test_a_cut_while_sealing_loses_no_key(config: Config) -> None:
    """With both files the sealed one counts; another key beside it is never removed."""
    store = FileKeyStore.open(config.key_store_path, PASSPHRASE)
    plain = config.identity_path.read_bytes()
    seal_identity(config, store)
    config.identity_path.write_bytes(plain)

    assert seal_identity(config, store)
    Identity.generate().save(config.identity_path)
    with pytest.raises(ConfigError, match="another key"):
        seal_identity(config, store)
    assert config.identity_path.exists()


def test_application_opens_on_its_files(config: Config) -> None:
    """The factory opens what the configuration names; readiness tells that a schema is missing."""
    app = create_app(config)

    response = app.test_client().get("/readyz")

    app.extensions[EXTENSION].close()
    assert response.status_code == 503
    assert b"yika-server init" in response.data


@pytest.mark.parametrize("missing", ["identity_path", "secret_path", "key_store_path"])
def test_missing_file_is_named(config: Config, missing: str) -> None:
    """A file that is not there is named, with the command that makes it where there is one."""
    path: Path = getattr(config, missing)
    path.unlink()

    with pytest.raises(ConfigError, match=path.name):
        open_runtime(config)


def test_keys_of_a_rehearsal_are_refused(config: Config) -> None:
    """A store with a test key does not open for production; a rehearsal may say otherwise."""
    store = FileKeyStore.open(config.key_store_path, PASSPHRASE)
    key = KeyMaterial(bytes(range(16)))
    store.import_key(KeyUsage.TAC, 9, key, marked_test=True)

    with pytest.raises(ConfigError, match="test keys"):
        open_runtime(config)
    allowed = KeysSection(passphrase=PASSPHRASE, allow_test_keys=True)
    open_runtime(dataclasses.replace(config, keys=allowed)).close()


@pytest.mark.parametrize(
    "changes",
    [
        {"keys": KeysSection(passphrase="wrong")},
        {"database": DatabaseSection(url="mysql://localhost/yika")},
    ],
)
def test_what_does_not_open_is_told(config: Config, changes: dict[str, object]) -> None:
    """A wrong passphrase or a database of another kind ends in one line."""
    with pytest.raises(ConfigError):
        open_runtime(dataclasses.replace(config, **changes))
