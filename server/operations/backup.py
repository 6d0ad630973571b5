# SPDX-License-Identifier: Apache-2.0
"""A backup: database, key store, signing key, and a signed manifest with the figures to expect.

The passphrase of the key store is not in it: keep that elsewhere, or the backup is worth nothing to
a thief and everything to nobody.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keys.files import write_private
from keys.identity import Identity
from keys.verify import SIGNATURE_SIZE, verify
from server.config import Config
from server.db import Database
from server.errors import Refused
from server.operations import copying
from server.operations.figures import Figures
from server.runtime import Runtime
from server.schema import current_revision

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
CONTEXT = b"yika/backup/1\0"
FORMAT = "yika-backup/1"
PARTIAL = ".partial"
MANIFEST_BYTES_MAX = 1 << 20
READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself."""

    made: str
    revision: str
    database: str
    files: dict[str, str]
    figures: Figures
    public_key: str

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Manifest:
        """Read it; raise KeyError or TypeError where it is not one."""
        values = {**document, "figures": Figures(**document["figures"])}
        values.pop("format")
        return cls(**values)


def make(runtime: Runtime, target: Path) -> Manifest:
    """Write a backup into a new folder; it takes its name when it is complete.

    Raises:
        Refused: the folder exists, or a tool of the database fails; nothing is left behind.
    """
    if target.exists():
        raise Refused("exists", f"{target} 已存在", f"{target} exists; name a new folder")
    with _growing(target) as folder:
        database, found = copying.copy_out(runtime.database, folder)
        for path in _own_files(runtime.config):
            shutil.copyfile(path, folder / path.name)
        files = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
        for path in folder.iterdir():
            path.chmod(0o600)
        manifest = Manifest(
            made=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            revision=current_revision(runtime.database) or "",
            database=database,
            files=files,
            figures=found,
            public_key=runtime.identity.public_key.hex(),
        )
        _sign(folder, manifest, runtime.identity)
    return manifest


def check(folder: Path, public_key: bytes | None = None) -> Manifest:
    """Check a backup's signature and every file; return what it says.

    ``public_key`` is the server's, from elsewhere; without it the backup's own word is taken, which
    shows accidents, not attackers.

    Raises:
        Refused: what is missing, changed or not signed by that key.
    """
    try:
        raw = _read(folder / MANIFEST)
        manifest = Manifest.from_json(json.loads(raw))
        signature = _read(folder / SIGNATURE)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(
            "no-backup", f"{folder} 不是完整的备份", f"{folder} is no complete backup: {error}"
        ) from error
    key = public_key or bytes.fromhex(manifest.public_key)
    if len(signature) != SIGNATURE_SIZE or not verify(key, signature, CONTEXT, raw):
        raise Refused(
            "signature", "备份清单的签名不对", f"{folder / MANIFEST}: not signed by that key"
        )
    for name, expected in manifest.files.items():
        found = _sha256(folder / name) if (folder / name).is_file() else "nothing"
        if found != expected:
            raise Refused(
                "file-changed", f"{name} 与清单不符",
                f"{folder / name}: expected SHA-256 {expected}, found {found}",
            )  # fmt: skip
    return manifest


def restore(folder: Path, config: Config, public_key: bytes | None = None) -> Manifest:
    """Bring a backup back into an empty data folder and an empty database.

    Raises:
        Refused: the backup does not check, or something is there already; nothing was changed.
    """
    manifest = check(folder, public_key)
    targets = {path.name: path for path in _places(config)}
    present = [path for name, path in targets.items() if name in manifest.files and path.exists()]
    if present:
        raise Refused(
            "not-empty", f"{present[0]} 已存在，未作任何改动",
            f"{present[0]} exists; nothing was changed: restore into an empty folder",
        )  # fmt: skip
    config.data.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(config.database_url)
    try:
        copying.copy_in(folder / manifest.database, database)
    finally:
        database.close()
    for name in manifest.files.keys() & targets.keys():
        write_private(targets[name], (folder / name).read_bytes(), replace=False)
    return manifest


def _places(config: Config) -> list[Path]:
    """Name the files besides the database, where this configuration has them."""
    places = [config.identity_path, config.sealed_identity_path, config.secret_path]
    if not config.key_store.startswith("pkcs11:"):
        store = config.key_store_path
        places += [store, store.with_name(store.name + ".audit")]
    return places


def _own_files(config: Config) -> list[Path]:
    return [path for path in _places(config) if path.is_file()]


@contextmanager
def _growing(target: Path) -> Iterator[Path]:
    """Give a folder that takes its name at the end, or is removed."""
    folder = target.with_name(target.name + PARTIAL)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _sign(folder: Path, manifest: Manifest, identity: Identity) -> None:
    document = {
        "format": FORMAT,
        "made": manifest.made,
        "revision": manifest.revision,
        "database": manifest.database,
        "files": manifest.files,
        "figures": manifest.figures.to_json(),
        "public_key": manifest.public_key,
    }
    raw = json.dumps(document, sort_keys=True, indent=1).encode()
    write_private(folder / MANIFEST, raw, replace=False)
    write_private(folder / SIGNATURE, identity.sign(CONTEXT, raw), replace=False)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MANIFEST_BYTES_MAX)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()
