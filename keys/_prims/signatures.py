# SPDX-License-Identifier: Apache-2.0
"""Signatures by name: Ed25519, ECDSA over P-256, and the bare public operation of RSA."""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from keys.errors import BadKeyLength, BadPublicKey

PrivateKey = Ed25519PrivateKey
PublicKey = Ed25519PublicKey
P256PrivateKey = ec.EllipticCurvePrivateKey
P256PublicKey = ec.EllipticCurvePublicKey

SIGNATURE_SIZE = 64
PUBLIC_KEY_SIZE = 32
P256_SIZE = 32
# A terminal's key is used for every event it ever sent; a server sees some thousand terminals.
_PUBLIC_KEYS_CACHED = 4096
# EMV Book 2 §11.2.1 (JR/T 0025.7): a modulus has at most 248 bytes, the exponent is 3 or 65537.
# Some schemes' test keys have 256 bytes; 64 is the shortest that was ever issued.
RSA_MODULUS_MIN, RSA_MODULUS_MAX = 64, 256
RSA_EXPONENTS = (3, 0x10001)


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


def p256_generate() -> ec.EllipticCurvePrivateKey:
    """Make a new key on P-256 (FIPS 186-5, RFC 5480 secp256r1)."""
    return ec.generate_private_key(ec.SECP256R1())


def p256_public_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Give the 64 bytes x ‖ y of the public half."""
    return key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )[1:]


@lru_cache(maxsize=_PUBLIC_KEYS_CACHED)
def p256_public(raw: bytes) -> ec.EllipticCurvePublicKey:
    """Load a public key of 64 bytes x ‖ y; raise ``BadPublicKey`` when it is no point."""
    if len(raw) != 2 * P256_SIZE:
        raise BadPublicKey("P-256")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + raw)
    except ValueError as exc:
        raise BadPublicKey("P-256") from exc


def p256_sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Sign with SHA-256 and give r ‖ s, 64 bytes."""
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(P256_SIZE) + s.to_bytes(P256_SIZE)


def p256_verify(public: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    """Say whether r ‖ s is this key's signature over this message, with SHA-256."""
    if len(signature) != SIGNATURE_SIZE:
        return False
    r = int.from_bytes(signature[:P256_SIZE])
    s = int.from_bytes(signature[P256_SIZE:])
    try:
        public.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def rsa_public(modulus: bytes, exponent: int, data: bytes) -> bytes:
    r"""Raise data to the public exponent modulo the modulus, no padding (EMV Book 2 annex A2.1).

    ``data`` is as long as the modulus and smaller; so is what comes back. The padding and the hash
    inside are the business of whoever reads certificates.

    >>> rsa_public(b"\xff" * 63 + b"\xc5", 3, bytes(63) + b"\x02").hex()[-4:]
    '0008'
    """
    if not RSA_MODULUS_MIN <= len(modulus) <= RSA_MODULUS_MAX:
        raise BadKeyLength("RSA modulus", RSA_MODULUS_MAX, len(modulus))
    if len(data) != len(modulus):
        raise BadKeyLength("RSA data", len(modulus), len(data))
    number, value = int.from_bytes(modulus), int.from_bytes(data)
    if exponent not in RSA_EXPONENTS or not number & 1 or value >= number:
        raise BadPublicKey("RSA")
    return pow(value, exponent, number).to_bytes(len(modulus))
