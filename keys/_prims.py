# SPDX-License-Identifier: Apache-2.0
"""The only module that touches the cryptography library: ciphers, MACs and signatures by name.

Everything works on bytes and holds no state. 3DES keys are two-key (16 bytes); single DES is 3DES
with three equal parts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keys.errors import BadKeyLength, BadPublicKey, BadSeal

Encryptor = CipherContext
PrivateKey = Ed25519PrivateKey
PublicKey = Ed25519PublicKey

BLOCK = 8
SIGNATURE_SIZE = 64
PUBLIC_KEY_SIZE = 32
GCM_NONCE_SIZE = 12
_ECB = modes.ECB()  # noqa: S305 - the purse's formulas are made of single ECB blocks
_ZERO_IV = bytes(BLOCK)
# A terminal's key is used for every event it ever sent; a server sees some thousand terminals.
_PUBLIC_KEYS_CACHED = 4096

random_bytes = os.urandom


def _tdes(key: bytes) -> TripleDES:
    if len(key) == 16:
        return TripleDES(key + key[:8])
    if len(key) == 8:
        return TripleDES(key * 3)
    raise BadKeyLength("DES key", 16, len(key))


def des_encryptor(key: bytes) -> CipherContext:
    """Open an ECB context; its ``update`` may be called many times (8 or 16-byte key)."""
    return Cipher(_tdes(key), _ECB).encryptor()


def des_encryptors(keys: bytes, size: int) -> Iterator[CipherContext]:
    """Open an ECB context for each of many keys of ``size`` 8 or 16, laid end to end.

    One algorithm object is given key after key: the library reads its key when a context opens,
    and checking types and lengths anew for each key would cost as much as opening it.
    """
    algorithm = _tdes(bytes(range(size)))
    cipher = Cipher(algorithm, _ECB)
    for at in range(0, len(keys), size):
        key = keys[at : at + size]
        algorithm.key = key * 3 if size == BLOCK else key + key[:BLOCK]
        yield cipher.encryptor()


def des_ecb(key: bytes, data: bytes) -> bytes:
    """Encrypt whole blocks in ECB: single DES with 8 bytes of key, 3DES with 16.

    >>> des_ecb(bytes.fromhex("0102030405060708"), bytes.fromhex("BB83BFF300000000")).hex().upper()
    '74B0047DD681D96C'
    """
    _whole_blocks(data)
    return des_encryptor(key).update(data)


def des_ecb_decrypt(key: bytes, data: bytes) -> bytes:
    """Decrypt whole blocks in ECB."""
    _whole_blocks(data)
    return Cipher(_tdes(key), _ECB).decryptor().update(data)


def des_cbc_last(key8: bytes, data: bytes, iv: bytes = _ZERO_IV) -> bytes:
    """Encrypt whole blocks in CBC under single DES and give the last block."""
    _whole_blocks(data)
    return Cipher(_tdes(key8), modes.CBC(iv)).encryptor().update(data)[-BLOCK:]


def pad80(data: bytes) -> bytes:
    """Pad with 80 00..00 to whole blocks, always at least one byte (ISO/IEC 9797-1 method 2)."""
    return data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)


def _whole_blocks(data: bytes) -> None:
    if not data or len(data) % BLOCK:
        raise BadKeyLength("blocks", BLOCK, len(data))


def aes_first_block(key: bytes) -> bytes:
    """Encrypt one block of zeros under AES, for a key check value."""
    return Cipher(algorithms.AES(key), _ECB).encryptor().update(bytes(16))


def gcm_seal(key: bytes, data: bytes, aad: bytes) -> bytes:
    """Seal data under AES-GCM: nonce (12) ‖ ciphertext ‖ tag (16)."""
    nonce = random_bytes(GCM_NONCE_SIZE)
    return nonce + AESGCM(key).encrypt(nonce, data, aad)


def gcm_open(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Open what ``gcm_seal`` made; raise ``BadSeal`` when anything differs."""
    nonce, rest = sealed[:GCM_NONCE_SIZE], sealed[GCM_NONCE_SIZE:]
    if len(rest) < 16:
        raise BadSeal
    try:
        return AESGCM(key).decrypt(nonce, rest, aad)
    except InvalidTag as exc:
        raise BadSeal from exc


def argon2id(passphrase: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    """Stretch a passphrase to 32 bytes; cost = (passes, memory in KiB, lanes), RFC 9106."""
    passes, memory_kib, lanes = cost
    kdf = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory_kib)
    return kdf.derive(passphrase.encode())


def ed25519_generate() -> Ed25519PrivateKey:
    """Make a new Ed25519 key (RFC 8032)."""
    return Ed25519PrivateKey.generate()


def ed25519_from_pem(pem: bytes) -> Ed25519PrivateKey:
    """Read an unencrypted PKCS #8 key; raise ``ValueError`` when it is something else."""
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")
    return key


def ed25519_from_seed(seed: bytes) -> Ed25519PrivateKey:
    """Make the key of a 32-byte seed; for test vectors and reproducible examples."""
    return Ed25519PrivateKey.from_private_bytes(seed)


def ed25519_to_pem(key: Ed25519PrivateKey) -> bytes:
    """Write a key as unencrypted PKCS #8."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def ed25519_public_bytes(key: Ed25519PrivateKey) -> bytes:
    """Give the 32 raw bytes of the public half."""
    return key.public_key().public_bytes_raw()


@lru_cache(maxsize=_PUBLIC_KEYS_CACHED)
def ed25519_public(raw: bytes) -> Ed25519PublicKey:
    """Load a public key once and keep it."""
    if len(raw) != PUBLIC_KEY_SIZE:
        raise BadPublicKey
    try:
        return Ed25519PublicKey.from_public_bytes(raw)
    except ValueError as exc:
        raise BadPublicKey from exc


def ed25519_verify(public: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    """Say whether the signature is this key's over this message."""
    try:
        public.verify(signature, message)
    except InvalidSignature:
        return False
    return True
