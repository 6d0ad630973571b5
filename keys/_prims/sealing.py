# SPDX-License-Identifier: Apache-2.0
"""Sealing under a key or a passphrase: AES-GCM, argon2id, randomness."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap as _aes_key_unwrap

from keys.errors import BadPublicKey, BadSeal

GCM_NONCE_SIZE = 12
GCM_TAG_SIZE = 16

random_bytes = os.urandom


def gcm_seal(key: bytes, data: bytes, aad: bytes) -> bytes:
    """Seal data under AES-GCM: nonce (12) ‖ ciphertext ‖ tag (16)."""
    nonce = random_bytes(GCM_NONCE_SIZE)
    return nonce + AESGCM(key).encrypt(nonce, data, aad)


def gcm_open(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Open what ``gcm_seal`` made; raise ``BadSeal`` when anything differs."""
    nonce, rest = sealed[:GCM_NONCE_SIZE], sealed[GCM_NONCE_SIZE:]
    if len(rest) < GCM_TAG_SIZE:
        raise BadSeal
    try:
        return AESGCM(key).decrypt(nonce, rest, aad)
    except InvalidTag as exc:
        raise BadSeal from exc


def gcm_seal_with(key: bytes, nonce: bytes, data: bytes, aad: bytes) -> bytes:
    """Seal data under AES-GCM with a nonce that the caller never repeats: ciphertext ‖ tag (16)."""
    return AESGCM(key).encrypt(nonce, data, aad)


def x25519_public(secret: bytes) -> bytes:
    """Give the public half of an X25519 key (RFC 7748)."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def x25519(secret: bytes, public: bytes) -> bytes:
    """Agree on 32 bytes; raise ``BadPublicKey`` for a point of small order or a wrong length."""
    try:
        other = X25519PublicKey.from_public_bytes(public)
        return X25519PrivateKey.from_private_bytes(secret).exchange(other)
    except ValueError as exc:
        raise BadPublicKey("X25519") from exc


def hkdf_sha256(shared: bytes, context: bytes) -> bytes:
    """Derive a 32-byte key (HKDF with SHA-256, RFC 5869, without salt)."""
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=context).derive(shared)


def aes_key_unwrap(wrapping: bytes, wrapped: bytes) -> bytes:
    """Unwrap a key (AES key wrap, RFC 3394); raise ``BadSeal`` when it is not under this one."""
    try:
        return _aes_key_unwrap(wrapping, wrapped)
    except InvalidUnwrap as exc:
        raise BadSeal from exc


def argon2id(passphrase: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    """Stretch a passphrase to 32 bytes; cost = (passes, memory in KiB, lanes), RFC 9106."""
    passes, memory_kib, lanes = cost
    kdf = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory_kib)
    return kdf.derive(passphrase.encode())
