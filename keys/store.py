# SPDX-License-Identifier: Apache-2.0
"""The file key store: master keys under a passphrase, given out as operations only.

Master keys never leave as bytes. What leaves are card keys as ``WorkingKey`` handles, derived keys
in bulk for verification, sealed personal data, and a software PSAM written to its own file.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keys import _prims, purse
from keys.envelope import DEFAULT_COST, Envelope, KdfCost
from keys.errors import KeysError, KeyStoreDamaged, KeyStoreExists, UnknownKey, WrongPurpose
from keys.files import PRIVATE_MODE, write_private
from keys.kcv import kcv
from keys.psam import create_software_psam
from keys.usage import KeyUsage
from keys.working import WorkingKey

STORE_MAGIC = b"YIKAKEYS"
# A key version is one byte on the card; 0 is what a blank card answers.
VERSION_MAX = 255

_Id = tuple[KeyUsage, int]


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """Say what may be said about a key."""

    usage: KeyUsage
    version: int
    kcv: str
    created: str


@dataclass(frozen=True, slots=True)
class _Entry:
    key: bytes
    created: str

    def __repr__(self) -> str:
        return f"_Entry(kcv={kcv(self.key)})"


class BulkKey:
    """Derive the keys of many cards in one pass."""

    def __init__(self, master: bytes) -> None:
        self._encryptor = _prims.des_encryptor(master)

    def __repr__(self) -> str:
        return "BulkKey()"

    def derive(self, factors: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give the 16-byte keys (n, 16) of n diversifiers (n, 8): ``purse.diversify`` of each."""
        blocks = np.concatenate([factors, ~factors], axis=1)
        keys = self._encryptor.update(blocks.tobytes())
        return np.frombuffer(keys, dtype=np.uint8).reshape(-1, 16)


class FileKeyStore:
    """Keep the issuer's master keys in one encrypted file."""

    def __init__(self, path: Path, envelope: Envelope, entries: dict[_Id, _Entry]) -> None:
        self.path = path
        self._envelope = envelope
        self._entries = entries

    def __repr__(self) -> str:
        return f"FileKeyStore({str(self.path)!r}, keys={len(self._entries)})"

    @classmethod
    def create(
        cls, path: Path | str, passphrase: str, cost: KdfCost = DEFAULT_COST
    ) -> FileKeyStore:
        """Write a new, empty store; an existing file is never touched."""
        store = cls(Path(path), Envelope.create(STORE_MAGIC, passphrase, cost), {})
        try:
            write_private(store.path, store._sealed(), replace=False)
        except FileExistsError as exc:
            raise KeyStoreExists(str(path)) from exc
        return store

    @classmethod
    def open(cls, path: Path | str, passphrase: str) -> FileKeyStore:
        """Open a store; raise ``KeyStoreLocked`` or ``KeyStoreDamaged``."""
        blob = Path(path).read_bytes()
        envelope, plain = Envelope.open(STORE_MAGIC, passphrase, blob, str(path))
        return cls(Path(path), envelope, _parse(plain, str(path)))

    def generate(self, usage: KeyUsage, version: int = 1) -> KeyInfo:
        """Make a random master key and store it; an existing version is never replaced."""
        if not 1 <= version <= VERSION_MAX:
            raise KeysError(f"key version {version} is not 1 to {VERSION_MAX}")
        entry = _Entry(_prims.random_bytes(usage.key_length), datetime.now(UTC).isoformat()[:19])

        def add(entries: dict[_Id, _Entry]) -> None:
            if (usage, version) in entries:
                raise KeyStoreExists(f"{self.path}: {usage.value} version {version}")
            entries[usage, version] = entry

        self._update(add)
        return KeyInfo(usage, version, kcv(entry.key), entry.created)

    def list(self) -> list[KeyInfo]:
        """Name all keys by usage, version and check value."""
        items = sorted(self._entries.items(), key=lambda item: (item[0][0].value, item[0][1]))
        return [KeyInfo(u, v, kcv(entry.key), entry.created) for (u, v), entry in items]

    def latest(self, usage: KeyUsage) -> int:
        """Give the highest version of a usage."""
        versions = [version for u, version in self._entries if u is usage]
        if not versions:
            raise UnknownKey(usage.value, 0)
        return max(versions)

    def card_key(self, usage: KeyUsage, version: int, diversifier8: bytes) -> WorkingKey:
        """Derive the key of one card (or PSAM): diversified by the last 8 bytes of its serial."""
        master = self._derivable(usage, version)
        return WorkingKey(usage, version, purse.diversify(master, diversifier8))

    def psam_purchase_key(self, version: int) -> WorkingKey:
        """Give the purchase master key as a handle, to be loaded into a hardware PSAM."""
        usage = KeyUsage.PURCHASE_PSAM
        return WorkingKey(usage, version, self._master(usage, version))

    def bulk(self, usage: KeyUsage, version: int) -> BulkKey:
        """Give the derivation of many card keys of one master."""
        return BulkKey(self._derivable(usage, version))

    def has(self, usage: KeyUsage, version: int) -> bool:
        """Say whether there is such a key."""
        return (usage, version) in self._entries

    def seal(self, usage: KeyUsage, data: bytes, aad: bytes) -> bytes:
        """Seal personal data under the newest key: version (1) ‖ nonce ‖ ciphertext ‖ tag.

        ``aad`` names the record the data belongs to; it must be given again to open.
        """
        version = self.latest(_sealing(usage))
        return version.to_bytes(1) + _prims.gcm_seal(self._master(usage, version), data, aad)

    def open_sealed(self, usage: KeyUsage, sealed: bytes, aad: bytes) -> bytes:
        """Open sealed personal data; raise ``BadSeal`` when anything differs."""
        version = int.from_bytes(sealed[:1])
        return _prims.gcm_open(self._master(_sealing(usage), version), sealed[1:], aad)

    def export_software_psam(
        self,
        path: Path | str,
        number: bytes,
        passphrase: str,
        cost: KdfCost = DEFAULT_COST,
    ) -> None:
        """Write a software PSAM with every version of its purchase master key."""
        usage = KeyUsage.PURCHASE_SOFT
        masters = {v: entry.key for (u, v), entry in self._entries.items() if u is usage}
        if not masters:
            raise UnknownKey(usage.value, 1)
        create_software_psam(path, number, masters, passphrase, cost)

    def _master(self, usage: KeyUsage, version: int) -> bytes:
        entry = self._entries.get((usage, version))
        if entry is None:
            raise UnknownKey(usage.value, version)
        return entry.key

    def _derivable(self, usage: KeyUsage, version: int) -> bytes:
        if usage is KeyUsage.PERSONAL_DATA:
            raise WrongPurpose(usage.value, "derive card keys")
        return self._master(usage, version)

    def _sealed(self) -> bytes:
        rows = [
            {"usage": u.value, "version": v, "key": entry.key.hex(), "created": entry.created}
            for (u, v), entry in self._entries.items()
        ]
        return self._envelope.seal(json.dumps(rows).encode())

    def _update(self, change: Callable[[dict[_Id, _Entry]], None]) -> None:
        """Change the store as it is on disk now, so that two programs lose no key."""
        with _locked(self.path):
            entries = _parse(
                self._envelope.unseal(self.path.read_bytes(), str(self.path)), str(self.path)
            )
            change(entries)
            self._entries = entries
            write_private(self.path, self._sealed(), replace=True)


def _sealing(usage: KeyUsage) -> KeyUsage:
    if usage is not KeyUsage.PERSONAL_DATA:
        raise WrongPurpose(usage.value, "seal data")
    return usage


def _parse(plain: bytes, path: str) -> dict[_Id, _Entry]:
    try:
        return {
            (KeyUsage(row["usage"]), int(row["version"])): _Entry(
                bytes.fromhex(row["key"]), str(row["created"])
            )
            for row in json.loads(plain)
        }
    except (ValueError, KeyError, TypeError) as exc:
        raise KeyStoreDamaged(path, "content not understood") from exc


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, PRIVATE_MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
