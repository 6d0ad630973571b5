# SPDX-License-Identifier: Apache-2.0
"""Check signatures of either suite, one or many, and compare secrets in constant time.

The suite belongs to the enrolled key, never to what was signed: 32 bytes are a public key of
Ed25519 (RFC 8032), 64 are one of SM2 with SM3 (GB/T 32918).
"""

from __future__ import annotations

import hmac
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from keys import _prims, sm2
from keys.errors import BadPublicKey

__all__ = ["SIGNATURE_SIZE", "BadPublicKey", "is_sm2", "same", "verify", "verify_many"]

SIGNATURE_SIZE = _prims.SIGNATURE_SIZE
# Below this many signatures starting a thread costs more than it saves.
THREADED_FROM = 32
# More slices than threads, so that a busy core does not keep the others waiting.
SLICES_PER_THREAD = 4
# From this many signatures of one SM2 key on, the table of its multiples is worth making.
SM2_TABLE_FROM = 12

_Check = Callable[[int], bool]


def same(a: bytes, b: bytes) -> bool:
    """Compare two secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(a, b)


def is_sm2(public: bytes) -> bool:
    """Say whether a public key is of the SM2 suite, by its length.

    >>> is_sm2(bytes(32)), is_sm2(bytes(64))
    (False, True)
    """
    return len(public) == sm2.PUBLIC_SIZE


def verify(public: bytes, signature: bytes, context: bytes, data: bytes) -> bool:
    """Say whether ``signature`` is the key's over ``context ‖ data``.

    A signature of a wrong length is a wrong signature; a public key that is none of either suite
    raises ``BadPublicKey``.

    >>> verify(bytes(32), bytes(64), b"context", b"data")
    False
    """
    if is_sm2(public):
        return sm2.verify(public, signature, context + data)
    return _prims.ed25519_verify(_prims.ed25519_public(public), signature, context + data)


def verify_many(
    public: bytes | Sequence[bytes],
    signatures: Sequence[bytes] | NDArray[np.uint8],
    context: bytes,
    messages: Sequence[bytes],
) -> NDArray[np.bool_]:
    """Verify many signatures on all cores and give one verdict each, in order.

    ``public`` is one key for all or one per signature, the suites mixed as they come;
    ``signatures`` may be an array of shape (n, 64). One wrong signature changes no other verdict.
    """
    keys = [public] * len(messages) if isinstance(public, bytes) else [bytes(k) for k in public]
    raw = _cells(signatures)
    if not len(keys) == len(raw) == len(messages):
        raise ValueError("as many keys and signatures as messages, please")
    check = _checker(keys, raw, context, messages)
    if any(map(is_sm2, keys)) and sm2.fast_library() is None:
        verdicts = [check(row) for row in range(len(raw))]  # Python's arithmetic knows one core
    else:
        verdicts = _in_threads(check, len(raw))
    return np.array(verdicts, dtype=np.bool_)


def _cells(signatures: Sequence[bytes] | NDArray[np.uint8]) -> list[bytes]:
    """Give each signature as bytes; of an array all rows at once."""
    if not isinstance(signatures, np.ndarray):
        return [bytes(signature) for signature in signatures]
    data, width = signatures.tobytes(), signatures.shape[1]
    return [data[at : at + width] for at in range(0, len(data), width)]


def _checker(
    keys: Sequence[bytes], raw: Sequence[bytes], context: bytes, messages: Sequence[bytes]
) -> _Check:
    """Load every key once, and give the check of one row."""
    counts = Counter(keys)
    loaded = {key: _prims.ed25519_public(key) for key in counts if not is_sm2(key)}
    for key in counts.keys() - loaded.keys():
        sm2.check_public(key)

    def check(row: int) -> bool:
        key, message = keys[row], context + bytes(messages[row])
        public = loaded.get(key)
        if public is not None:
            return _prims.ed25519_verify(public, raw[row], message)
        often = counts[key] >= SM2_TABLE_FROM
        return sm2.verify_digest(key, raw[row], sm2.digest(key, message), often=often)

    return check


def _in_threads(check: _Check, count: int) -> list[bool]:
    """Check all rows; the libraries release the interpreter lock, so threads share the cores."""
    threads = len(os.sched_getaffinity(0))
    if count < THREADED_FROM or threads < 2:
        return [check(row) for row in range(count)]
    step = max(THREADED_FROM, -(-count // (threads * SLICES_PER_THREAD)))
    spans = [range(low, min(low + step, count)) for low in range(0, count, step)]
    with ThreadPoolExecutor(threads, thread_name_prefix="verify") as pool:
        parts = pool.map(lambda span: [check(row) for row in span], spans)
        return [verdict for part in parts for verdict in part]
