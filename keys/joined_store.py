# SPDX-License-Identifier: Apache-2.0
"""A token and a file as one key store: SM4 keys in the file, all others on the token.

Named ``pkcs11:MODULE?token=LABEL&sm=FILE``; the file's passphrase is the token's PIN. Both write
one audit log.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

from keys.algorithm import Algorithm
from keys.envelope import DEFAULT_COST, KdfCost
from keys.errors import NotExportable
from keys.key_info import KeyId, KeyInfo
from keys.keystore import KeyStore
from keys.material import KeyMaterial
from keys.pkcs11_store import Pkcs11KeyStore
from keys.store import FileKeyStore
from keys.surroundings import Surroundings
from keys.usage import KeyUsage


class JoinedKeyStore(KeyStore):
    """Keep SM4 masters in a file beside a token that has no SM4."""

    backend = "pkcs11+file"

    def __init__(self, token: Pkcs11KeyStore, file: FileKeyStore, around: Surroundings) -> None:
        super().__init__(f"{token.place}&sm={file.path}", token.audit, around.today)
        self._token = token
        self._file = file

    def __repr__(self) -> str:
        return f"JoinedKeyStore({self.place!r})"

    @property
    def sm_path(self) -> Path:
        """Give the file of the SM4 keys."""
        return self._file.path

    @property
    def bound(self) -> bool:
        """Say whether the file opens on one machine only."""
        return self._file.bound

    def bind_host(self) -> None:
        """Let the file of the SM4 keys open on this machine only."""
        self._file.bind_host()

    def backup(self, path: Path | str, passphrase: str, cost: KdfCost = DEFAULT_COST) -> None:
        """Refuse: half a backup would pass for a whole one; back up token and file each."""
        del passphrase, cost
        raise NotExportable("token", f"no {path} is made; back up token and {self.sm_path} each")

    def _of(self, info: KeyInfo) -> FileKeyStore | Pkcs11KeyStore:
        return self._file if info.algorithm is Algorithm.SM4 else self._token

    def _infos(self) -> dict[KeyId, KeyInfo]:
        return {**self._file._infos(), **self._token._infos()}

    def _learn(self, usage: KeyUsage, version: int) -> None:
        self._file._learn(usage, version)
        self._token._learn(usage, version)

    def _encryptor(self, info: KeyInfo) -> Callable[[bytes], bytes]:
        return self._of(info)._encryptor(info)

    def _cmac(self, info: KeyInfo, data: bytes) -> bytes:
        return self._of(info)._cmac(info, data)

    def _seal(self, info: KeyInfo, data: bytes, aad: bytes) -> bytes:
        return self._of(info)._seal(info, data, aad)

    def _unseal(self, info: KeyInfo, sealed: bytes, aad: bytes) -> bytes:
        return self._of(info)._unseal(info, sealed, aad)

    def _reveal(self, info: KeyInfo) -> KeyMaterial:
        return self._of(info)._reveal(info)

    def _insert(self, info: KeyInfo, material: KeyMaterial | None) -> KeyInfo:
        return self._of(info)._insert(info, material)

    def _date(self, info: KeyInfo, retires: date) -> None:
        self._of(info)._date(info, retires)
