# SPDX-License-Identifier: Apache-2.0
"""What every key store does, whatever holds the keys; and what is the same in all of them.

A back end knows its keys and encrypts under one of them. Derivation, versions, retirement,
purposes, key blocks and the audit log are here, once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from keys import keyblock
from keys.algorithm import Algorithm
from keys.audit import AuditLog
from keys.card_key_source import BulkKey, CardKeySource
from keys.envelope import DEFAULT_COST, KdfCost
from keys.errors import (
    BadKeyLength,
    KcvDiffers,
    KeyExpired,
    KeyRetired,
    KeyStoreExists,
    NotExportable,
    UnknownKey,
    WrongPurpose,
)
from keys.exchange import BlockFacts, block_version, facts_of, header_of
from keys.handle import KeyHandle, PurchasePurpose
from keys.hierarchy import chosen_algorithm, row
from keys.host import NotBindable
from keys.key_info import KeyId, KeyInfo, KeyState, checked_version
from keys.material import KeyMaterial
from keys.psam import PsamMaster, create_software_psam
from keys.usage import SEALING, UNDERIVED, KeyUsage

__all__ = ["BulkKey", "CardKeySource", "KeyId", "KeyInfo", "KeyState", "KeyStore", "NewCardKeys"]

_U = KeyUsage
DIVERSIFIER_BYTES = 8


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
    def _learn(self, usage: KeyUsage, version: int) -> None:
        """Look, as cheaply as can be, for a key that another program may have added meanwhile."""

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

    @property
    def bound(self) -> bool | None:
        """Say whether the store opens on one machine only; none where there is no file to bind."""
        return None

    def bind_host(self) -> None:
        """Let a file store open on this machine only; raise ``NotBindable`` for others."""
        raise NotBindable(self.place)

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
        found = self._found(usage, version)
        if found is None:
            raise UnknownKey(usage.value, version)
        return self._dated(found)

    def has(self, usage: KeyUsage, version: int) -> bool:
        """Say whether there is such a key and it still serves."""
        found = self._found(usage, version)
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
        return self._add(self._new_info(usage, version, algorithm), None)

    def rotate(self, usage: KeyUsage, algorithm: Algorithm | None = None) -> KeyInfo:
        """Make the next version beside the old ones, of the same algorithm unless told."""
        versions = [info for (u, _), info in self._infos().items() if u is usage]
        if not versions:
            raise UnknownKey(usage.value, 0)
        last = max(versions, key=lambda info: info.version)
        while newer := self._found(usage, last.version + 1):
            last = newer
        info = self._new_info(usage, last.version + 1, algorithm or last.algorithm)
        return self._add(info, None)

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
        info = self._new_info(usage, version, algorithm)
        material.check(info.algorithm)
        return self._add(replace(info, marked_test=marked_test), material)

    def export_block(
        self, usage: KeyUsage, version: int, under_version: int, factor8: bytes | None = None
    ) -> str:
        """Wrap a key in a key block under a key block protection key of this store.

        With ``factor8`` what leaves is the key one storey down (of a region, of an issuer), derived
        by that factor; it may leave where the master itself may not.

        Raises:
            NotExportable: the hierarchy, or the block the key came in, keeps it here.
            KeyBlockRefused: the protection key is weaker than the key.
        """
        info, under = self._serving(usage, version), self._serving(_U.KEY_BLOCK, under_version)
        if factor8 is None and not info.exportable:
            raise NotExportable(usage.value, "the hierarchy or its key block says so")
        self.audit.record(under.name, "wrap")
        self.audit.record(info.name, "export" if factor8 is None else f"export {factor8.hex()}")
        if factor8 is None:
            key = self._reveal(info)
        else:
            _derived_from(usage)
            if len(factor8) != DIVERSIFIER_BYTES:
                raise BadKeyLength("diversifier", DIVERSIFIER_BYTES, len(factor8))
            key = KeyMaterial(self._encryptor(info)(factor8 + bytes(b ^ 0xFF for b in factor8)))
        facts = BlockFacts(
            usage, version, info.algorithm, key.kcv(info.algorithm), info.marked_test, True
        )
        header = header_of(facts, under.algorithm)
        return keyblock.seal_block(self._block_keys(under), header, key.reveal())

    def import_block(self, block: str, under_version: int) -> KeyInfo:
        """Store the key of a key block as what its header says it is, and nothing else.

        A block without a version becomes the next one. What may not be exported again cannot be.

        Raises:
            KeyBlockError: the block is damaged, rejected or not allowed.
            WrongPurpose: its usage is none of the hierarchy's.
            KcvDiffers: the key is not the one its check value names.
            KeyStoreExists: there is that version already.
        """
        under = self._serving(_U.KEY_BLOCK, under_version)
        self.audit.record(under.name, "unwrap")
        header, content = keyblock.open_block(self._block_keys(under), block)
        facts, material = facts_of(header), KeyMaterial(content)
        material.check(facts.algorithm)
        kcv = material.kcv(facts.algorithm)
        if facts.kcv and not kcv.startswith(facts.kcv):
            raise KcvDiffers(f"{facts.usage.value} key of the block", facts.kcv, kcv)
        versions = [version for u, version in self._infos() if u is facts.usage]
        info = self._new_info(
            facts.usage, facts.version or max(versions, default=0) + 1, facts.algorithm
        )
        kept = info.exportable and facts.exportable
        info = replace(info, marked_test=facts.marked_test, exportable=kept)
        return self._add(info, material)

    def _block_keys(self, under: KeyInfo) -> keyblock.BlockKeys:
        version = block_version(under.algorithm)
        size = under.algorithm.key_bytes
        return keyblock.derive(version, size, lambda data: self._cmac(under, data))

    # What is done with them.

    def _card_key(self, usage: KeyUsage, version: int, diversifier8: bytes) -> KeyHandle[Any]:
        key = self.bulk(usage, version)
        if len(diversifier8) != DIVERSIFIER_BYTES:
            raise BadKeyLength("diversifier", DIVERSIFIER_BYTES, len(diversifier8))
        factor = np.frombuffer(diversifier8, dtype=np.uint8).reshape(1, -1)
        return KeyHandle(usage, version, key.derive(factor).tobytes(), key.algorithm)

    def bulk(self, usage: KeyUsage, version: int) -> BulkKey:
        """Give the derivation of many card keys of one master.

        Every ``derive`` writes one line to the audit log, with the number of cards.
        """
        info = self._serving(usage, version)
        _derived_from(usage)
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

    def _found(self, usage: KeyUsage, version: int) -> KeyInfo | None:
        """Give a key; one not known may have come since the store was opened (a rotation)."""
        found = self._infos().get((usage, version))
        if found is None:
            self._learn(usage, version)
            found = self._infos().get((usage, version))
        return found

    def _new_info(self, usage: KeyUsage, version: int, algorithm: Algorithm | None) -> KeyInfo:
        return KeyInfo(
            usage,
            checked_version(version),
            kcv="",
            created=self.audit.now_text(),
            algorithm=chosen_algorithm(usage, algorithm),
            exportable=row(usage).exportable,
        )

    def _add(self, info: KeyInfo, material: KeyMaterial | None) -> KeyInfo:
        if (info.usage, info.version) in self._infos():
            raise KeyStoreExists(f"{self.place}: {info.usage.value} version {info.version}")
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


def _derived_from(usage: KeyUsage) -> None:
    if usage in UNDERIVED:
        raise WrongPurpose(usage.value, "derive card keys")


def _sealing(usage: KeyUsage) -> KeyUsage:
    if usage not in SEALING:
        raise WrongPurpose(usage.value, "seal data")
    return usage
