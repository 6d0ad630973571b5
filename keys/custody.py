# SPDX-License-Identifier: Apache-2.0
"""Where keys are kept: open a store by its name, and say what a key officer should know of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from keys.errors import HsmAbsent, TestKeysRefused
from keys.keystore import CardKeySource, KeyInfo, KeyState, KeyStore
from keys.store import FileKeyStore
from keys.store_name import StoreName
from keys.surroundings import HERE, Surroundings

__all__ = [
    "CardKeySource",
    "Finding",
    "KeyInfo",
    "KeyState",
    "KeyStore",
    "StoreName",
    "findings",
    "open_store",
    "refuse_test_keys",
]


def open_store(spec: str, passphrase: str, around: Surroundings = HERE) -> KeyStore:
    """Open a key store by its name.

    ``FILE`` or ``file:FILE`` is an encrypted file; ``pkcs11:MODULE?token=LABEL`` is a token, whose
    PIN the passphrase is. ``&audit=FILE`` says where a token's audit log is, ``&sm=FILE`` where
    SM4 keys are, which no token of today takes; that file has the PIN for its passphrase.

    Raises:
        KeyStoreUnnamed: the words do not name a store.
        KeyStoreError: it does not open; the class says why.
    """
    name = StoreName.parse(spec)
    if not name.module and name.file is not None:
        return FileKeyStore.open(name.file, passphrase, around)
    return _open_token(name, passphrase, around)


def _open_token(name: StoreName, pin: str, around: Surroundings) -> KeyStore:
    try:
        from keys.joined_store import JoinedKeyStore  # noqa: PLC0415 (the same extra)
        from keys.pkcs11_store import Pkcs11KeyStore  # noqa: PLC0415 (python-pkcs11 is an extra)
    except ModuleNotFoundError as exc:
        raise HsmAbsent(name.spec, "python-pkcs11 is missing: pip install yika[hsm]") from exc
    if name.audit:
        around = replace(around, audit=name.audit)
    token = Pkcs11KeyStore.open(name.module, name.label, pin, around)
    if name.file is None:
        return token
    file = FileKeyStore.open(name.file, pin, replace(around, audit=token.audit.path))
    return JoinedKeyStore(token, file, around)


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
    if store.backend.startswith("pkcs11"):
        found.append(
            Finding(
                "sm-keys",
                False,
                "令牌没有 SM4/SM2 机制：国密密钥留在文件密钥库（&sm=文件）",
                "the token has no SM4 or SM2: SM keys stay in a file store (&sm=FILE)",
            )
        )
    return sorted(found, key=lambda finding: not finding.grave)


def refuse_test_keys(store: KeyStore) -> None:
    """Raise ``TestKeysRefused`` when a store holds keys of a rehearsal."""
    names = tuple(info.name for info in store.list() if info.marked_test)
    if names:
        raise TestKeysRefused(names)
