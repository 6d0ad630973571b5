# SPDX-License-Identifier: Apache-2.0
"""One key for one person: their data is sealed under it, and gone with it.

The key is random, stands sealed under the store's personal-data key beside the person's record,
and lives in memory only while a field is sealed or opened. Whoever deletes the sealed key has
erased the person's data wherever copies of it are, without touching any of them
(NIST SP 800-88 Rev. 1, 2.6: cryptographic erase).
"""

from __future__ import annotations

from typing import NoReturn

from keys import _prims
from keys.custody import KeyStore
from keys.material import KeyMaterial
from keys.usage import KeyUsage

_CONTEXT = b"person-key/1/"
_KEY_BYTES = 32  # AES-256


class PersonKey:
    """Seal and open the fields of one person.

    ``place`` says whose field it is, such as ``volunteer/0000000014/name``: data moved to another
    place does not open.
    """

    __slots__ = ("_material",)

    def __init__(self, material: KeyMaterial) -> None:
        self._material = material

    def __repr__(self) -> str:
        return "PersonKey(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")

    @classmethod
    def fresh(cls, store: KeyStore, person: str) -> tuple[PersonKey, bytes]:
        """Make a key for a person; return it and its sealed form, which is what to keep."""
        key = cls(KeyMaterial.random(_KEY_BYTES))
        sealed = store.seal(KeyUsage.PERSONAL_DATA, key._material.reveal(), _place(person))
        return key, sealed

    @classmethod
    def opened(cls, store: KeyStore, person: str, sealed: bytes) -> PersonKey:
        """Open the sealed key of a person.

        Raises:
            BadSeal: It was changed, or is another person's.
        """
        return cls(KeyMaterial(store.open_sealed(KeyUsage.PERSONAL_DATA, sealed, _place(person))))

    def sealed_for(self, store: KeyStore, person: str) -> bytes:
        """Seal the key itself for the person under another name, such as a new number."""
        return store.seal(KeyUsage.PERSONAL_DATA, self._material.reveal(), _place(person))

    def seal(self, data: bytes, place: bytes) -> bytes:
        """Seal one field (AES-256-GCM): nonce (12) ‖ ciphertext ‖ tag (16)."""
        return _prims.gcm_seal(self._material.reveal(), data, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """Open one field; raise ``BadSeal`` when it was changed or belongs elsewhere."""
        return _prims.gcm_open(self._material.reveal(), sealed, place)


def _place(person: str) -> bytes:
    return _CONTEXT + person.encode()
