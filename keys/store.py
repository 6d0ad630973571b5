# SPDX-License-Identifier: Apache-2.0
"""The file key store: master keys under a passphrase, given out as operations only.

Master keys never leave as bytes. What leaves are card keys as handles, derived keys in bulk for
verification, sealed personal data, key blocks, and software PSAMs written to their own files.

Inside the envelope is a JSON list with a row for each key: usage, version, key, created, and since
the second release algorithm, retires, test and exportable. Rows of the first release lack these.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from keys import _prims
from keys.algorithm import Algorithm
from keys.envelope import DEFAULT_COST, Envelope, KdfCost
from keys.errors import BadKeyLength, KeyStoreDamaged, KeyStoreExists, NotExportable, WeakKey
from keys.files import locked, remove_drafts, write_private
from keys.hierarchy import row
from keys.keystore import KeyId, KeyInfo, KeyState, KeyStore
from keys.material import KeyMaterial
from keys.surroundings import HERE, Surroundings
from keys.tries import counted_try
from keys.usage import KeyUsage

__all__ = ["STORE_MAGIC", "FileKeyStore", "KeyInfo", "KeyState"]

STORE_MAGIC = b"YIKAKEYS"


@dataclass(frozen=True, slots=True)
class _Entry:
    info: KeyInfo
    material: KeyMaterial

    def as_row(self) -> dict[str, Any]:
        """Give the row that the file holds; the key is in it."""
        return {**self.info.as_row(), "key": self.material.reveal().hex()}

    @classmethod
    def of_row(cls, found: dict[str, Any]) -> _Entry:
        usage, material = KeyUsage(found["usage"]), KeyMaterial(bytes.fromhex(found["key"]))
        first = Algorithm.AES if usage is KeyUsage.PERSONAL_DATA else Algorithm.TDES
        algorithm = Algorithm(found.get("algorithm", first.value))
        retires = found.get("retires")
        info = KeyInfo(
            usage,
            int(found["version"]),
            material.kcv(algorithm),
            str(found["created"]),
            algorithm=algorithm,
            retires=date.fromisoformat(retires) if retires else None,
            marked_test=bool(found.get("test", False)),
            exportable=bool(found.get("exportable", row(usage).exportable)),
        )
        return cls(info, material)


class FileKeyStore(KeyStore):
    """Keep the issuer's master keys in one encrypted file."""

    backend = "file"

    def __init__(
        self, path: Path, envelope: Envelope, entries: dict[KeyId, _Entry], around: Surroundings
    ) -> None:
        super().__init__(str(path), around.log(path), around.today)
        self.path = path
        self._around = around
        self._envelope = envelope
        self._entries = entries

    def __repr__(self) -> str:
        return f"FileKeyStore({str(self.path)!r}, keys={len(self._entries)})"

    @classmethod
    def create(
        cls,
        path: Path | str,
        passphrase: str,
        cost: KdfCost = DEFAULT_COST,
        around: Surroundings = HERE,
    ) -> FileKeyStore:
        """Write a new, empty store; an existing file is never touched."""
        store = cls(Path(path), Envelope.create(STORE_MAGIC, passphrase, cost), {}, around)
        store._write_new()
        return store

    @classmethod
    def open(cls, path: Path | str, passphrase: str, around: Surroundings = HERE) -> FileKeyStore:
        """Open a store.

        Raises:
            KeyStoreLocked: wrong passphrase.
            KeyStoreThrottled: too many wrong ones before; it says how long to wait.
            KeyStoreDamaged: the file is not what was written.
        """
        place = Path(path)
        blob = place.read_bytes()
        with counted_try(place, around.now):
            envelope, plain = Envelope.open(STORE_MAGIC, passphrase, blob, str(path))
        return cls(place, envelope, _parse(plain, str(path)), around)

    @classmethod
    def restore(
        cls, backup: Path | str, path: Path | str, passphrase: str, around: Surroundings = HERE
    ) -> FileKeyStore:
        """Make a store anew from a backup and its passphrase, which the store then has too.

        A file at ``path`` is never touched: move a damaged store away first.
        """
        saved = cls.open(backup, passphrase, around)
        store = cls(Path(path), saved._envelope, saved._entries, around)
        store.audit.record(f"store {backup}", "restore", len(store._entries))
        store._write_new()
        return store

    def backup(self, path: Path | str, passphrase: str, cost: KdfCost = DEFAULT_COST) -> None:
        """Write all keys to a new file under a passphrase of its own, and read it back."""
        self.audit.record(f"store {self.path}", "backup", len(self._entries))
        envelope = Envelope.create(STORE_MAGIC, passphrase, cost)
        copy = FileKeyStore(Path(path), envelope, dict(self._entries), self._around)
        copy._write_new()
        again = _parse(envelope.unseal(Path(path).read_bytes(), str(path)), str(path))
        if again != self._entries:
            raise KeyStoreDamaged(str(path), "read back otherwise than written")

    def _infos(self) -> dict[KeyId, KeyInfo]:
        return {key: entry.info for key, entry in self._entries.items()}

    def _key(self, info: KeyInfo) -> bytes:
        return self._entries[info.usage, info.version].material.reveal()

    def _encryptor(self, info: KeyInfo) -> Callable[[bytes], bytes]:
        return _prims.encryptor(info.algorithm, self._key(info)).update

    def _cmac(self, info: KeyInfo, data: bytes) -> bytes:
        return _prims.cmac(info.algorithm, self._key(info), data)

    def _seal(self, info: KeyInfo, data: bytes, aad: bytes) -> bytes:
        return _prims.gcm_seal(self._key(info), data, aad)

    def _unseal(self, info: KeyInfo, sealed: bytes, aad: bytes) -> bytes:
        return _prims.gcm_open(self._key(info), sealed, aad)

    def _reveal(self, info: KeyInfo) -> KeyMaterial:
        if not info.exportable:
            raise NotExportable(info.usage.value, "the hierarchy or its key block says so")
        return self._entries[info.usage, info.version].material

    def _insert(self, info: KeyInfo, material: KeyMaterial | None) -> KeyInfo:
        own = _strong(info.algorithm) if material is None else KeyMaterial(material.reveal())
        entry = _Entry(replace(info, kcv=own.kcv(info.algorithm)), own)

        def add(entries: dict[KeyId, _Entry]) -> None:
            if (info.usage, info.version) in entries:
                raise KeyStoreExists(f"{self.path}: {info.usage.value} version {info.version}")
            entries[info.usage, info.version] = entry

        self._update(add)
        return entry.info

    def _date(self, info: KeyInfo, retires: date) -> None:
        def note(entries: dict[KeyId, _Entry]) -> None:
            entry = entries[info.usage, info.version]
            dated = replace(entry.info, retires=retires)
            entries[info.usage, info.version] = _Entry(dated, entry.material)

        self._update(note)

    def _sealed(self) -> bytes:
        rows = [entry.as_row() for entry in self._entries.values()]
        return self._envelope.seal(json.dumps(rows).encode())

    def _write_new(self) -> None:
        try:
            write_private(self.path, self._sealed(), replace=False, disk=self._around.disk)
        except FileExistsError as exc:
            raise KeyStoreExists(str(self.path)) from exc

    def _update(self, change: Callable[[dict[KeyId, _Entry]], None]) -> None:
        """Change the store as it is on disk now, so that two programs lose no key."""
        with locked(self.path):
            remove_drafts(self.path, self._around.disk)
            entries = _parse(
                self._envelope.unseal(self.path.read_bytes(), str(self.path)), str(self.path)
            )
            change(entries)
            before, self._entries = self._entries, entries
            try:
                write_private(self.path, self._sealed(), replace=True, disk=self._around.disk)
            except OSError:
                self._entries = before
                raise


def _strong(algorithm: Algorithm) -> KeyMaterial:
    """Make random bytes until they are no weak key, which is at once but for one time in 2^50."""
    while True:
        material = KeyMaterial.random(algorithm.key_bytes)
        try:
            material.check(algorithm)
        except WeakKey:
            continue
        return material


def _parse(plain: bytes, path: str) -> dict[KeyId, _Entry]:
    try:
        entries = [_Entry.of_row(found) for found in json.loads(plain)]
    except (ValueError, KeyError, TypeError, AttributeError, BadKeyLength) as exc:
        raise KeyStoreDamaged(path, "content not understood") from exc
    return {(entry.info.usage, entry.info.version): entry for entry in entries}
