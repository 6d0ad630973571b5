# SPDX-License-Identifier: Apache-2.0
"""The only place that touches the cryptography library: ciphers, MACs and signatures by name.

Everything works on bytes and holds no state but loaded public keys.
"""

from keys._prims.ciphers import (
    BLOCK,
    Encryptor,
    cbc,
    cbc_decrypt,
    cmac,
    des_cbc_last,
    des_ecb,
    des_ecb_decrypt,
    ecb,
    ecb_decrypt,
    encryptor,
    encryptors,
    pad80,
)
from keys._prims.hashes import hmac_sm3, sm3
from keys._prims.libcrypto import SONAME as LIBCRYPTO
from keys._prims.libcrypto import Sm2Verifier
from keys._prims.libcrypto import load as load_sm2
from keys._prims.sealing import aes_key_unwrap, argon2id, gcm_open, gcm_seal, random_bytes
from keys._prims.signatures import (
    PUBLIC_KEY_SIZE,
    SIGNATURE_SIZE,
    PrivateKey,
    PublicKey,
    ed25519_from_pem,
    ed25519_from_seed,
    ed25519_generate,
    ed25519_public,
    ed25519_public_bytes,
    ed25519_to_pem,
    ed25519_verify,
    p256_generate,
    p256_public,
    p256_public_bytes,
    p256_sign,
    p256_verify,
    rsa_public,
)

__all__ = [
    "BLOCK",
    "LIBCRYPTO",
    "PUBLIC_KEY_SIZE",
    "SIGNATURE_SIZE",
    "Encryptor",
    "PrivateKey",
    "PublicKey",
    "Sm2Verifier",
    "aes_key_unwrap",
    "argon2id",
    "cbc",
    "cbc_decrypt",
    "cmac",
    "des_cbc_last",
    "des_ecb",
    "des_ecb_decrypt",
    "ecb",
    "ecb_decrypt",
    "ed25519_from_pem",
    "ed25519_from_seed",
    "ed25519_generate",
    "ed25519_public",
    "ed25519_public_bytes",
    "ed25519_to_pem",
    "ed25519_verify",
    "encryptor",
    "encryptors",
    "gcm_open",
    "gcm_seal",
    "hmac_sm3",
    "load_sm2",
    "p256_generate",
    "p256_public",
    "p256_public_bytes",
    "p256_sign",
    "p256_verify",
    "pad80",
    "random_bytes",
    "rsa_public",
    "sm3",
]
