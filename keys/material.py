# SPDX-License-Identifier: Apache-2.0
"""The bytes of a key inside this package: masked in every text, compared in constant time, wiped.

What generation, import, components and key blocks pass around. Nothing outside ``keys`` holds one.
"""

from __future__ import annotations

import hmac
from typing import NoReturn

from keys import _prims
from keys.algorithm import Algorithm, check_key
from keys.errors import BadKeyLength
from keys.kcv import kcv


class KeyMaterial:
    """Hold the bytes of one key where operations on it need them.

    >>> material = KeyMaterial(bytes(16))
    >>> material
    KeyMaterial(16 bytes)
    >>> len(material)
    16
    """

    __slots__ = ("_bytes",)

    def __init__(self, content: bytes | bytearray) -> None:
        self._bytes = bytearray(content)

    @classmethod
    def random(cls, length: int) -> KeyMaterial:
        """Make ``length`` random bytes."""
        return cls(_prims.random_bytes(length))

    def __repr__(self) -> str:
        return f"KeyMaterial({len(self._bytes)} bytes)"

    def __len__(self) -> int:
        return len(self._bytes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, KeyMaterial):
            return NotImplemented
        return hmac.compare_digest(self._bytes, other._bytes)

    __hash__ = None  # type: ignore[assignment]  # a key in a set or dictionary is a key forgotten

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")

    def reveal(self) -> bytes:
        """Give the bytes, to a cipher or a file that is encrypted; raise when wiped."""
        if not self._bytes:
            raise BadKeyLength("key material", 16, 0)
        return bytes(self._bytes)

    def xor(self, other: KeyMaterial) -> KeyMaterial:
        """Combine two components of equal length.

        >>> KeyMaterial(b"ab").xor(KeyMaterial(b"ab")) == KeyMaterial(bytes(2))
        True
        """
        if len(self) != len(other):
            raise BadKeyLength("key component", len(self), len(other))
        return KeyMaterial(bytes(a ^ b for a, b in zip(self._bytes, other._bytes, strict=True)))

    def kcv(self, algorithm: Algorithm) -> str:
        """Give the key check value, six hex digits."""
        return kcv(self.reveal(), algorithm)

    def check(self, algorithm: Algorithm) -> None:
        """Raise ``BadKeyLength`` or ``WeakKey`` when this may not be a master of the algorithm."""
        check_key(self.reveal(), algorithm)

    def wipe(self) -> None:
        """Overwrite the bytes here; copies that a cipher took live until it is collected."""
        self._bytes[:] = bytes(len(self._bytes))
        self._bytes.clear()
