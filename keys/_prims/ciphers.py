# SPDX-License-Identifier: Apache-2.0
"""Block ciphers by name: ECB, CBC and CMAC of 3DES, AES and SM4.

3DES keys have two parts (16 bytes) or three (24); single DES is 3DES with three equal parts.
AES: FIPS 197. SM4: GB/T 32907. CMAC: NIST SP 800-38B, ISO/IEC 9797-1 algorithm 5.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import (
    BlockCipherAlgorithm,
    Cipher,
    CipherContext,
    algorithms,
    modes,
)
from cryptography.hazmat.primitives.cmac import CMAC

from keys.algorithm import Algorithm
from keys.errors import BadKeyLength

Encryptor = CipherContext

BLOCK = 8
_ECB = modes.ECB()  # noqa: S305 - the purse's formulas are made of single ECB blocks
_ZERO_IV = bytes(BLOCK)
_AES_KEYS = (16, 24, 32)


def _tdes(key: bytes) -> TripleDES:
    if len(key) == 16:
        return TripleDES(key + key[:8])
    if len(key) == 8:
        return TripleDES(key * 3)
    if len(key) == 24:
        return TripleDES(key)
    raise BadKeyLength("DES key", 16, len(key))


def _cipher(algorithm: Algorithm, key: bytes) -> BlockCipherAlgorithm:
    if algorithm is Algorithm.TDES:
        return _tdes(key)
    if algorithm is Algorithm.SM4:
        if len(key) != 16:
            raise BadKeyLength("SM4 key", 16, len(key))
        return algorithms.SM4(key)
    if len(key) not in _AES_KEYS:
        raise BadKeyLength("AES key", 32, len(key))
    return algorithms.AES(key)


def _whole(algorithm: Algorithm, data: bytes) -> None:
    if not data or len(data) % algorithm.block_bytes:
        raise BadKeyLength("blocks", algorithm.block_bytes, len(data))


def _iv(algorithm: Algorithm, iv: bytes) -> modes.CBC:
    if len(iv) != algorithm.block_bytes:
        raise BadKeyLength("IV", algorithm.block_bytes, len(iv))
    return modes.CBC(iv)


def encryptor(algorithm: Algorithm, key: bytes) -> CipherContext:
    """Open an ECB context; its ``update`` may be called many times, with whole blocks."""
    return Cipher(_cipher(algorithm, key), _ECB).encryptor()


def ecb(algorithm: Algorithm, key: bytes, data: bytes) -> bytes:
    """Encrypt whole blocks in ECB.

    >>> key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    >>> ecb(Algorithm.SM4, key, key).hex().upper()
    '681EDF34D206965E86B3E94F536E4246'
    """
    _whole(algorithm, data)
    return encryptor(algorithm, key).update(data)


def ecb_decrypt(algorithm: Algorithm, key: bytes, data: bytes) -> bytes:
    """Decrypt whole blocks in ECB."""
    _whole(algorithm, data)
    return Cipher(_cipher(algorithm, key), _ECB).decryptor().update(data)


def cbc(algorithm: Algorithm, key: bytes, data: bytes, iv: bytes) -> bytes:
    """Encrypt whole blocks in CBC; the IV is one block."""
    _whole(algorithm, data)
    return Cipher(_cipher(algorithm, key), _iv(algorithm, iv)).encryptor().update(data)


def cbc_decrypt(algorithm: Algorithm, key: bytes, data: bytes, iv: bytes) -> bytes:
    """Decrypt whole blocks in CBC; the IV is one block."""
    _whole(algorithm, data)
    return Cipher(_cipher(algorithm, key), _iv(algorithm, iv)).decryptor().update(data)


def cmac(algorithm: Algorithm, key: bytes, data: bytes) -> bytes:
    """Compute CMAC over any number of bytes and give the whole block.

    >>> key = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
    >>> cmac(Algorithm.AES, key, b"").hex()
    'bb1d6929e95937287fa37d129b756746'
    """
    mac = CMAC(_cipher(algorithm, key))
    mac.update(data)
    return mac.finalize()


def encryptors(algorithm: Algorithm, keys: bytes, size: int) -> Iterator[CipherContext]:
    """Open an ECB context for each of many keys of ``size`` bytes, laid end to end.

    One cipher object is given key after key: the library reads its key when a context opens, and
    checking types and lengths anew for each key would cost half as much as opening it. 3DES takes
    keys of 8 bytes (single DES) and 16.
    """
    if len(keys) % size:
        raise BadKeyLength("keys", size, len(keys))
    shape = _cipher(algorithm, bytes(range(size)))
    cipher = Cipher(shape, _ECB)
    if algorithm is Algorithm.TDES:
        rows = np.frombuffer(keys, dtype=np.uint8).reshape(-1, size)
        parts = [rows, rows, rows] if size == BLOCK else [rows, rows[:, :BLOCK]]
        keys, size = np.concatenate(parts, axis=1).tobytes(), 3 * BLOCK
    for at in range(0, len(keys), size):
        shape.key = keys[at : at + size]
        yield cipher.encryptor()


def des_ecb(key: bytes, data: bytes) -> bytes:
    """Encrypt whole blocks in ECB: single DES with 8 bytes of key, 3DES with 16.

    >>> des_ecb(bytes.fromhex("0102030405060708"), bytes.fromhex("BB83BFF300000000")).hex().upper()
    '74B0047DD681D96C'
    """
    return ecb(Algorithm.TDES, key, data)


def des_ecb_decrypt(key: bytes, data: bytes) -> bytes:
    """Decrypt whole blocks in ECB."""
    return ecb_decrypt(Algorithm.TDES, key, data)


def des_cbc_last(key8: bytes, data: bytes, iv: bytes = _ZERO_IV) -> bytes:
    """Encrypt whole blocks in CBC under single DES and give the last block."""
    return cbc(Algorithm.TDES, key8, data, iv)[-BLOCK:]


def pad80(data: bytes, block: int = BLOCK) -> bytes:
    """Pad with 80 00..00 to whole blocks, always at least one byte (ISO/IEC 9797-1 method 2)."""
    return data + b"\x80" + bytes(-(len(data) + 1) % block)
