# SPDX-License-Identifier: Apache-2.0
"""The Ed25519 identity of a terminal or a server: it signs, and never shows its private half."""

from __future__ import annotations

from pathlib import Path

from keys import _prims
from keys.errors import KeyStoreDamaged, KeyStoreExists
from keys.files import write_private


class Identity:
    """Hold one private key and sign with it.

    Every signature is over ``context ‖ data``, so that what was signed as an event can never be
    shown as a batch or a receipt.
    """

    def __init__(self, private: _prims.PrivateKey) -> None:
        self._private = private
        self.public_key: bytes = _prims.ed25519_public_bytes(private)

    def __repr__(self) -> str:
        return f"Identity(public_key={self.public_key.hex()})"

    @classmethod
    def generate(cls) -> Identity:
        """Make a new identity."""
        return cls(_prims.ed25519_generate())

    @classmethod
    def from_seed(cls, seed32: bytes) -> Identity:
        """Make the identity of a 32-byte seed, for vectors and examples.

        >>> Identity.from_seed(bytes(32)).public_key.hex()[:16]
        '3b6a27bcceb6a42d'
        """
        return cls(_prims.ed25519_from_seed(seed32))

    @classmethod
    def load(cls, path: Path | str) -> Identity:
        """Read an identity from a PEM file (PKCS #8)."""
        try:
            return cls(_prims.ed25519_from_pem(Path(path).read_bytes()))
        except ValueError as exc:
            raise KeyStoreDamaged(str(path), "not an Ed25519 key in PEM") from exc

    def save(self, path: Path | str) -> None:
        """Write the identity to a new PEM file that only its owner may read."""
        try:
            write_private(Path(path), _prims.ed25519_to_pem(self._private), replace=False)
        except FileExistsError as exc:
            raise KeyStoreExists(str(path)) from exc

    def sign(self, context: bytes, data: bytes) -> bytes:
        """Sign ``context ‖ data`` and give the 64 bytes of the signature."""
        return self._private.sign(context + data)
