# SPDX-License-Identifier: Apache-2.0
"""Signatures are checked one by one or many at once, with the same verdicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keys import sm2
from keys.errors import BadPublicKey
from keys.verify import SM2_TABLE_FROM, THREADED_FROM, same, verify, verify_many
from tests import vectors
from tests.factories import make_identity

CONTEXT = b"test/1\0"


@pytest.mark.parametrize("vector", vectors.load("wycheproof_ed25519"), ids=lambda v: v["name"])
def test_wycheproof(vector: dict[str, Any]) -> None:
    """Every Wycheproof case gets the published verdict, odd encodings and lengths included."""
    public = bytes.fromhex(vector["group"]["publicKey"]["pk"])
    message, signature = bytes.fromhex(vector["msg"]), bytes.fromhex(vector["sig"])

    assert verify(public, signature, b"", message) is (vector["result"] == "valid")


def test_context_separates_purposes() -> None:
    """A signature made in one context does not verify in another."""
    identity = make_identity()
    signature = identity.sign(CONTEXT, b"data")

    assert verify(identity.public_key, signature, CONTEXT, b"data")
    assert not verify(identity.public_key, signature, b"other/1\0", b"data")


@pytest.mark.parametrize("count", [0, 1, THREADED_FROM - 1, THREADED_FROM, 3 * THREADED_FROM + 1])
def test_many_keep_their_order(count: int) -> None:
    """Each verdict stands at the place of its signature, with and without threads."""
    identity = make_identity()
    messages = [bytes([i]) for i in range(count)]
    signatures = [identity.sign(CONTEXT, message) for message in messages]
    bad = set(range(0, count, 5))
    for i in bad:
        signatures[i] = bytes(64)

    verdicts = verify_many(identity.public_key, signatures, CONTEXT, messages)

    assert verdicts.tolist() == [i not in bad for i in range(count)]


def test_many_keys_and_an_array_of_signatures() -> None:
    """One key per signature is allowed, and signatures may come as rows of bytes."""
    people = [make_identity(name) for name in ("a", "b", "c")]
    messages = [b"1", b"2", b"3"]
    raw = b"".join(
        who.sign(CONTEXT, message) for who, message in zip(people, messages, strict=True)
    )
    signatures = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 64)

    keys = [who.public_key for who in people]

    assert verify_many(keys, signatures, CONTEXT, messages).all()
    assert not verify_many(keys[::-1], signatures, CONTEXT, messages)[[0, 2]].any()


SM2_PRIVATE = bytes(31) + b"\x05"
SM2_PUBLIC = sm2.public_key(SM2_PRIVATE)


def test_an_sm2_key_is_told_by_its_length() -> None:
    """A public key of 64 bytes verifies SM2 signatures, over context and data as well."""
    signature = sm2.sign(SM2_PRIVATE, CONTEXT + b"data")

    assert verify(SM2_PUBLIC, signature, CONTEXT, b"data")
    assert not verify(SM2_PUBLIC, signature, b"other/1\0", b"data")
    assert not verify(SM2_PUBLIC, signature[:63], CONTEXT, b"data")


@pytest.mark.parametrize("count", [1, SM2_TABLE_FROM, THREADED_FROM + 5])
def test_many_of_both_suites(count: int) -> None:
    """A batch that mixes the suites gets the verdict of each row's own suite."""
    identity = make_identity()
    messages = [bytes([i]) for i in range(2 * count)]
    keys = [(identity.public_key, SM2_PUBLIC)[i % 2] for i in range(2 * count)]
    signatures = [
        sm2.sign(SM2_PRIVATE, CONTEXT + message, public=SM2_PUBLIC)
        if i % 2
        else identity.sign(CONTEXT, message)
        for i, message in enumerate(messages)
    ]
    bad = set(range(0, 2 * count, 7))
    for i in bad:
        signatures[i] = signatures[i][:-1] + bytes([signatures[i][-1] ^ 1])

    verdicts = verify_many(keys, signatures, CONTEXT, messages)

    assert verdicts.tolist() == [i not in bad for i in range(2 * count)]


def test_one_bad_sm2_key_raises() -> None:
    """Sixty-four bytes that are no point of the curve are no public key."""
    with pytest.raises(BadPublicKey, match="SM2"):
        verify_many(bytes(64), [bytes(64)], CONTEXT, [b""])


def test_unequal_numbers_are_refused() -> None:
    """Two signatures for three messages are a mistake, not a verdict."""
    with pytest.raises(ValueError, match="as many"):
        verify_many(bytes(32), [bytes(64)] * 2, CONTEXT, [b""] * 3)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_public_key_of_a_wrong_length_raises(length: int) -> None:
    """A public key that is no key is told from a signature that is wrong."""
    with pytest.raises(BadPublicKey):
        verify(bytes(length), bytes(64), CONTEXT, b"")


@pytest.mark.parametrize("length", [0, 63, 65])
def test_signature_of_a_wrong_length_is_wrong(length: int) -> None:
    """A short or long signature is simply not valid."""
    assert not verify(make_identity().public_key, bytes(length), CONTEXT, b"")


def test_same_compares_bytes() -> None:
    """Equal is equal, and a prefix is not."""
    assert same(b"abc", b"abc")
    assert not same(b"abc", b"abd")
    assert not same(b"abc", b"ab")
