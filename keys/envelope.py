# SPDX-License-Identifier: Apache-2.0
"""A file that a passphrase opens: argon2id, AES-256-GCM, and a plain checksum.

Layout, big-endian: magic (8) ‖ format (1) ‖ passes (4) ‖ memory KiB (4) ‖ lanes (1) ‖ salt (16) ‖
nonce (12) ‖ ciphertext ‖ tag (16) ‖ SHA-256 of all before, left 8. Everything before the nonce is
authenticated too. The checksum needs no key: it tells a damaged file from a wrong passphrase.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import NoReturn

from keys import _prims
from keys.errors import BadSeal, KeyStoreDamaged, KeyStoreLocked

FORMAT = 1
_HEAD = struct.Struct(">8sBIIB16s")
_CHECKSUM_SIZE = 8
# A damaged or hostile header must not make us take all memory or time of the machine.
MEMORY_KIB_MAX = 1 << 20
PASSES_MAX = 64
LANES_MAX = 16
FILE_SIZE_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class KdfCost:
    """Say how dear one guess of the passphrase is (argon2id, RFC 9106)."""

    passes: int = 3
    memory_kib: int = 64 * 1024
    lanes: int = 4

    def as_tuple(self) -> tuple[int, int, int]:
        """Give (passes, memory in KiB, lanes)."""
        return self.passes, self.memory_kib, self.lanes


# The second recommended choice of RFC 9106, section 4: about 0.2 s on a small server.
DEFAULT_COST = KdfCost()


class Envelope:
    """Seal and open one kind of file with a key that the passphrase gave once."""

    def __init__(self, head: bytes, key: bytes) -> None:
        self._head = head
        self._key = key

    def __repr__(self) -> str:
        return f"Envelope(kind={self._head[:8]!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")

    @classmethod
    def create(cls, magic: bytes, passphrase: str, cost: KdfCost = DEFAULT_COST) -> Envelope:
        """Stretch a new passphrase with a fresh salt."""
        salt = _prims.random_bytes(16)
        head = _HEAD.pack(magic, FORMAT, *cost.as_tuple(), salt)
        return cls(head, _prims.argon2id(passphrase, salt, cost.as_tuple()))

    @classmethod
    def open(cls, magic: bytes, passphrase: str, blob: bytes, path: str) -> tuple[Envelope, bytes]:
        """Open a file's bytes and give the envelope and what was inside."""
        head = _checked_head(magic, blob, path)
        *cost, salt = _HEAD.unpack(head)[2:]
        envelope = cls(head, _prims.argon2id(passphrase, salt, (cost[0], cost[1], cost[2])))
        return envelope, envelope.unseal(blob, path)

    def seal(self, plain: bytes) -> bytes:
        """Give the bytes of a file that holds ``plain``."""
        body = self._head + _prims.gcm_seal(self._key, plain, self._head)
        return body + hashlib.sha256(body).digest()[:_CHECKSUM_SIZE]

    def unseal(self, blob: bytes, path: str) -> bytes:
        """Open a newer state of the same file, without stretching the passphrase again."""
        if _checked_head(self._head[:8], blob, path) != self._head:
            raise KeyStoreDamaged(path, "made with another passphrase or salt")
        try:
            return _prims.gcm_open(self._key, blob[_HEAD.size : -_CHECKSUM_SIZE], self._head)
        except BadSeal as exc:
            raise KeyStoreLocked(path) from exc


def _checked_head(magic: bytes, blob: bytes, path: str) -> bytes:
    if len(blob) > FILE_SIZE_MAX:
        raise KeyStoreDamaged(path, f"larger than {FILE_SIZE_MAX} bytes")
    if len(blob) < _HEAD.size + _CHECKSUM_SIZE:
        raise KeyStoreDamaged(path, f"only {len(blob)} bytes long")
    if blob[:8] != magic:
        raise KeyStoreDamaged(path, "not a file of this kind")
    body, checksum = blob[:-_CHECKSUM_SIZE], blob[-_CHECKSUM_SIZE:]
    if hashlib.sha256(body).digest()[:_CHECKSUM_SIZE] != checksum:
        raise KeyStoreDamaged(path, "checksum differs")
    _, version, passes, memory_kib, lanes, _ = _HEAD.unpack_from(blob)
    if version != FORMAT:
        raise KeyStoreDamaged(path, f"format {version}, this program reads {FORMAT}")
    if not (
        0 < passes <= PASSES_MAX
        and 0 < lanes <= LANES_MAX
        and 8 * lanes <= memory_kib <= MEMORY_KIB_MAX
    ):
        raise KeyStoreDamaged(path, "passphrase cost out of range")
    return blob[: _HEAD.size]
