# SPDX-License-Identifier: Apache-2.0
"""SM2 gives the standard's values, and the fast library only counts when it agrees."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys import sm2, sm2_curve
from keys._prims import hmac_sm3, load_sm2
from keys.errors import BadKeyLength, BadPublicKey
from keys.sm2_curve import G, N, P
from tests import vectors

PRINTED, ENCRYPTED = vectors.load("sm2")
PRIVATE = bytes.fromhex(PRINTED["private"])
PUBLIC = bytes.fromhex(PRINTED["public"])[1:]
MESSAGE = PRINTED["message_ascii"].encode()
SIGNATURE = bytes.fromhex(PRINTED["r"] + PRINTED["s"])
E_PRINTED = bytes.fromhex(PRINTED["e"])


def test_the_printed_signature() -> None:
    """Public key, hash and, with the printed k, r and s are those of GB/T 32918.5 annex A."""
    d, e, k = (int(PRINTED[name], 16) for name in ("private", "e", "k"))

    assert sm2.public_key(PRIVATE) == PUBLIC
    assert sm2.digest(PUBLIC, MESSAGE, PRINTED["user_id_ascii"].encode()) == E_PRINTED
    assert sm2.sign_with(d, e, k) == SIGNATURE
    assert sm2.verify(PUBLIC, SIGNATURE, MESSAGE)
    assert sm2.verify_slowly(PUBLIC, SIGNATURE, E_PRINTED)


def test_the_printed_encryption_uses_our_multiples() -> None:
    """C1 and, through k·Q, C2 and C3 of the printed encryption follow from our multiplication."""
    k, message = int(ENCRYPTED["k"], 16), ENCRYPTED["message_ascii"].encode()
    point = (int.from_bytes(PUBLIC[:32]), int.from_bytes(PUBLIC[32:]))
    shared = sm2_curve.affine(sm2_curve.times(k, point))
    c1 = sm2_curve.affine(sm2_curve.times_g(k))
    assert shared
    assert c1
    x, y = (part.to_bytes(32) for part in shared)
    mask = sm2.sm3(x + y + (1).to_bytes(4))

    assert b"\4" + b"".join(part.to_bytes(32) for part in c1) == bytes.fromhex(ENCRYPTED["c1"])
    assert bytes(a ^ b for a, b in zip(message, mask, strict=False)) == bytes.fromhex(
        ENCRYPTED["c2"]
    )
    assert sm2.sm3(x + message + y) == bytes.fromhex(ENCRYPTED["c3"])


def test_signatures_verify_and_differ() -> None:
    """Two signatures over one message both verify and share neither r nor s."""
    private = sm2.generate()
    public = sm2.public_key(private)
    first, second = sm2.sign(private, b"tap"), sm2.sign(private, b"tap", public=public)

    assert first[:32] != second[:32]
    assert first[32:] != second[32:]
    for signature in (first, second):
        assert sm2.verify(public, signature, b"tap")
        assert sm2.verify_slowly(public, signature, sm2.digest(public, b"tap"))
        assert sm2.verify_slowly(public, signature, sm2.digest(public, b"tap"), often=True)


def test_the_identifier_is_part_of_what_is_signed() -> None:
    """A signature under one name does not verify under another."""
    signature = sm2.sign(PRIVATE, b"tap", b"terminal")

    assert sm2.verify(PUBLIC, signature, b"tap", b"terminal")
    assert not sm2.verify(PUBLIC, signature, b"tap")


def test_nonces_are_those_of_rfc_6979_with_additional_data() -> None:
    """The first k is the DRBG's first output: key, digest and fresh bytes, twice through HMAC."""
    d, e, fresh = 5, N + 7, bytes(range(32))  # a digest above n counts modulo n
    seed = d.to_bytes(32) + (7).to_bytes(32) + fresh
    key = hmac_sm3(bytes(32), b"\1" * 32 + b"\0" + seed)
    value = hmac_sm3(key, b"\1" * 32)
    key = hmac_sm3(key, value + b"\1" + seed)
    value = hmac_sm3(key, hmac_sm3(key, value))

    drawn = sm2.nonces(d, e, fresh)
    first, second = next(drawn), next(drawn)

    assert first.to_bytes(32) == value
    assert second != first
    assert next(sm2.nonces(d, e, bytes(32))) != first


def test_a_k_that_the_standard_refuses_gives_no_signature() -> None:
    """A zero r, r + k = n and a zero s each ask for another k."""
    d = int.from_bytes(PRIVATE)
    x = sm2_curve.affine(sm2_curve.times_g(1))
    assert x

    assert sm2.sign_with(d, (-x[0]) % N, 1) is None  # r = 0
    assert sm2.sign_with(d, (-1 - x[0]) % N, 1) is None  # r + k = n
    assert sm2.sign_with(d, (pow(d, -1, N) - x[0]) % N, 1) is None  # k = r·d, so s = 0


def _odd_signatures() -> dict[str, bytes]:
    r, s = SIGNATURE[:32], SIGNATURE[32:]
    zero, order = bytes(32), N.to_bytes(32)
    return {
        "r zero": zero + s,
        "s zero": r + zero,
        "both zero": zero + zero,
        "r order": order + s,
        "s order": r + order,
        "t zero": r + (N - int.from_bytes(r)).to_bytes(32),
        "s negated": r + (N - int.from_bytes(s)).to_bytes(32),
        "swapped": s + r,
        "all ones": b"\xff" * 64,
        "first bit": bytes([r[0] ^ 0x80]) + r[1:] + s,
        "last bit": r + s[:-1] + bytes([s[-1] ^ 1]),
        "short": SIGNATURE[:-1],
        "long": SIGNATURE + b"\0",
        "empty": b"",
    }


@pytest.mark.parametrize("name", _odd_signatures())
def test_odd_signatures_are_wrong(name: str) -> None:
    """Zero, the order, negations, flips and wrong lengths never verify, here or in the library."""
    signature = _odd_signatures()[name]

    assert not sm2.verify(PUBLIC, signature, MESSAGE)
    if len(signature) == sm2.SIGNATURE_SIZE:
        assert not sm2.verify_slowly(PUBLIC, signature, E_PRINTED)


@pytest.mark.parametrize(
    "public",
    [b"", bytes(64), PUBLIC[:-1], PUBLIC[:-1] + b"\0", b"\xff" * 64, P.to_bytes(32) + PUBLIC[32:]],
)
def test_public_keys_are_points(public: bytes) -> None:
    """A wrong length, a point off the curve and a coordinate from p on are no public keys."""
    with pytest.raises(BadPublicKey, match="SM2"):
        sm2.verify(public, SIGNATURE, MESSAGE)


def test_lifting_gives_the_even_half() -> None:
    """An x of the curve gives its even y; one that is on no point, or too long, is refused."""
    lifted = sm2.lift_even(PUBLIC[:32])
    mirrored = (P - int.from_bytes(PUBLIC[32:])).to_bytes(32)

    assert lifted == PUBLIC[:32] + mirrored  # the printed key has an odd y
    missing = next(x for x in range(1, 100) if sm2_curve.root(x) is None)
    for wrong in (missing.to_bytes(32), P.to_bytes(32), PUBLIC):
        with pytest.raises(BadPublicKey):
            sm2.lift_even(wrong)


@pytest.mark.parametrize("private", [bytes(32), (N - 1).to_bytes(32), b"\xff" * 32])
def test_private_keys_out_of_range(private: bytes) -> None:
    """Zero and everything from n-1 on is no private key, and no byte of it is shown."""
    with pytest.raises(ValueError, match="1 to n-2"):
        sm2.sign(private, b"")


def test_lengths_are_named() -> None:
    """A key of another length and an identifier that ENTL cannot count are refused."""
    with pytest.raises(BadKeyLength, match="31 bytes, expected 32"):
        sm2.public_key(bytes(31))
    with pytest.raises(BadKeyLength, match="identifier"):
        sm2.digest(PUBLIC, b"", bytes(8192))


def _plain_multiple(k: int) -> sm2_curve.Point | None:
    total: sm2_curve.Jacobian = (1, 1, 0)
    for bit in bin(k)[2:]:
        total = sm2_curve.double(total)
        if bit == "1":
            total = sm2_curve.add(total, G)
    return sm2_curve.affine(total)


EDGES = [0, 1, 2, 15, 16, 31, 32, 33, 63, 64, N - 1, N, N + 1, 2 * N - 1, 1 << 256, (1 << 257) - 1]


@settings(max_examples=25, deadline=None)
@given(st.one_of(st.sampled_from(EDGES), st.integers(0, (1 << 257) - 1)))
def test_every_way_to_multiply_agrees(k: int) -> None:
    """Comb, window and kept comb give what doubling and adding gives, at the edges as well."""
    expected = _plain_multiple(k)

    assert sm2_curve.affine(sm2_curve.times_g(k)) == expected
    assert sm2_curve.affine(sm2_curve.times(k, G)) == expected
    assert sm2_curve.affine(sm2_curve.joint(0, k, G, keep=True)) == expected


def test_opposite_and_equal_points_add() -> None:
    """P + P is twice P, P - P is infinity, and infinity adds nothing."""
    x, y = G

    assert sm2_curve.affine(sm2_curve.add((x, y, 1), G)) == sm2_curve.affine(
        sm2_curve.double((x, y, 1))
    )
    assert sm2_curve.affine(sm2_curve.add((x, P - y, 1), G)) is None
    assert sm2_curve.affine(sm2_curve.add((1, 1, 0), G)) == G


class Liar:
    """A library that gives one verdict whatever it is asked, forgets a check, or has no SM2."""

    name = "liar"

    def __init__(self, verdicts: dict[str, Any]) -> None:
        self._verdicts = verdicts

    def verify(self, public: bytes, signature: bytes, digest: bytes) -> bool:
        """Answer as the liar does."""
        if "raises" in self._verdicts:
            raise BadPublicKey("SM2")
        if "always" in self._verdicts:
            return bool(self._verdicts["always"])
        honest = sm2.verify_slowly(public, signature, digest)
        zero = not any(signature[:32]) or not any(signature[32:])
        return honest or zero


@pytest.mark.parametrize(
    "verdicts", [{"always": True}, {"always": False}, {"zero": True}, {"raises": True}]
)
def test_a_library_that_disagrees_is_not_used(verdicts: dict[str, Any]) -> None:
    """One verdict that differs from our own arithmetic, and the library does not count."""
    assert not sm2.agrees(Liar(verdicts))


def test_the_systems_library_agrees_where_there_is_one() -> None:
    """When a fast library is named, it gave every verdict of the self-check."""
    library = load_sm2()

    assert (library is None) or sm2.agrees(library)
    assert (sm2.fast_library() is None) == (library is None)
