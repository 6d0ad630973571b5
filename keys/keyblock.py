# SPDX-License-Identifier: Apache-2.0
"""Key blocks after ASC X9 TR-31:2018 / ANSI X9.143: a key, what it is for, and a MAC over both.

Version B derives its two keys from a 3DES protection key, version D from an AES one. Versions A
and C (variants instead of derivation) are refused: X9.143 deprecates them. Text of a block::

    header (16) ‖ optional blocks ‖ hex(CBC(length in bits (2) ‖ key ‖ random)) ‖ hex(MAC)

The MAC is a CMAC over the header as text and the clear key data, and serves as the IV. The key is
padded to the longest key of its algorithm, so that a block does not tell its length. Whoever
unwraps decides what the usage allows; a key store does (``keys.custody``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from keys import _prims
from keys.algorithm import Algorithm
from keys.errors import KeyBlockDamaged, KeyBlockRefused, KeyBlockRejected
from keys.keyblock_header import BlockHeader
from keys.verify import same

__all__ = ["BlockHeader", "BlockKeys", "derive", "open_block", "seal_block", "unwrap", "wrap"]

# Lengths a key may have; other algorithms (numeric: proprietary) are bounded only.
KEY_SIZES: dict[str, tuple[int, ...]] = {"D": (8,), "T": (16, 24), "A": (16, 24, 32), "4": (16,)}
KEY_SIZE_MAX = 512
# X9.143 gives the length of a block four decimal digits.
BLOCK_SIZE_MAX = 9999
# Bits of strength, SP 800-57 part 1: a protection key must not be the weakest link.
_STRENGTH = {"D": {8: 56}, "T": {16: 80, 24: 112}, "A": {16: 128, 24: 192, 32: 256}, "4": {16: 128}}
_HEX = re.compile(r"[0-9A-F]*")

Cmac = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class _Method:
    """Say which cipher protects one version, and what it calls the lengths of its key."""

    cipher: Algorithm
    family: str
    indicators: dict[int, int]

    @property
    def block(self) -> int:
        """Give the length of a cipher block, which is that of the MAC."""
        return self.cipher.block_bytes


_METHODS = {
    "B": _Method(Algorithm.TDES, "T", {16: 0, 24: 1}),
    "D": _Method(Algorithm.AES, "A", {16: 2, 24: 3, 32: 4}),
}


@dataclass(frozen=True, slots=True)
class BlockKeys:
    """Hold what a protection key became for one version: it encrypts, and it authenticates."""

    version: str
    encryption: bytes
    authentication: bytes

    def __repr__(self) -> str:
        return f"BlockKeys(version={self.version!r})"


def derive(version: str, size: int, cmac: Cmac) -> BlockKeys:
    """Derive encryption and authentication key from a protection key that only ``cmac`` knows.

    ``size`` is the length of the protection key in bytes; ``cmac`` is its CMAC, so that the key
    may stay inside an HSM (X9.143, 6.2 and 6.3: counter, 0000 or 0001, 00, algorithm, bits).
    """
    method = _METHODS[version]
    if size not in method.indicators:
        raise KeyBlockRefused("protection key", f"{size} bytes do not suit version {version}")
    tail = b"\0" + method.indicators[size].to_bytes(2) + (8 * size).to_bytes(2)

    def key(purpose: int) -> bytes:
        rounds = range(1, -(-size // method.block) + 1)
        parts = (cmac(counter.to_bytes(1) + purpose.to_bytes(2) + tail) for counter in rounds)
        return b"".join(parts)[:size]

    return BlockKeys(version, key(0), key(1))


def wrap(kbpk: bytes, header: BlockHeader, key: bytes) -> str:
    """Wrap a key under a protection key (3DES for version B, AES for D) and give the block.

    Raise ``KeyBlockRefused`` when key and algorithm do not belong together or the protection key
    is weaker than the key.
    """
    method = _METHODS[header.version]
    keys = derive(header.version, len(kbpk), lambda data: _prims.cmac(method.cipher, kbpk, data))
    return seal_block(keys, header, key)


def unwrap(kbpk: bytes, block: str) -> tuple[BlockHeader, bytes]:
    """Open a key block and give its header and the key.

    Raise ``KeyBlockDamaged`` with field and offset when the text is no such block, and
    ``KeyBlockRejected`` when the MAC differs: a changed block, or another protection key.

    >>> header, key = unwrap(
    ...     bytes.fromhex("DD7515F2BFC17F85CE48F3CA25CB21F6"),
    ...     "B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E",
    ... )
    >>> header.usage, key.hex().upper()
    ('P0', '3F419E1CB7079442AA37474C2EFBF8B8')
    """
    header, _ = _parsed(block)
    method = _METHODS[header.version]
    return open_block(
        derive(header.version, len(kbpk), lambda data: _prims.cmac(method.cipher, kbpk, data)),
        block,
    )


def seal_block(keys: BlockKeys, header: BlockHeader, key: bytes) -> str:
    """Wrap a key under keys already derived; see ``wrap``."""
    method = _METHODS[_same_version(keys, header)]
    _check_key(header.algorithm, key)
    protection = _STRENGTH[method.family][len(keys.encryption)]
    if _STRENGTH.get(header.algorithm, {}).get(len(key), 0) > protection:
        raise KeyBlockRefused("protection key", "weaker than the key it would protect")
    longest = max(KEY_SIZES.get(header.algorithm, (len(key),)))
    clear = (8 * len(key)).to_bytes(2) + key
    clear += _prims.random_bytes(_padded(2 + longest, method.block) - len(clear))
    text = header.text(2 * (len(clear) + method.block))
    mac = _prims.cmac(method.cipher, keys.authentication, text.encode("ascii") + clear)
    return text + (_prims.cbc(method.cipher, keys.encryption, clear, mac) + mac).hex().upper()


def open_block(keys: BlockKeys, block: str) -> tuple[BlockHeader, bytes]:
    """Open a block with keys already derived; see ``unwrap``."""
    header, start = _parsed(block)
    method = _METHODS[_same_version(keys, header)]
    body = bytes.fromhex(block[start:])
    cipher, mac = body[: -method.block], body[-method.block :]
    clear = _prims.cbc_decrypt(method.cipher, keys.encryption, cipher, mac)
    expected = _prims.cmac(
        method.cipher, keys.authentication, block[:start].encode("ascii") + clear
    )
    if not same(expected, mac):
        raise KeyBlockRejected(header.version)
    bits = int.from_bytes(clear[:2])
    if bits % 8 or bits // 8 > len(clear) - 2:
        raise KeyBlockDamaged("key length", start, f"{bits} bits in {len(clear)} bytes")
    key = clear[2 : 2 + bits // 8]
    _check_key(header.algorithm, key)
    return header, key


def _same_version(keys: BlockKeys, header: BlockHeader) -> str:
    if keys.version != header.version:
        raise KeyBlockRefused(
            "protection key", f"made for version {keys.version}, the block is {header.version}"
        )
    return header.version


def _check_key(algorithm: str, key: bytes) -> None:
    sizes = KEY_SIZES.get(algorithm)
    fits = len(key) in sizes if sizes else 0 < len(key) <= KEY_SIZE_MAX
    if not fits:
        raise KeyBlockRefused("key length", f"{len(key)} bytes for algorithm {algorithm}")


def _padded(size: int, block: int) -> int:
    return -(-size // block) * block


def _parsed(block: str) -> tuple[BlockHeader, int]:
    """Read the header and check the frame; give it and where the ciphertext begins."""
    if len(block) > BLOCK_SIZE_MAX:
        raise KeyBlockDamaged("length", 1, f"more than {BLOCK_SIZE_MAX} characters")
    header, start = BlockHeader.parse(block)
    size = _METHODS[header.version].block
    wrong = len(block) != int(block[1:5]) or (len(block) - start) % (2 * size)
    if wrong or len(block) - start < 4 * size:
        raise KeyBlockDamaged("length", 1, f"{block[1:5]} announced, {len(block)} found")
    body = _HEX.match(block, start)
    end = body.end() if body else start
    if end != len(block):
        raise KeyBlockDamaged("ciphertext", end, "not upper-case hex")
    return header, start
