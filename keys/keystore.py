# SPDX-License-Identifier: Apache-2.0
"""What every key store does, whatever holds the keys; and what is the same in all of them.

A back end knows its keys and encrypts under one of them. Derivation, versions, retirement,
purposes, key blocks and the audit log are here, once.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from keys.algorithm import Algorithm
from keys.audit import AuditLog
from keys.envelope import DEFAULT_COST, KdfCost
from keys.errors import KeyExpired, KeyRetired, KeysError, KeyStoreExists, UnknownKey, WrongPurpose
from keys.handle import (
    AccountPurpose,
    ControlPurpose,
    DeskPurpose,
    KeyHandle,
    MaintenancePurpose,
    PinReloadPurpose,
    PinUnblockPurpose,
    PresencePurpose,
    PurchasePurpose,
    TacPurpose,
)
from keys.hierarchy import chosen_algorithm, row
from keys.material import KeyMaterial
from keys.psam import PsamMaster, create_software_psam
from keys.usage import UNDERIVED, KeyUsage

# A key version is one byte on the card; 0 is what a blank card answers.
VERSION_MAX = 255
KeyId: TypeAlias = tuple[KeyUsage, int]
_Control: TypeAlias = Literal[KeyUsage.CONTROL, KeyUsage.CARD_CONTROL, KeyUsage.PSAM_CONTROL]
_Purchase: TypeAlias = Literal[KeyUsage.PURCHASE_PSAM, KeyUsage.PURCHASE_SOFT]
_Account: TypeAlias = Literal[KeyUsage.LOAD, KeyUsage.UNLOAD, KeyUsage.OVERDRAFT]


class KeyState(enum.StrEnum):
    """Say whether a version issues cards, only serves issued ones, or serves nothing."""

    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """Say what may be said about a key."""

    usage: KeyUsage
    version: int
    kcv: str
    created: str
    algorithm: Algorithm = Algorithm.TDES
    state: KeyState = KeyState.ACTIVE
    retires: date | None = None
    marked_test: bool = False
    exportable: bool = False

    @property
    def name(self) -> str:
        """Name the key as logs do.

        >>> KeyInfo(KeyUsage.TAC, 2, "08D7B4", "").name
        'tac/2'
        """
        return key_name(self.usage, self.version)

    def as_row(self) -> dict[str, object]:
        """Give the facts as JSON can hold them."""
        return {
            "usage": self.usage.value,
            "version": self.version,
            "kcv": self.kcv,
            "created": self.created,
            "algorithm": self.algorithm.value,
            "state": self.state.value,
            "retires": self.retires.isoformat() if self.retires else None,
            "test": self.marked_test,
            "exportable": self.exportable,
        }


def key_name(usage: KeyUsage, version: int) -> str:
    """Name a master key in logs and labels."""
    return f"{usage.value}/{version}"


def checked_version(version: int) -> int:
    """Give the version back when a card can name it."""
    if not 1 <= version <= VERSION_MAX:
        raise KeysError(f"key version {version} is not 1 to {VERSION_MAX}")
    return version


class BulkKey:
    """Derive the keys of many cards in one pass, whichever cipher the master has."""

    def __init__(self, algorithm: Algorithm, encrypt: Callable[[bytes], bytes]) -> None:
        self.algorithm = algorithm
        self._encrypt = encrypt

    def __repr__(self) -> str:
        return f"BulkKey({self.algorithm.value})"

    def derive(self, factors: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give the 16-byte keys (n, 16) of n diversifiers (n, 8): ``purse.diversify`` of each.

        3DES takes a factor and its complement as two blocks, SM4 as one: the same bytes go in.
        """
        blocks = np.concatenate([factors, ~factors], axis=1)
        keys = self._encrypt(blocks.tobytes())
        return np.frombuffer(keys, dtype=np.uint8).reshape(-1, 16)


class CardKeySource(ABC):
    """Give card keys as handles, each typed by the purpose of its usage."""

    @overload
    def card_key(
        self, usage: _Control, version: int, diversifier8: bytes, /
    ) -> KeyHandle[ControlPurpose]: ...
    @overload
    def card_key(
        self, usage: Literal[KeyUsage.DESK_READ], version: int, diversifier8: bytes, /
    ) -> KeyHandle[DeskPurpose]: ...
    @overload
    def card_key(
        self, usage: Literal[KeyUsage.MAINTENANCE], version: int, diversifier8: bytes, /
    ) -> KeyHandle[MaintenancePurpose]: ...
    @overload
    def card_key(
        self, usage: _Purchase, version: int, diversifier8: bytes, /
    ) -> KeyHandle[PurchasePurpose]: ...
    @overload
    def card_key(
        self, usage: Literal[KeyUsage.TAC], version: int, diversifier8: bytes, /
    ) -> KeyHandle[TacPurpose]: ...
    @overload
    def card_key(
        self, usage: Literal[KeyUsage.PRESENCE], version: int, diversifier8: bytes, /
    ) -> KeyHandle[PresencePurpose]: ...
    @overload
    def card_key(
        self, usage: Literal[KeyUsage.PIN_UNBLOCK], version: int, diversifier8: bytes, /
    ) -> KeyHandle[PinUnblockPurpose]: ...
    @overload
    def card_key(
        self, usage: Literal[KeyUsage.PIN_RELOAD], version: int, diversifier8: bytes, /
    ) -> KeyHandle[PinReloadPurpose]: ...
    @overload
    def card_key(
        self, usage: _Account, version: int, diversifier8: bytes, /
    ) -> KeyHandle[AccountPurpose]: ...
    @overload
    def card_key(self, usage: KeyUsage, version: int, diversifier8: bytes, /) -> KeyHandle[Any]: ...
    def card_key(self, usage: KeyUsage, version: int, diversifier8: bytes, /) -> KeyHandle[Any]:
        """Derive the key of one card (or PSAM): diversified by the last 8 bytes of its serial.

        Raises:
            UnknownKey: there is no such master.
            KeyExpired: its retirement date is past.
            WrongPurpose: no card keys are derived from this usage.
        """
        return self._card_key(usage, version, diversifier8)

    @abstractmethod
    def _card_key(self, usage: KeyUsage, version: int, diversifier8: bytes) -> KeyHandle[Any]:
        """Derive the key, whatever its type."""


class KeyStore(CardKeySource):
    """Keep the issuer's master keys; what leaves is what operations on them give."""

    backend: ClassVar[str]

    def __init__(self, place: str, audit: AuditLog, today: Callable[[], date]) -> None:
        self.place = place
        self.audit = audit
        self._today = today

    # What a back end knows and does.

    @abstractmethod
    def _infos(self) -> dict[KeyId, KeyInfo]:
        """Give all keys; the state is filled in here."""

    @abstractmethod
    def _encryptor(self, info: KeyInfo) -> Callable[[bytes], bytes]:
        """Give ECB encryption of whole blocks under a key."""

    @abstractmethod
    def _cmac(self, info: KeyInfo, data: bytes) -> bytes:
        """Compute the CMAC of data under a key."""

    @abstractmethod
    def _seal(self, info: KeyInfo, data: bytes, aad: bytes) -> bytes:
        """Seal data under AES-GCM: nonce ‖ ciphertext ‖ tag."""

    @abstractmethod
    def _unseal(self, info: KeyInfo, sealed: bytes, aad: bytes) -> bytes:
        """Open what ``_seal`` made; raise ``BadSeal``."""

    @abstractmethod
    def _reveal(self, info: KeyInfo) -> KeyMaterial:
        """Give the bytes of an exportable key, to be wrapped for a PSAM or a key block."""

    @abstractmethod
    def _insert(self, info: KeyInfo, material: KeyMaterial | None) -> KeyInfo:
        """Store a key, made anew where ``material`` is none; never replace one."""

    @abstractmethod
    def _date(self, info: KeyInfo, retires: date) -> None:
        """Note the retirement date of a key."""

    @abstractmethod
    def backup(self, path: Path | str, passphrase: str, cost: KdfCost = DEFAULT_COST) -> None:
        """Write all keys to a new file under a passphrase of its own."""

    def close(self) -> None:
        """Write what the audit log still holds back."""
        self.audit.flush()

    # What may be said.

    @property
    def test_keys(self) -> bool:
        """Say whether any key is marked as a test key."""
        return any(info.marked_test for info in self._infos().values())

    def list(self) -> list[KeyInfo]:
        """Name all keys by usage, version and check value."""
        found = sorted(self._infos().values(), key=lambda info: (info.usage.value, info.version))
        return [self._dated(info) for info in found]

    def info(self, usage: KeyUsage, version: int) -> KeyInfo:
        """Describe one key; raise ``UnknownKey``."""
        found = self._infos().get((usage, version))
        if found is None:
            raise UnknownKey(usage.value, version)
        return self._dated(found)

    def has(self, usage: KeyUsage, version: int) -> bool:
        """Say whether there is such a key and it still serves."""
        found = self._infos().get((usage, version))
        return found is not None and self._dated(found).state is not KeyState.RETIRED

    def latest(self, usage: KeyUsage) -> int:
        """Give the highest version that is not being retired.

        Raises:
            UnknownKey: there is none of this usage.
            KeyRetired: all of them have a retirement date.
        """
        infos = [self._dated(info) for (u, _), info in self._infos().items() if u is usage]
        if not infos:
            raise UnknownKey(usage.value, 0)
        active = [info.version for info in infos if info.state is KeyState.ACTIVE]
        if not active:
            last = max(infos, key=lambda info: info.version)
            raise KeyRetired(usage.value, last.version, last.retires or self._today())
        return max(active)

    # How keys come, are replaced and go.

    def generate(
        self, usage: KeyUsage, version: int = 1, algorithm: Algorithm | None = None
    ) -> KeyInfo:
        """Make a random master key and store it; an existing version is never replaced."""
        return self._add(usage, version, algorithm, None)

    def rotate(self, usage: KeyUsage, algorithm: Algorithm | None = None) -> KeyInfo:
        """Make the next version beside the old ones, of the same algorithm unless told."""
        versions = [info for (u, _), info in self._infos().items() if u is usage]
        if not versions:
            raise UnknownKey(usage.value, 0)
        last = max(versions, key=lambda info: info.version)
        return self._add(usage, last.version + 1, algorithm or last.algorithm, None)

    def retire(self, usage: KeyUsage, version: int, on: date) -> KeyInfo:
        """Give a version its last day's morrow: no new cards from now, nothing at all from ``on``.

        Giving another date later moves it.
        """
        info = self.info(usage, version)
        self.audit.record(info.name, f"retire on {on.isoformat()}")
        self._date(info, on)
        return self.info(usage, version)

    def import_key(
        self,
        usage: KeyUsage,
        version: int,
        material: KeyMaterial,
        algorithm: Algorithm | None = None,
        *,
        marked_test: bool = False,
    ) -> KeyInfo:
        """Store a key that components or a key block brought.

        Raises:
            BadKeyLength, WeakKey, UnsupportedAlgorithm: the key may not be such a master.
            KeyStoreExists: there is that version already.
        """
        material.check(chosen_algorithm(usage, algorithm))
        return self._add(usage, version, algorithm, material, marked_test=marked_test)

    # What is done with them.

    def _card_key(self, usage: KeyUsage, version: int, diversifier8: bytes) -> KeyHandle[Any]:
        key = self.bulk(usage, version)
        factor = np.frombuffer(diversifier8, dtype=np.uint8).reshape(1, -1)
        return KeyHandle(usage, version, key.derive(factor).tobytes(), key.algorithm)

    def bulk(self, usage: KeyUsage, version: int) -> BulkKey:
        """Give the derivation of many card keys of one master.

        Every ``derive`` writes one line to the audit log, with the number of cards.
        """
        info = self._serving(usage, version)
        if usage in UNDERIVED:
            raise WrongPurpose(usage.value, "derive card keys")
        encrypt = self._encryptor(info)

        def counted(blocks: bytes) -> bytes:
            self.audit.record(info.name, "derive", len(blocks) // 16)
            return encrypt(blocks)

        return BulkKey(info.algorithm, counted)

    def for_new_cards(self) -> NewCardKeys:
        """Give the card keys that new cards may get: none of a version that is being retired."""
        return NewCardKeys(self)

    def psam_purchase_key(self, version: int, /) -> KeyHandle[PurchasePurpose]:
        """Give the purchase master key as a handle, to be wrapped for a hardware PSAM."""
        info = self._serving(KeyUsage.PURCHASE_PSAM, version)
        self.audit.record(info.name, "load into a PSAM")
        return KeyHandle(info.usage, version, self._reveal(info).reveal(), info.algorithm)

    def export_software_psam(
        self,
        path: Path | str,
        number: bytes,
        passphrase: str,
        cost: KdfCost = DEFAULT_COST,
    ) -> None:
        """Write a software PSAM with every serving version of its purchase master key."""
        usage = KeyUsage.PURCHASE_SOFT
        serving = [v for u, v in self._infos() if u is usage and self.has(usage, v)]
        if not serving:
            raise UnknownKey(usage.value, 1)
        masters = {}
        for version in serving:
            info = self.info(usage, version)
            self.audit.record(info.name, f"load into software PSAM {number.hex()}")
            masters[version] = PsamMaster(info.algorithm, self._reveal(info).reveal())
        create_software_psam(path, number, masters, passphrase, cost)

    def seal(self, usage: KeyUsage, data: bytes, aad: bytes) -> bytes:
        """Seal personal data under the newest key: version (1) ‖ nonce ‖ ciphertext ‖ tag.

        ``aad`` names the record the data belongs to; it must be given again to open.
        """
        info = self._serving(_sealing(usage), self.latest(usage))
        self.audit.tally(info.name, "seal")
        return info.version.to_bytes(1) + self._seal(info, data, aad)

    def open_sealed(self, usage: KeyUsage, sealed: bytes, aad: bytes) -> bytes:
        """Open sealed personal data; raise ``BadSeal`` when anything differs."""
        info = self._serving(_sealing(usage), int.from_bytes(sealed[:1]))
        self.audit.tally(info.name, "open")
        return self._unseal(info, sealed[1:], aad)

    def _add(
        self,
        usage: KeyUsage,
        version: int,
        algorithm: Algorithm | None,
        material: KeyMaterial | None,
        *,
        marked_test: bool = False,
    ) -> KeyInfo:
        info = KeyInfo(
            usage,
            checked_version(version),
            kcv="",
            created=self.audit.now_text(),
            algorithm=chosen_algorithm(usage, algorithm),
            marked_test=marked_test,
            exportable=row(usage).exportable,
        )
        if (usage, version) in self._infos():
            raise KeyStoreExists(f"{self.place}: {usage.value} version {version}")
        self.audit.record(info.name, "generate" if material is None else "import")
        return self._dated(self._insert(info, material))

    def _serving(self, usage: KeyUsage, version: int) -> KeyInfo:
        info = self.info(usage, version)
        if info.state is KeyState.RETIRED and info.retires:
            raise KeyExpired(usage.value, version, info.retires)
        return info

    def _dated(self, info: KeyInfo) -> KeyInfo:
        if info.retires is None:
            return info
        past = info.retires <= self._today()
        return replace(info, state=KeyState.RETIRED if past else KeyState.RETIRING)


class NewCardKeys(CardKeySource):
    """Derive keys for new cards and PSAMs; a version with a retirement date gives none."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store

    def _card_key(self, usage: KeyUsage, version: int, diversifier8: bytes) -> KeyHandle[Any]:
        self._active(usage, version)
        return self._store.card_key(usage, version, diversifier8)

    def psam_purchase_key(self, version: int, /) -> KeyHandle[PurchasePurpose]:
        """Give the purchase master key for a new hardware PSAM."""
        self._active(KeyUsage.PURCHASE_PSAM, version)
        return self._store.psam_purchase_key(version)

    def _active(self, usage: KeyUsage, version: int) -> None:
        info = self._store.info(usage, version)
        if info.retires and info.state is KeyState.RETIRING:
            raise KeyRetired(usage.value, version, info.retires)


def _sealing(usage: KeyUsage) -> KeyUsage:
    if usage is not KeyUsage.PERSONAL_DATA:
        raise WrongPurpose(usage.value, "seal data")
    return usage
