# SPDX-License-Identifier: Apache-2.0
"""The identity of a terminal or a server: it signs, and never shows its private half."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from keys import _prims, sm2, sm2_curve, sm2_file
from keys.errors import BadPublicKey, KeyStoreDamaged, KeyStoreExists
from keys.files import write_private
from keys.suite import Suite, fingerprint, full_key, short_key

__all__ = ["Identity", "Suite", "fingerprint", "full_key", "short_key"]


class _Sm2Private:
    """An SM2 private key; its public key has an even y, so that x alone stands for it."""

    def __init__(self, secret: bytes) -> None:
        self._secret, self.public_key = _even_pair(secret)

    def sign(self, data: bytes) -> bytes:
        """Sign with SM3 and the default identifier (GB/T 32918.2)."""
        return sm2.sign(self._secret, data, public=self.public_key)

    def to_pem(self) -> bytes:
        """Write PKCS #8."""
        return sm2_file.to_pem(self._secret, self.public_key)


def _even_pair(secret: bytes) -> tuple[bytes, bytes]:
    """Give a private and its public key with an even y: n - d has the other y of the same x."""
    public = sm2.public_key(secret)
    if public[-1] & 1:
        secret = (sm2_curve.N - int.from_bytes(secret)).to_bytes(sm2.PRIVATE_SIZE)
        public = sm2.public_key(secret)
    return secret, public


class Identity:
    """Hold one private key and sign with it.

    Every signature is over ``context ‖ data``, so that what was signed as an event can never be
    shown as a batch or a receipt.
    """

    def __init__(self, private: _prims.PrivateKey | _Sm2Private) -> None:
        self._private = private
        self.public_key: bytes = (
            private.public_key
            if isinstance(private, _Sm2Private)
            else _prims.ed25519_public_bytes(private)
        )
        self.suite = Suite.of(self.public_key)

    def __repr__(self) -> str:
        return f"Identity(public_key={self.public_key.hex()})"

    @classmethod
    def generate(cls, suite: Suite = Suite.ED25519) -> Identity:
        """Make a new identity."""
        if suite is Suite.SM2:
            return cls(_Sm2Private(sm2.generate()))
        return cls(_prims.ed25519_generate())

    @classmethod
    def from_seed(cls, seed32: bytes, suite: Suite = Suite.ED25519) -> Identity:
        """Make the identity of a 32-byte seed, for vectors and examples.

        >>> Identity.from_seed(bytes(32)).public_key.hex()[:16]
        '3b6a27bcceb6a42d'
        """
        if suite is Suite.SM2:
            return cls(_Sm2Private(seed32))
        return cls(_prims.ed25519_from_seed(seed32))

    @classmethod
    def load(cls, path: Path | str) -> Identity:
        """Read an identity of either suite from a PEM file (PKCS #8)."""
        return cls.from_pem(Path(path).read_bytes(), str(path))

    def save(self, path: Path | str) -> None:
        """Write the identity to a new PEM file that only its owner may read."""
        try:
            write_private(Path(path), self._pem(), replace=False)
        except FileExistsError as exc:
            raise KeyStoreExists(str(path)) from exc

    def sealed_by(self, seal: Callable[[bytes], bytes]) -> bytes:
        """Give the private half as some key store seals it; it is never given out plain."""
        return seal(self._pem())

    @classmethod
    def from_pem(cls, pem: bytes, where: str) -> Identity:
        """Make the identity of a PKCS #8 key in PEM; ``where`` names it in an error.

        Raises:
            KeyStoreDamaged: It is no key of either suite, or damaged.
        """
        try:
            secret = sm2_file.from_pem(pem)
            if secret is not None:
                return cls(_Sm2Private(secret))
            return cls(_prims.ed25519_from_pem(pem))
        except (ValueError, BadPublicKey) as exc:
            raise KeyStoreDamaged(where, "not an Ed25519 or SM2 key in PEM") from exc

    def _pem(self) -> bytes:
        private = self._private
        if isinstance(private, _Sm2Private):
            return private.to_pem()
        return _prims.ed25519_to_pem(private)

    def sign(self, context: bytes, data: bytes) -> bytes:
        """Sign ``context ‖ data`` and give the 64 bytes of the signature."""
        return self._private.sign(context + data)
