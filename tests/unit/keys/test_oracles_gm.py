# SPDX-License-Identifier: Apache-2.0
"""gmssl and gmalg, written by others, agree with us: SM3, SM4 and SM2.

Both are pure Python. A thousand SM2 cases with each take a minute, which ``script/oracles`` does;
here every run does a few.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import gmalg
from gmssl import sm2 as gmssl_sm2
from gmssl import sm3 as gmssl_sm3
from gmssl import sm4 as gmssl_sm4

from keys import _prims, purse, sm2
from keys.algorithm import Algorithm
from keys.kcv import kcv
from keys.sm2_curve import N

CASES = 1_000
SM2_CASES = 10
NO_PADDING = 2  # neither of gmssl's two


def _cases(name: str, count: int = CASES) -> Iterator[random.Random]:
    return (random.Random(f"{name}/{case}") for case in range(count))


def test_sm3() -> None:
    """Both give our hash of messages up to some blocks long."""
    for rng in _cases("sm3"):
        message = rng.randbytes(rng.randint(1, 150))
        ours = _prims.sm3(message)
        other = gmalg.SM3()
        other.update(message)

        assert ours == other.value()
        assert ours.hex() == gmssl_sm3.sm3_hash(list(message))


def _gmssl(key: bytes, mode: int) -> gmssl_sm4.CryptSM4:
    cipher = gmssl_sm4.CryptSM4(padding_mode=NO_PADDING)
    cipher.set_key(key, mode)
    return cipher


def test_sm4() -> None:
    """Blocks in ECB and CBC, and back."""
    for rng in _cases("sm4"):
        key, iv, data = rng.randbytes(16), rng.randbytes(16), rng.randbytes(16)
        ours = _prims.ecb(Algorithm.SM4, key, data)

        assert ours == gmalg.SM4(key).encrypt(data)
        assert ours == _gmssl(key, gmssl_sm4.SM4_ENCRYPT).crypt_ecb(data)
        assert _prims.ecb_decrypt(Algorithm.SM4, key, ours) == gmalg.SM4(key).decrypt(ours)
        chained = _gmssl(key, gmssl_sm4.SM4_ENCRYPT).crypt_cbc(iv, data)
        assert _prims.cbc(Algorithm.SM4, key, data, iv) == chained[:16]  # gmssl adds padding


def _chain(key: bytes, data: bytes, iv: bytes = bytes(16)) -> bytes:
    """Chain blocks padded with 80 00.. by gmalg's block cipher."""
    data += b"\x80" + bytes(-(len(data) + 1) % 16)
    cipher, block = gmalg.SM4(key), iv
    for at in range(0, len(data), 16):
        block = cipher.encrypt(bytes(a ^ b for a, b in zip(block, data[at:], strict=False)))
    return block


def _fold(block: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(block[:8], block[8:], strict=True))


def test_the_purse_of_the_sm4_suite() -> None:
    """Every formula of the SM4 purse, built anew on gmalg's block cipher, gives our value."""
    sm4 = Algorithm.SM4
    for rng in _cases("purse"):
        key, factor, rand, number = (rng.randbytes(size) for size in (16, 8, 4, 6))
        date, time, iv = rng.randbytes(4), rng.randbytes(3), rng.randbytes(4)
        ctr, seq = rng.randrange(1 << 16), rng.randrange(1 << 32)
        cipher = gmalg.SM4(key)
        x8 = rand + ctr.to_bytes(2) + seq.to_bytes(4)[2:]
        session = cipher.encrypt(x8 + bytes(b ^ 0xFF for b in x8))
        stamp = number + seq.to_bytes(4) + date + time

        assert purse.diversify(key, factor, algorithm=sm4) == cipher.encrypt(
            factor + bytes(b ^ 0xFF for b in factor)
        )
        assert purse.session_key(key, rand, ctr, seq, algorithm=sm4) == session
        assert (
            purse.mac1(session, 7, 9, number, date, time, algorithm=sm4)
            == _chain(session, (7).to_bytes(4) + b"\x09" + number + date + time)[:4]
        )
        assert purse.mac2(session, 7, algorithm=sm4) == _chain(session, (7).to_bytes(4))[:4]
        assert (
            purse.tac(key, 7, 9, number, seq, date, time, algorithm=sm4)
            == _chain(key, (7).to_bytes(4) + b"\x09" + stamp)[:4]
        )
        assert purse.cg2(key, factor, algorithm=sm4) == _fold(cipher.encrypt(factor + bytes(8)))
        assert purse.cryptogram(key, iv, algorithm=sm4) == _fold(cipher.encrypt(iv + bytes(12)))
        assert purse.secure_mac(key, stamp, iv, algorithm=sm4) == _chain(key, stamp, iv + bytes(12))
        assert kcv(key, sm4) == cipher.encrypt(bytes(16))[:3].hex().upper()


def _pair_for_gmssl(rng: random.Random) -> tuple[bytes, bytes]:
    """Draw a key pair; gmssl takes an x that begins with 04 for the prefix of a point."""
    while True:
        private = rng.randrange(1, N - 1).to_bytes(32)
        public = sm2.public_key(private)
        if public[0] != 0x04:
            return private, public


def agree_with_gmssl(cases: int) -> None:
    """Check that gmssl verifies ours, we verify gmssl's, and both refuse a changed one."""
    for rng in _cases("gmssl", cases):
        private, public = _pair_for_gmssl(rng)
        message = rng.randbytes(rng.randint(1, 200))
        other = gmssl_sm2.CryptSM2(private_key=private.hex(), public_key=public.hex())
        ours = sm2.sign(private, message, public=public)
        theirs = bytes.fromhex(other.sign_with_sm3(message, f"{rng.randrange(1, N):064x}"))
        changed = ours[:-1] + bytes([ours[-1] ^ 1])

        assert other.verify_with_sm3(ours.hex(), message)
        assert not other.verify_with_sm3(changed.hex(), message)
        _both_accept(public, theirs, message)


def agree_with_gmalg(cases: int) -> None:
    """Check that gmalg has our public key, verifies ours, and we verify gmalg's."""
    for rng in _cases("gmalg", cases):
        private = rng.randrange(1, N - 1).to_bytes(32)
        public, message = sm2.public_key(private), rng.randbytes(rng.randint(1, 200))
        name = rng.randbytes(rng.randint(1, 20))
        other = gmalg.SM2(private, name, b"\x04" + public)
        ours = sm2.sign(private, message, name, public=public)
        r, s = (part.rjust(32, b"\0") for part in other.sign(message))  # gmalg drops zeros

        assert other.generate_pk(private) == b"\x04" + public
        assert other.verify(message, ours[:32], ours[32:])
        assert not other.verify(message + b"!", ours[:32], ours[32:])
        _both_accept(public, r + s, message, name)


def _both_accept(
    public: bytes, signature: bytes, message: bytes, name: bytes = sm2.DEFAULT_ID
) -> None:
    assert sm2.verify(public, signature, message, name)
    assert sm2.verify_slowly(public, signature, sm2.digest(public, message, name))


def test_sm2_with_gmssl() -> None:
    """Each side verifies the other's signatures, and refuses changed ones."""
    agree_with_gmssl(SM2_CASES)


def test_sm2_with_gmalg() -> None:
    """Each side verifies the other's signatures, under any name."""
    agree_with_gmalg(SM2_CASES)
