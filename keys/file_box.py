# SPDX-License-Identifier: Apache-2.0
"""Encrypt a file to a public key, block by block: X25519, HKDF-SHA256, AES-256-GCM.

Layout: magic (8) ‖ ephemeral public key (32) ‖ blocks of 1 MiB, each ciphertext ‖ tag (16). The
nonce is a block's number and whether it is the last (the STREAM construction), so that blocks
cannot be swapped, dropped or cut off. A new ephemeral key makes a new content key every time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, NoReturn

from keys import _prims
from keys.errors import BadPublicKey, BadSeal

MAGIC = b"YIKABOX1"
BLOCK = 1 << 20
TAG = 16
_CONTEXT = b"yika/file-box/1\0"


class BoxKey:
    """Open what was encrypted to it; the private half is never shown."""

    __slots__ = ("_secret", "public_key")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.public_key = _prims.x25519_public(secret)

    def __repr__(self) -> str:
        return f"BoxKey(public_key={self.public_key.hex()})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")

    @classmethod
    def generate(cls) -> BoxKey:
        """Make a new key."""
        return cls(_prims.random_bytes(32))

    def open(self, source: BinaryIO, target: BinaryIO, limit: int) -> int:
        """Decrypt a file; return its size.

        Raises:
            BadSeal: It is for another key, changed, cut off, or longer than ``limit``.
        """
        head = source.read(len(MAGIC) + 32)
        if len(head) < len(MAGIC) + 32 or not head.startswith(MAGIC):
            raise BadSeal
        ephemeral = head[len(MAGIC) :]
        try:
            shared = _prims.x25519(self._secret, ephemeral)
        except BadPublicKey as exc:
            raise BadSeal from exc
        key = _content_key(shared, ephemeral, self.public_key)
        number = size = 0
        block = source.read(BLOCK + TAG)
        while True:
            following = source.read(BLOCK + TAG)
            plain = _prims.gcm_open(key, _nonce(number, not following) + block, head)
            size += len(plain)
            if size > limit:
                raise BadSeal
            target.write(plain)
            if not following:
                return size
            number, block = number + 1, following

    def sealed_by(self, seal: Callable[[bytes], bytes]) -> bytes:
        """Give the private half as some key store seals it; it is never given out plain."""
        return seal(self._secret)


def encrypt(source: BinaryIO, target: BinaryIO, public_key: bytes) -> None:
    """Encrypt a file to a public key (X25519, 32 bytes).

    Raises:
        BadPublicKey: The key is none.
    """
    ephemeral = _prims.random_bytes(32)
    public = _prims.x25519_public(ephemeral)
    head = MAGIC + public
    key = _content_key(_prims.x25519(ephemeral, public_key), public, public_key)
    target.write(head)
    number = 0
    block = source.read(BLOCK)
    while True:
        following = source.read(BLOCK)
        target.write(_prims.gcm_seal_with(key, _nonce(number, not following), block, head))
        if not following:
            return
        number, block = number + 1, following


def _content_key(shared: bytes, ephemeral: bytes, receiver: bytes) -> bytes:
    return _prims.hkdf_sha256(shared, _CONTEXT + ephemeral + receiver)


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])
