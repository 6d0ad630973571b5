# SPDX-License-Identifier: Apache-2.0
"""Check Ed25519 signatures, one or many, and compare secrets in constant time."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from keys import _prims
from keys.errors import BadPublicKey

__all__ = ["SIGNATURE_SIZE", "BadPublicKey", "same", "verify", "verify_many"]

SIGNATURE_SIZE = _prims.SIGNATURE_SIZE
# The library releases the interpreter lock while it verifies, so two threads are nearly twice one;
# more than two would take the machine from whatever else it does.
THREADS_MAX = 2
# Below this many signatures starting a thread costs more than it saves.
THREADED_FROM = 32


def same(a: bytes, b: bytes) -> bool:
    """Compare two secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(a, b)


def verify(public: bytes, signature: bytes, context: bytes, data: bytes) -> bool:
    """Say whether ``signature`` is the key's over ``context ‖ data``.

    A signature of a wrong length is a wrong signature; a public key of a wrong length raises
    ``BadPublicKey``.

    >>> verify(bytes(32), bytes(64), b"context", b"data")
    False
    """
    return _prims.ed25519_verify(_prims.ed25519_public(public), signature, context + data)


def verify_many(
    public: bytes | Sequence[bytes],
    signatures: Sequence[bytes] | NDArray[np.uint8],
    context: bytes,
    messages: Sequence[bytes],
) -> NDArray[np.bool_]:
    """Verify many signatures and give one verdict each, in order.

    ``public`` is one key for all or one per signature; ``signatures`` may be an array of shape
    (n, 64). One wrong signature changes no other verdict.
    """
    keys = [public] * len(messages) if isinstance(public, bytes) else public
    raw = [bytes(signature) for signature in signatures]
    if not len(keys) == len(raw) == len(messages):
        raise ValueError("as many keys and signatures as messages, please")
    loaded = [_prims.ed25519_public(bytes(key)) for key in keys]

    def check(span: range) -> list[bool]:
        return [
            _prims.ed25519_verify(loaded[i], raw[i], context + bytes(messages[i])) for i in span
        ]

    return np.array(_in_threads(check, len(raw)), dtype=np.bool_)


def _in_threads(check: Callable[[range], list[bool]], count: int) -> list[bool]:
    threads = min(THREADS_MAX, os.cpu_count() or 1)
    if count < THREADED_FROM or threads < 2:
        return check(range(count))
    step = -(-count // threads)
    spans = [range(low, min(low + step, count)) for low in range(0, count, step)]
    with ThreadPoolExecutor(threads, thread_name_prefix="verify") as pool:
        return [verdict for part in pool.map(check, spans) for verdict in part]
