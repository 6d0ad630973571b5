# SPDX-License-Identifier: Apache-2.0
"""SM2 verification by the operating system's OpenSSL 3, where there is one.

The library that Python's ``cryptography`` brings leaves SM2 out; the libcrypto of the operating
system has it and gets the system's security updates. Only verification of a finished digest goes
through here: public values in, a verdict out. ``keys.sm2`` decides whether to believe it.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from keys.errors import BadPublicKey

SONAME = "libcrypto.so.3"
_VERSION_STRING = 0
# SubjectPublicKeyInfo: ecPublicKey on sm2p256v1 (1.2.156.10197.1.301), an uncompressed point.
_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
_KEYS_CACHED = 4096

_POINTER, _SIZE, _BYTES = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
_SIGNATURES: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "OpenSSL_version": (_BYTES, (ctypes.c_int,)),
    "d2i_PUBKEY": (_POINTER, (_POINTER, ctypes.POINTER(_BYTES), ctypes.c_long)),
    "EVP_PKEY_free": (None, (_POINTER,)),
    "EVP_PKEY_CTX_new": (_POINTER, (_POINTER, _POINTER)),
    "EVP_PKEY_CTX_free": (None, (_POINTER,)),
    "EVP_PKEY_verify_init": (ctypes.c_int, (_POINTER,)),
    "EVP_PKEY_verify": (ctypes.c_int, (_POINTER, _BYTES, _SIZE, _BYTES, _SIZE)),
    "ERR_clear_error": (None, ()),
}


class _PublicKey:
    """Hold one key of the library and free it at the end."""

    def __init__(self, library: ctypes.CDLL, pointer: int) -> None:
        self.pointer = pointer
        self._free = library.EVP_PKEY_free

    def __del__(self) -> None:
        self._free(self.pointer)


class Sm2Verifier:
    """Verify SM2 signatures over digests with one loaded libcrypto; from any thread."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._public = lru_cache(maxsize=_KEYS_CACHED)(self._load)
        version: bytes = library.OpenSSL_version(_VERSION_STRING)
        self.name = f"{version.decode()} ({SONAME})"

    def verify(self, public: bytes, signature: bytes, digest: bytes) -> bool:
        """Say whether r ‖ s is the key's signature over e = SM3(ZA ‖ M)."""
        key = self._public(public)
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        der = encode_dss_signature(r, s)
        context = self._library.EVP_PKEY_CTX_new(key.pointer, None)
        try:
            if self._library.EVP_PKEY_verify_init(context) != 1:
                raise BadPublicKey("SM2")
            verdict = self._library.EVP_PKEY_verify(context, der, len(der), digest, len(digest))
        finally:
            self._library.EVP_PKEY_CTX_free(context)
        if verdict != 1:
            self._library.ERR_clear_error()
        return bool(verdict == 1)

    def _load(self, public: bytes) -> _PublicKey:
        der = _SPKI + public
        at = _BYTES(der)
        pointer = self._library.d2i_PUBKEY(None, ctypes.byref(at), len(der))
        if not pointer:
            self._library.ERR_clear_error()
            raise BadPublicKey("SM2")
        return _PublicKey(self._library, pointer)


def load() -> Sm2Verifier | None:
    """Load the system's libcrypto; None where there is none or it lacks what is needed."""
    try:
        library = ctypes.CDLL(SONAME)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):
        return None
    return Sm2Verifier(library)
