# SPDX-License-Identifier: Apache-2.0
"""What a running server holds: configuration, database, clock, keys, metrics.

Built once by `open_runtime`; views reach it by `current_runtime`, services are given the parts
they need as arguments.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from flask import current_app

from keys.custody import KeyStore, open_store, refuse_test_keys
from keys.errors import KeysError
from keys.files import write_private
from keys.identity import Identity, Suite
from keys.surroundings import Surroundings
from keys.usage import KeyUsage
from server.clock import Clock, SystemClock
from server.config import Config
from server.db import Database
from server.errors import ConfigError
from server.telemetry import Metrics

EXTENSION = "yika"
WEB_SECRET_BYTES = 32
KEY_AUDIT = "keys.audit"
IDENTITY_PLACE = b"yika/server-identity/1"  # binds the sealed signing key to what it is for


@dataclass(frozen=True)
class Runtime:
    """The parts of a running server."""

    config: Config
    database: Database
    clock: Clock
    identity: Identity
    store: KeyStore
    web_secret: bytes = field(repr=False)
    metrics: Metrics = field(default_factory=Metrics)

    def close(self) -> None:
        """Release the database and write the last of the key store's audit log."""
        self.database.close()
        self.store.close()


def initialise_files(config: Config) -> list[str]:
    """Create the data folder, the signing identity and the web secret where they are missing.

    Returns the paths that were created; what exists is never touched.
    """
    config.data.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    created = []
    if not (config.identity_path.exists() or config.sealed_identity_path.exists()):
        Identity.generate(_suite(config)).save(config.identity_path)
        created.append(str(config.identity_path))
    if not config.secret_path.exists():
        _write_private(config.secret_path, secrets.token_hex(WEB_SECRET_BYTES).encode())
        created.append(str(config.secret_path))
    return created


def _suite(config: Config) -> Suite:
    try:
        return Suite[config.identity.suite.upper()]
    except KeyError as error:
        raise ConfigError("[identity] suite: expected ed25519 or sm2") from error


def open_runtime(config: Config, clock: Clock | None = None) -> Runtime:
    """Open database, identity and key store as configured.

    Raises:
        ConfigError: a file is missing or cannot be opened; the text says what to run.
    """
    if not config.secret_path.exists():
        raise ConfigError(f"{config.secret_path} is missing: run yika-server init")
    if not (config.identity_path.exists() or config.sealed_identity_path.exists()):
        raise ConfigError(f"{config.identity_path} is missing: run yika-server init")
    store = _open_keys(config)
    identity = _open_identity(config, store)
    try:
        database = Database(config.database_url)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return Runtime(
        config=config,
        database=database,
        clock=clock or SystemClock(),
        identity=identity,
        store=store,
        web_secret=config.secret_path.read_bytes(),
    )


def _open_keys(config: Config) -> KeyStore:
    """Open the key store; the log of a token's keys is kept in the data folder."""
    beside = None
    if config.key_store.startswith("pkcs11:"):
        beside = config.data.dir / KEY_AUDIT
    try:
        store = open_store(
            config.key_store, config.keys.passphrase, Surroundings("yika-server", beside)
        )
        if not config.keys.allow_test_keys:
            refuse_test_keys(store)
    except (KeysError, FileNotFoundError) as error:
        raise ConfigError(f"key store {config.key_store}: {error}") from error
    return store


def seal_identity(config: Config, store: KeyStore) -> bool:
    """Put the signing key into the key store's care: sealed beside the data, the plain file gone.

    Returns whether there was a plain file. A cut in between leaves both, which are the same key.

    Raises:
        KeysError: The key store does not seal.
    """
    if not config.identity_path.exists():
        return False
    if not config.sealed_identity_path.exists():
        identity = Identity.load(config.identity_path)

        def seal(pem: bytes) -> bytes:
            return store.seal(KeyUsage.SERVER_IDENTITY, pem, IDENTITY_PLACE)

        write_private(config.sealed_identity_path, identity.sealed_by(seal), replace=False)
    if _unsealed(config, store).public_key != Identity.load(config.identity_path).public_key:
        raise ConfigError(f"{config.sealed_identity_path} holds another key; nothing was removed")
    config.identity_path.unlink()
    return True


def _open_identity(config: Config, store: KeyStore) -> Identity:
    try:
        if config.sealed_identity_path.exists():
            return _unsealed(config, store)
        return Identity.load(config.identity_path)
    except KeysError as error:
        raise ConfigError(f"signing key: {error}") from error


def _unsealed(config: Config, store: KeyStore) -> Identity:
    path = config.sealed_identity_path
    pem = store.open_sealed(KeyUsage.SERVER_IDENTITY, path.read_bytes(), IDENTITY_PLACE)
    return Identity.from_pem(pem, str(path))


def current_runtime() -> Runtime:
    """Return the runtime of the application that handles the current request."""
    runtime: Runtime = current_app.extensions[EXTENSION]
    return runtime


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
