# SPDX-License-Identifier: Apache-2.0
"""SM2 signatures (GB/T 32918.2 on the curve of GB/T 32918.5) with SM3, small and exact.

Keys are 32 bytes, public keys 64 (x ‖ y), signatures 64 (r ‖ s), all big-endian. Signing derives k
as RFC 6979 §3.6 does, with HMAC-SM3 and 32 fresh random bytes as additional data: a plain random k
repeats when a virtual machine is rolled back, and a repeated k gives the key away.

**Not constant time.** Python's integers are not, so whoever measures a signer closely enough may
learn its key. The signer here is a terminal or server that nobody else computes on; a key that
deserves more belongs in a device. Verifying uses public values only.

Verifying goes through the operating system's OpenSSL when there is one and it gives the same
verdicts as the arithmetic here (``fast_library``); signing never does, because k is not its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

from keys import _prims, sm2_curve
from keys.errors import BadKeyLength, BadPublicKey
from keys.sm2_curve import N, Point

DEFAULT_ID = b"1234567812345678"
PRIVATE_SIZE = 32
PUBLIC_SIZE = 64
SIGNATURE_SIZE = 64
# Without a fast library one signature takes a millisecond or more of a whole core. A hundred in
# one request keep a server below half a second; more would let a few clients stop it.
SM2_EVENTS_MAX = 100
_ID_BYTES_MAX = 0xFFFF // 8  # ENTL counts bits in two bytes
_CURVE = b"".join(value.to_bytes(32) for value in (sm2_curve.A, sm2_curve.B, *sm2_curve.G))
# As many keys as `_prims` keeps of the other suite; an entry here is two integers.
_KEYS_CACHED = 4096

SONAME = _prims.LIBCRYPTO

sm3 = _prims.sm3


def generate() -> bytes:
    """Make a private key: 32 bytes, 1 to n-2."""
    while True:
        private = _prims.random_bytes(PRIVATE_SIZE)
        if 1 <= int.from_bytes(private) <= N - 2:
            return private


def public_key(private: bytes) -> bytes:
    """Give the public key x ‖ y of a private key.

    >>> d = "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8"
    >>> public_key(bytes.fromhex(d)).hex()[:16]
    '09f9df311e5421a1'
    """
    return b"".join(part.to_bytes(32) for part in _finite(sm2_curve.times_g(_private(private))))


def lift_even(x32: bytes) -> bytes:
    """Give the public key with this x and an even y; raise ``BadPublicKey`` when there is none."""
    y = sm2_curve.root(int.from_bytes(x32)) if len(x32) == PUBLIC_SIZE // 2 else None
    if y is None:
        raise BadPublicKey("SM2")
    return x32 + (sm2_curve.P - y if y & 1 else y).to_bytes(32)


def check_public(public: bytes) -> None:
    """Raise ``BadPublicKey`` unless this is a point of the curve, x ‖ y."""
    _point(public)


def digest(public: bytes, message: bytes, identifier: bytes = DEFAULT_ID) -> bytes:
    """Hash what is signed: e = SM3(ZA ‖ message), ZA = SM3(ENTL ‖ ID ‖ a ‖ b ‖ G ‖ public key).

    Raises ``BadPublicKey`` for a key that is no point of the curve.
    """
    return sm3(_za(public, identifier) + message)


def sign(
    private: bytes,
    message: bytes,
    identifier: bytes = DEFAULT_ID,
    *,
    public: bytes | None = None,
) -> bytes:
    """Sign a message and give r ‖ s, 64 bytes; two signatures over one message differ.

    The public key is part of what is hashed; whoever has it at hand saves half the time.
    """
    d = _private(private)
    e = int.from_bytes(digest(public or public_key(private), message, identifier))
    signatures = (sign_with(d, e, k) for k in nonces(d, e, _prims.random_bytes(32)))
    return next(signature for signature in signatures if signature is not None)


def verify(public: bytes, signature: bytes, message: bytes, identifier: bytes = DEFAULT_ID) -> bool:
    """Say whether r ‖ s is this key's signature over this message.

    A signature of a wrong length is a wrong signature; a public key of a wrong length or off the
    curve raises ``BadPublicKey``.
    """
    e = digest(public, message, identifier)
    return verify_digest(public, signature, e)


def verify_digest(public: bytes, signature: bytes, e: bytes, *, often: bool = False) -> bool:
    """Say whether r ‖ s is this key's signature over a digest made by ``digest``.

    With ``often`` and no fast library, a table of the key's multiples is made and kept: about the
    cost of ten signatures once, and half the cost of each.
    """
    if len(signature) != SIGNATURE_SIZE:
        return False
    fast = _fast()
    if fast is not None:
        return fast.verify(public, signature, e)
    return verify_slowly(public, signature, e, often=often)


def verify_slowly(public: bytes, signature: bytes, e: bytes, *, often: bool = False) -> bool:
    """Do the same by the arithmetic of ``sm2_curve`` alone: the reference.

    >>> q = (
    ...     "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
    ...     "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
    ... )
    >>> signature = (
    ...     "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"
    ...     "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"
    ... )
    >>> e = digest(bytes.fromhex(q), b"message digest")
    >>> verify_slowly(bytes.fromhex(q), bytes.fromhex(signature), e)
    True
    """
    point = _point(public)
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    t = (r + s) % N
    if not (1 <= r < N and 1 <= s < N and t):
        return False
    found = sm2_curve.affine(sm2_curve.joint(s, t, point, keep=often))
    return found is not None and (int.from_bytes(e) + found[0]) % N == r


def fast_library() -> str | None:
    """Name the library that verifies; None when the arithmetic here has to.

    A library is used only when it agrees with ``verify_slowly`` on every case of a self-check:
    right signatures, each part flipped, zero, the order, r + s = n, another key, another digest.
    """
    fast = _fast()
    return None if fast is None else fast.name


@lru_cache(maxsize=1)
def _fast() -> Verifier | None:
    verifier = _prims.load_sm2()
    return verifier if verifier is not None and agrees(verifier) else None


class Verifier(Protocol):
    """What a library that verifies SM2 looks like from here."""

    name: str

    def verify(self, public: bytes, signature: bytes, digest: bytes) -> bool:
        """Say whether r ‖ s is the key's signature over the digest."""


def agrees(verifier: Verifier) -> bool:
    """Say whether a library gives our verdict on right, wrong and odd signatures."""
    private = generate()
    public, other = public_key(private), public_key(generate())
    e = digest(public, b"self-check")
    good = sign(private, b"self-check")
    r, s = good[:32], good[32:]
    zero, order = bytes(32), N.to_bytes(32)
    cases = [(public, good, e), (other, good, e), (public, good, digest(public, b"other"))]
    cases += [
        (public, odd, e)
        for odd in (
            *(zero + s, r + zero, zero + zero, order + s, r + order, order + order, s + r),
            r + (N - int.from_bytes(r)).to_bytes(32),
            *(bytes([good[0] ^ 1]) + good[1:], good[:-1] + bytes([good[-1] ^ 1])),
            *(b"\xff" * 64, r + (N - int.from_bytes(s)).to_bytes(32)),
        )
    ]
    try:
        verdicts = [verifier.verify(*case) for case in cases]
    except BadPublicKey:  # an OpenSSL that was built or configured without SM2
        return False
    return verdicts == [verify_slowly(*case) for case in cases] and verdicts[0]


def nonces(d: int, e: int, fresh: bytes) -> Iterator[int]:
    """Yield candidates for k: RFC 6979 §3.2 with HMAC-SM3, ``fresh`` as additional data (§3.6)."""
    seed = d.to_bytes(32) + (e % N).to_bytes(32) + fresh
    key, value = bytes(32), b"\x01" * 32
    for step in (b"\x00", b"\x01"):
        key = _prims.hmac_sm3(key, value + step + seed)
        value = _prims.hmac_sm3(key, value)
    while True:
        value = _prims.hmac_sm3(key, value)
        k = int.from_bytes(value)
        if 1 <= k < N:
            yield k
        key = _prims.hmac_sm3(key, value + b"\x00")
        value = _prims.hmac_sm3(key, value)


def sign_with(d: int, e: int, k: int) -> bytes | None:
    """Sign a digest with a given k, for the standard's vectors; None when it wants another k."""
    # k + n gives the same point and has 257 bits whatever k, so that time does not tell a short k;
    # the blind keeps the inversion from always working on the same number.
    r = (e + _finite(sm2_curve.times_g(k + N))[0]) % N
    blind = int.from_bytes(_prims.random_bytes(32)) % (N - 1) + 1
    inverse = pow((1 + d) * blind, -1, N) * blind
    s = inverse * (k - r * d) % N
    if r == 0 or r + k == N or s == 0:
        return None
    return r.to_bytes(32) + s.to_bytes(32)


def _private(private: bytes) -> int:
    if len(private) != PRIVATE_SIZE:
        raise BadKeyLength("SM2 private key", PRIVATE_SIZE, len(private))
    d = int.from_bytes(private)
    if not 1 <= d <= N - 2:
        raise ValueError("an SM2 private key is 1 to n-2")
    return d


def _finite(point: sm2_curve.Jacobian) -> Point:
    found = sm2_curve.affine(point)
    if found is None:
        raise AssertionError("a multiple below the order is never at infinity")
    return found


@lru_cache(maxsize=_KEYS_CACHED)
def _point(public: bytes) -> Point:
    if len(public) != PUBLIC_SIZE:
        raise BadPublicKey("SM2")
    point = int.from_bytes(public[:32]), int.from_bytes(public[32:])
    if not sm2_curve.on_curve(point):
        raise BadPublicKey("SM2")
    return point


@lru_cache(maxsize=_KEYS_CACHED)
def _za(public: bytes, identifier: bytes) -> bytes:
    _point(public)
    if len(identifier) > _ID_BYTES_MAX:
        raise BadKeyLength("SM2 identifier", _ID_BYTES_MAX, len(identifier))
    return sm3((8 * len(identifier)).to_bytes(2) + identifier + _CURVE + public)
