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

from keys.errors import KeysError
from keys.identity import Identity
from keys.store import FileKeyStore
from server.clock import Clock, SystemClock
from server.config import Config
from server.db import Database
from server.errors import ConfigError
from server.telemetry import Metrics

EXTENSION = "yika"
WEB_SECRET_BYTES = 32


@dataclass(frozen=True)
class Runtime:
    """The parts of a running server."""

    config: Config
    database: Database
    clock: Clock
    identity: Identity
    store: FileKeyStore
    web_secret: bytes = field(repr=False)
    metrics: Metrics = field(default_factory=Metrics)

    def close(self) -> None:
        """Release the database."""
        self.database.close()


def initialise_files(config: Config) -> list[str]:
    """Create the data folder, the signing identity and the web secret where they are missing.

    Returns the paths that were created; what exists is never touched.
    """
    config.data.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    created = []
    if not config.identity_path.exists():
        Identity.generate().save(config.identity_path)
        created.append(str(config.identity_path))
    if not config.secret_path.exists():
        _write_private(config.secret_path, secrets.token_hex(WEB_SECRET_BYTES).encode())
        created.append(str(config.secret_path))
    return created


def open_runtime(config: Config, clock: Clock | None = None) -> Runtime:
    """Open database, identity and key store as configured.

    Raises:
        ConfigError: a file is missing or cannot be opened; the text says what to run.
    """
    for path in (config.identity_path, config.secret_path):
        if not path.exists():
            raise ConfigError(f"{path} is missing: run yika-server init")
    try:
        store = FileKeyStore.open(config.key_store_path, config.keys.passphrase)
    except (KeysError, FileNotFoundError) as error:
        raise ConfigError(f"key store {config.key_store_path}: {error}") from error
    try:
        database = Database(config.database_url)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return Runtime(
        config=config,
        database=database,
        clock=clock or SystemClock(),
        identity=Identity.load(config.identity_path),
        store=store,
        web_secret=config.secret_path.read_bytes(),
    )


def current_runtime() -> Runtime:
    """Return the runtime of the application that handles the current request."""
    runtime: Runtime = current_app.extensions[EXTENSION]
    return runtime


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
