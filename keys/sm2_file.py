# SPDX-License-Identifier: Apache-2.0
"""An SM2 private key as PKCS #8 in PEM, as OpenSSL and GmSSL read it.

Every part has a fixed length, so the DER around the numbers is constant: PrivateKeyInfo (RFC 5208)
with id-ecPublicKey on the curve 1.2.156.10197.1.301, holding an ECPrivateKey (RFC 5915).
"""

from __future__ import annotations

import base64
import binascii
import hmac

from keys import sm2

_HEAD = bytes.fromhex("308187020100301306072a8648ce3d020106082a811ccf5501822d046d306b0201010420")
_PUBLIC = bytes.fromhex("a144034200") + b"\x04"
_SECRET_SIZE, _PUBLIC_SIZE = 32, 64
_BEGIN, _END = b"-----BEGIN PRIVATE KEY-----", b"-----END PRIVATE KEY-----"
_LINE = 64
# Ours has 250 bytes; what is longer is something else.
_PEM_MAX = 4096


def to_pem(secret: bytes, public_key: bytes) -> bytes:
    """Write a private key; `public_key` is x ‖ y."""
    text = base64.b64encode(_HEAD + secret + _PUBLIC + public_key)
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return b"\n".join((_BEGIN, *lines, _END, b""))


def from_pem(pem: bytes) -> bytes | None:
    """Read a private key; `None` when it is a key of another kind.

    Raises:
        ValueError: It is an SM2 key, but damaged: the public half does not belong to the private.
    """
    body = pem[:_PEM_MAX].replace(_BEGIN, b"").replace(_END, b"")
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        return None
    if not der.startswith(_HEAD):
        return None
    secret = der[len(_HEAD) : len(_HEAD) + _SECRET_SIZE]
    rest = der[len(_HEAD) + _SECRET_SIZE :]
    if len(rest) != len(_PUBLIC) + _PUBLIC_SIZE or not rest.startswith(_PUBLIC):
        raise ValueError("public half missing")
    if not hmac.compare_digest(sm2.public_key(secret), rest[len(_PUBLIC) :]):
        raise ValueError("public half of another key")
    return secret
