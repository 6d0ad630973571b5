# SPDX-License-Identifier: Apache-2.0
"""The file key store: master keys under a passphrase, given out as operations only.

Master keys never leave as bytes. What leaves are card keys as handles, derived keys in bulk for
verification, sealed personal data, key blocks, and software PSAMs written to their own files.

What is inside the envelope: ``store_content``. A store may be bound to a machine: ``host``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TypeAlias

from keys import _prims
from keys.algorithm import Algorithm
from keys.envelope import DEFAULT_COST, Envelope, KdfCost
from keys.errors import (
    KeyStoreDamaged,
    KeyStoreExists,
    NotExportable,
    WeakKey,
)
from keys.files import locked, remove_drafts, write_private
from keys.host import HostMark, KeyStoreElsewhere
from keys.keystore import KeyId, KeyInfo, KeyState, KeyStore
from keys.material import KeyMaterial
from keys.store_content import Content, Entry
from keys.surroundings import HERE, Surroundings
from keys.tries import counted_try
from keys.usage import KeyUsage

__all__ = ["STORE_MAGIC", "FileKeyStore", "KeyInfo", "KeyState"]

STORE_MAGIC = b"YIKAKEYS"
_Stamp: TypeAlias = tuple[int, int, int]  # inode, modified (ns), size


class FileKeyStore(KeyStore):
    """Keep the issuer's master keys in one encrypted file."""

    backend = "file"

    def __init__(
        self, path: Path, envelope: Envelope, content: Content, around: Surroundings
    ) -> None:
        super().__init__(str(path), around.log(path), around.today)
        self.path = path
        self._around = around
        self._envelope = envelope
        self._content = content
        self._seen: _Stamp | None = None

    def __repr__(self) -> str:
        return f"FileKeyStore({str(self.path)!r}, keys={len(self._content.entries)})"

    @classmethod
    def create(
        cls,
        path: Path | str,
        passphrase: str,
        cost: KdfCost = DEFAULT_COST,
        around: Surroundings = HERE,
    ) -> FileKeyStore:
        """Write a new, empty store; an existing file is never touched."""
        store = cls(Path(path), Envelope.create(STORE_MAGIC, passphrase, cost), Content(), around)
        store._write_new()
        return store

    @classmethod
    def open(cls, path: Path | str, passphrase: str, around: Surroundings = HERE) -> FileKeyStore:
        """Open a store.

        Raises:
            KeyStoreLocked: wrong passphrase.
            KeyStoreThrottled: too many wrong ones before; it says how long to wait.
            KeyStoreDamaged: the file is not what was written.
            KeyStoreElsewhere, HostUnknown: it is bound, and not to this machine.
        """
        store = cls._read(Path(path), passphrase, around)
        mark = store._content.host
        if mark is not None and not mark.fits(around.host()):
            raise KeyStoreElsewhere(str(path))
        return store

    @classmethod
    def _read(cls, path: Path, passphrase: str, around: Surroundings) -> FileKeyStore:
        """Open a store of whatever machine."""
        blob, seen = _read_stamped(path)
        with counted_try(path, around.now):
            envelope, plain = Envelope.open(STORE_MAGIC, passphrase, blob, str(path))
        store = cls(path, envelope, Content.from_bytes(plain, str(path)), around)
        store._seen = seen
        return store

    @classmethod
    def restore(
        cls,
        backup: Path | str,
        path: Path | str,
        passphrase: str,
        around: Surroundings = HERE,
        *,
        rebind: bool = False,
    ) -> FileKeyStore:
        """Make a store anew from a backup and its passphrase, which the store then has too.

        A file at ``path`` is never touched: move a damaged store away first. A bound backup is
        restored on its own machine; with ``rebind`` on any, and the store belongs to this one.

        Raises:
            KeyStoreElsewhere: it is bound to another machine.
        """
        saved = (cls._read if rebind else cls.open)(Path(backup), passphrase, around)
        mark = HostMark.of(around.host()) if rebind else saved._content.host
        content = Content(saved._content.entries, mark)
        store = cls(Path(path), saved._envelope, content, around)
        purpose = "restore, bound to this machine anew" if rebind else "restore"
        store.audit.record(f"store {backup}", purpose, len(content.entries))
        store._write_new()
        return store

    def backup(self, path: Path | str, passphrase: str, cost: KdfCost = DEFAULT_COST) -> None:
        """Write all keys to a new file under a passphrase of its own, and read it back."""
        self.audit.record(f"store {self.path}", "backup", len(self._content.entries))
        envelope = Envelope.create(STORE_MAGIC, passphrase, cost)
        copy = FileKeyStore(Path(path), envelope, self._content, self._around)
        copy._write_new()
        if copy._on_disk()[0] != self._content:
            raise KeyStoreDamaged(str(path), "read back otherwise than written")

    @property
    def bound(self) -> bool:
        """Say whether the store opens on one machine only."""
        return self._content.host is not None

    def bind_host(self) -> None:
        """Let the store open on this machine only, from now on; raise ``HostUnknown``.

        Against accidents, not against an attacker (``host``). Backups made later are bound too.
        """
        mark = HostMark.of(self._around.host())
        self.audit.record(f"store {self.path}", "bind to this machine")

        def note(content: Content) -> None:
            content.host = mark

        self._update(note)

    def _infos(self) -> dict[KeyId, KeyInfo]:
        return {key: entry.info for key, entry in self._content.entries.items()}

    def _learn(self, usage: KeyUsage, version: int) -> None:
        """Read the file again if it is another than the one read last.

        A file taken away teaches nothing; one that cannot be read or is damaged is an error, so
        that nobody takes a key for unknown that may be there.
        """
        del usage, version
        try:
            now = _stamp(self.path.stat())
        except FileNotFoundError:
            return
        if now != self._seen:
            self._content, self._seen = self._on_disk()

    def _key(self, info: KeyInfo) -> bytes:
        return self._content.entries[info.usage, info.version].material.reveal()

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
        return self._content.entries[info.usage, info.version].material

    def _insert(self, info: KeyInfo, material: KeyMaterial | None) -> KeyInfo:
        own = _strong(info.algorithm) if material is None else KeyMaterial(material.reveal())
        entry = Entry(replace(info, kcv=own.kcv(info.algorithm)), own)

        def add(content: Content) -> None:
            if (info.usage, info.version) in content.entries:
                raise KeyStoreExists(f"{self.path}: {info.usage.value} version {info.version}")
            content.entries[info.usage, info.version] = entry

        self._update(add)
        return entry.info

    def _date(self, info: KeyInfo, retires: date) -> None:
        def note(content: Content) -> None:
            entry = content.entries[info.usage, info.version]
            dated = replace(entry.info, retires=retires)
            content.entries[info.usage, info.version] = Entry(dated, entry.material)

        self._update(note)

    def _sealed(self) -> bytes:
        return self._envelope.seal(self._content.to_bytes())

    def _on_disk(self) -> tuple[Content, _Stamp]:
        blob, seen = _read_stamped(self.path)
        return Content.from_bytes(self._envelope.unseal(blob, str(self.path)), str(self.path)), seen

    def _write_new(self) -> None:
        try:
            write_private(self.path, self._sealed(), replace=False, disk=self._around.disk)
        except FileExistsError as exc:
            raise KeyStoreExists(str(self.path)) from exc

    def _update(self, change: Callable[[Content], None]) -> None:
        """Change the store as it is on disk now, so that two programs lose no key."""
        with locked(self.path):
            remove_drafts(self.path, self._around.disk)
            content, _ = self._on_disk()
            change(content)
            before, self._content = self._content, content
            try:
                write_private(self.path, self._sealed(), replace=True, disk=self._around.disk)
            except OSError:
                self._content = before
                raise
            self._seen = _stamp(self.path.stat())


def _stamp(facts: os.stat_result) -> _Stamp:
    """Tell one state of a file that is replaced as a whole from another."""
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def _read_stamped(path: Path) -> tuple[bytes, _Stamp]:
    with path.open("rb") as file:
        return file.read(), _stamp(os.fstat(file.fileno()))


def _strong(algorithm: Algorithm) -> KeyMaterial:
    """Make random bytes until they are no weak key, which is at once but for one time in 2^50."""
    while True:
        material = KeyMaterial.random(algorithm.key_bytes)
        try:
            material.check(algorithm)
        except WeakKey:
            continue
        return material
