# SPDX-License-Identifier: Apache-2.0
"""A signature that this process made or has looked at is not calculated a second time.

Ed25519 signs and verifies the same bytes always the same way (RFC 8032), so the answer to a
question that was asked before is known: key, signature and message, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from keys import _prims
from keys.identity import Identity

_KNOWN: dict[tuple[bytes, bytes, bytes], bool] = {}
_sign, _verify = Identity.sign, _prims.ed25519_verify


def _signing(self: Identity, context: bytes, data: bytes) -> bytes:
    signature = _sign(self, context, data)
    _KNOWN[self.public_key, signature, context + data] = True
    return signature


def _verifying(public: _prims.PublicKey, signature: bytes, message: bytes) -> bool:
    question = (public.public_bytes_raw(), signature, message)
    known = _KNOWN.get(question)
    if known is None:
        known = _KNOWN[question] = _verify(public, signature, message)
    return known


@contextmanager
def signatures() -> Iterator[None]:
    """Remember signatures while the block runs."""
    _KNOWN.clear()
    Identity.sign = _signing  # type: ignore[method-assign]
    vars(_prims)["ed25519_verify"] = _verifying
    try:
        yield
    finally:
        Identity.sign = _sign  # type: ignore[method-assign]
        vars(_prims)["ed25519_verify"] = _verify
