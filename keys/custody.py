# SPDX-License-Identifier: Apache-2.0
"""Where keys are kept: open a store by its name, and say what a key officer should know of it."""

from __future__ import annotations

from dataclasses import dataclass

from keys.errors import KeyStoreUnnamed, TestKeysRefused
from keys.keystore import CardKeySource, KeyInfo, KeyState, KeyStore
from keys.store import FileKeyStore
from keys.surroundings import HERE, Surroundings

__all__ = [
    "CardKeySource",
    "Finding",
    "KeyInfo",
    "KeyState",
    "KeyStore",
    "findings",
    "open_store",
    "refuse_test_keys",
]


def open_store(spec: str, passphrase: str, around: Surroundings = HERE) -> KeyStore:
    """Open a key store by its name.

    ``FILE`` or ``file:FILE`` is an encrypted file.

    Raises:
        KeyStoreUnnamed: the words do not name a store.
        KeyStoreError: it does not open; the class says why.
    """
    kind, colon, rest = spec.partition(":")
    path = rest if kind == "file" and colon else spec
    if not path:
        raise KeyStoreUnnamed(spec, "no file named")
    return FileKeyStore.open(path, passphrase, around)


@dataclass(frozen=True, slots=True)
class Finding:
    """State one fact about a store that its owner should know; ``grave`` ones want action."""

    name: str
    grave: bool
    text_zh: str
    text_en: str


def findings(store: KeyStore) -> list[Finding]:
    """List what is worth knowing about a store, grave things first."""
    found = []
    for info in store.list():
        if info.marked_test:
            found.append(
                Finding("test-key", True, f"{info.name} 是演练密钥", f"{info.name} is a test key")
            )
        if info.state is KeyState.RETIRED:
            found.append(
                Finding(
                    "retired",
                    False,
                    f"{info.name} 已于 {info.retires} 停用",
                    f"{info.name} was retired on {info.retires}",
                )
            )
    return sorted(found, key=lambda finding: not finding.grave)


def refuse_test_keys(store: KeyStore) -> None:
    """Raise ``TestKeysRefused`` when a store holds keys of a rehearsal."""
    names = tuple(info.name for info in store.list() if info.marked_test)
    if names:
        raise TestKeysRefused(names)
