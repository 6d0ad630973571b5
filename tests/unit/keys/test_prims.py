# SPDX-License-Identifier: Apache-2.0
"""The algorithms behind everything give the published values: SM3, SM4, P-256, RSA, AES-GCM."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keys import _prims
from keys.algorithm import Algorithm
from keys.errors import BadKeyLength, BadPublicKey, BadSeal
from tests import vectors

SM4_VECTORS = vectors.load("sm4")
KEY = bytes(range(16))


@pytest.mark.parametrize("vector", vectors.load("sm3"), ids=lambda v: v["name"])
def test_sm3(vector: dict[str, str]) -> None:
    """SM3 gives the values of its standard."""
    message = bytes.fromhex(vector["Msg"])[: int(vector["Len"]) // 8]

    assert _prims.sm3(message).hex() == vector["MD"].lower()


@pytest.mark.parametrize("vector", vectors.load("wycheproof_hmac_sm3"), ids=lambda v: v["name"])
def test_hmac_sm3(vector: dict[str, Any]) -> None:
    """Every Wycheproof tag, whole or shortened, is right exactly when published so."""
    tag = bytes.fromhex(vector["tag"])
    made = _prims.hmac_sm3(bytes.fromhex(vector["key"]), bytes.fromhex(vector["msg"]))

    assert (made[: len(tag)] == tag) is (vector["result"] == "valid")


def _bytes(vector: dict[str, str], *names: str) -> list[bytes]:
    return [bytes.fromhex(vector[name]) for name in names]


def _named(mode: str) -> list[dict[str, str]]:
    return [vector for vector in SM4_VECTORS if vector.get("mode") == mode]


@pytest.mark.parametrize("vector", _named("ecb"), ids=lambda v: v["name"])
def test_sm4_ecb(vector: dict[str, str]) -> None:
    """SM4 blocks come out as in GB/T 32907, and back."""
    key, plain, cipher = _bytes(vector, "KEY", "PLAINTEXT", "CIPHERTEXT")

    assert _prims.ecb(Algorithm.SM4, key, plain) == cipher
    assert _prims.ecb_decrypt(Algorithm.SM4, key, cipher) == plain


@pytest.mark.parametrize("vector", _named("cbc"), ids=lambda v: v["name"])
def test_sm4_cbc(vector: dict[str, str]) -> None:
    """SM4-CBC comes out as in draft-ribose-cfrg-sm4, and back."""
    key, plain, iv, cipher = _bytes(vector, "KEY", "PLAINTEXT", "IV", "CIPHERTEXT")

    assert _prims.cbc(Algorithm.SM4, key, plain, iv) == cipher
    assert _prims.cbc_decrypt(Algorithm.SM4, key, cipher, iv) == plain


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=False))


def _stream(mode: str, key: bytes, iv: bytes, plain: bytes) -> bytes:
    """Build a stream mode of single blocks, as its definition does."""
    done, block = b"", iv
    for at in range(0, len(plain), 16):
        pad = _prims.ecb(Algorithm.SM4, key, block)
        done += _xor(pad, plain[at : at + 16])
        if mode == "ctr":
            block = ((int.from_bytes(block) + 1) % (1 << 128)).to_bytes(16)
        else:
            block = pad if mode == "ofb" else done[at : at + 16]
    return done


@pytest.mark.parametrize(
    "vector", [v for m in ("cfb", "ofb", "ctr") for v in _named(m)], ids=lambda v: v["name"]
)
def test_sm4_stream_modes(vector: dict[str, str]) -> None:
    """The stream modes that nothing here uses are right when built of our single blocks."""
    key, plain, iv, cipher = _bytes(vector, "KEY", "PLAINTEXT", "IV", "CIPHERTEXT")

    assert _stream(vector["mode"], key, iv, plain) == cipher


def _ghash(h: int, data: bytes) -> int:
    total = 0
    for at in range(0, len(data), 16):
        x, v = total ^ int.from_bytes(data[at : at + 16].ljust(16, b"\0")), h
        total = 0
        for bit in range(127, -1, -1):
            total ^= v * (x >> bit & 1)
            v = v >> 1 ^ (0xE1 << 120 if v & 1 else 0)
    return total


def _whole(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


def _sm4_gcm(key: bytes, iv: bytes, aad: bytes, plain: bytes) -> tuple[bytes, bytes]:
    """Build GCM (NIST SP 800-38D) of single SM4 blocks."""
    h = int.from_bytes(_prims.ecb(Algorithm.SM4, key, bytes(16)))
    first = _ghash(h, _whole(iv) + (8 * len(iv)).to_bytes(16))
    start = iv + b"\0\0\0\1" if len(iv) == 12 else first.to_bytes(16)
    cipher, block = b"", start
    for at in range(0, len(plain), 16):
        block = block[:12] + ((int.from_bytes(block[12:]) + 1) % (1 << 32)).to_bytes(4)
        cipher += _xor(_prims.ecb(Algorithm.SM4, key, block), plain[at : at + 16])
    lengths = (8 * len(aad)).to_bytes(8) + (8 * len(cipher)).to_bytes(8)
    digest = _ghash(h, _whole(aad) + _whole(cipher) + lengths).to_bytes(16)
    return cipher, _xor(_prims.ecb(Algorithm.SM4, key, start), digest)


@pytest.mark.parametrize(
    "vector",
    [v for v in vectors.load("wycheproof_sm4_gcm") if "ZeroLengthIv" not in v["flags"]],
    ids=lambda v: v["name"],
)
def test_sm4_gcm(vector: dict[str, Any]) -> None:
    """Wycheproof's SM4-GCM, which nothing here uses, is right when built of our single blocks."""
    key, iv, aad, message = _bytes(vector, "key", "iv", "aad", "msg")

    cipher, tag = _sm4_gcm(key, iv, aad, message)

    right = (cipher, tag) == (bytes.fromhex(vector["ct"]), bytes.fromhex(vector["tag"]))
    assert right is (vector["result"] == "valid")


def test_sm4_rfc_8998() -> None:
    """The SM4-GCM example of RFC 8998 is right when built of our single blocks."""
    vector = next(v for v in SM4_VECTORS if v["name"] == "sm4-rfc8998-0")
    key, iv, aad, plain = _bytes(vector, "KEY", "IV", "AAD", "PLAINTEXT")

    cipher, tag = _sm4_gcm(key, iv, aad, plain)

    assert cipher.hex() == vector["CIPHERTEXT"].lower()
    assert tag.hex() == vector["TAG"].lower()


def test_sm4_a_million_times() -> None:
    """A million turns of SM4 on one block give the value of GB/T 32907 example 2."""
    vector = next(v for v in SM4_VECTORS if "1,000,000" in v.get("mode", ""))
    key, block = _bytes(vector, "KEY", "PLAINTEXT")
    turn = _prims.encryptor(Algorithm.SM4, key).update
    for _ in range(1_000_000):
        block = turn(block)

    assert block.hex().upper() == vector["CIPHERTEXT"]


# RFC 6979 A.2.5, P-256 with SHA-256.
P256_PUBLIC = bytes.fromhex(
    "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
    "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
)
P256_SAMPLE = bytes.fromhex(
    "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
    "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
)


def test_p256_published_signature() -> None:
    """The signature of RFC 6979 verifies, and over no other message."""
    public = _prims.p256_public(P256_PUBLIC)

    assert _prims.p256_verify(public, P256_SAMPLE, b"sample")
    assert not _prims.p256_verify(public, P256_SAMPLE, b"test")


def test_p256_signs_what_it_verifies() -> None:
    """A fresh key's signature has 64 bytes and verifies; zero, short and flipped ones do not."""
    key = _prims.p256_generate()
    public = _prims.p256_public(_prims.p256_public_bytes(key))
    signature = _prims.p256_sign(key, b"message")

    assert len(signature) == _prims.SIGNATURE_SIZE
    assert _prims.p256_verify(public, signature, b"message")
    for wrong in (bytes(64), signature[:63], signature[:-1] + bytes([signature[-1] ^ 1])):
        assert not _prims.p256_verify(public, wrong, b"message")


@pytest.mark.parametrize("raw", [b"", bytes(64), bytes(65), P256_PUBLIC[:-1] + b"\0"])
def test_p256_public_keys_are_points(raw: bytes) -> None:
    """Bytes that are no point of the curve are no public key."""
    with pytest.raises(BadPublicKey, match="P-256"):
        _prims.p256_public(raw)


# Three keys of 1996 have the exponent 2, which EMV 4 no longer allows; one list entry is even and
# so no RSA modulus at all.
CAPK = [
    vector
    for vector in vectors.load("capk")
    if vector["sha1_ok"] and vector["exponent"] != "02" and int(vector["modulus"], 16) & 1
]


@pytest.mark.parametrize("vector", CAPK, ids=lambda v: v["name"])
def test_rsa_public_takes_every_payment_key(vector: dict[str, str]) -> None:
    """Every published CA key of a payment scheme is accepted; what it gives is what pow says."""
    modulus, exponent = bytes.fromhex(vector["modulus"]), int(vector["exponent"], 16)
    data = hashlib.sha512(modulus).digest().rjust(len(modulus), b"\0")

    expected = pow(int.from_bytes(data), exponent, int.from_bytes(modulus))
    assert int.from_bytes(_prims.rsa_public(modulus, exponent, data)) == expected


MODULUS = bytes.fromhex(CAPK[0]["modulus"])
REFUSED: dict[str, tuple[Callable[[], bytes], type[Exception]]] = {
    "short modulus": (lambda: _prims.rsa_public(b"\xff" * 63, 3, bytes(63)), BadKeyLength),
    "long modulus": (lambda: _prims.rsa_public(b"\xff" * 257, 3, bytes(257)), BadKeyLength),
    "short data": (lambda: _prims.rsa_public(MODULUS, 3, b"1"), BadKeyLength),
    "data too large": (lambda: _prims.rsa_public(MODULUS, 3, MODULUS), BadPublicKey),
    "even modulus": (
        lambda: _prims.rsa_public(MODULUS[:-1] + b"\0", 3, bytes(len(MODULUS))),
        BadPublicKey,
    ),
    "even exponent": (lambda: _prims.rsa_public(MODULUS, 2, bytes(len(MODULUS))), BadPublicKey),
    "short IV": (lambda: _prims.cbc(Algorithm.SM4, KEY, bytes(16), bytes(8)), BadKeyLength),
    "no blocks": (lambda: _prims.ecb(Algorithm.AES, KEY, b""), BadKeyLength),
    "half a block": (lambda: _prims.ecb_decrypt(Algorithm.SM4, KEY, bytes(8)), BadKeyLength),
    "SM4 key": (lambda: _prims.ecb(Algorithm.SM4, bytes(24), bytes(16)), BadKeyLength),
    "AES key": (lambda: _prims.cmac(Algorithm.AES, bytes(17), b""), BadKeyLength),
    "DES key": (lambda: _prims.cmac(Algorithm.TDES, bytes(17), b""), BadKeyLength),
    "short seal": (lambda: _prims.gcm_open(bytes(32), bytes(27), b""), BadSeal),
    "wrong seal": (lambda: _prims.gcm_open(bytes(32), bytes(28), b""), BadSeal),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_inputs_are_named(case: str) -> None:
    """What an algorithm is not defined for raises an error of this package."""
    call, error = REFUSED[case]
    with pytest.raises(error):
        call()


@pytest.mark.parametrize(
    ("algorithm", "size"), [(Algorithm.TDES, 8), (Algorithm.TDES, 16), (Algorithm.SM4, 16)]
)
def test_many_contexts_equal_single_ones(algorithm: Algorithm, size: int) -> None:
    """Contexts opened one after the other are those of their own keys."""
    keys, block = bytes(range(64)), bytes(algorithm.block_bytes)

    contexts = _prims.encryptors(algorithm, keys, size)

    assert [context.update(block) for context in contexts] == [
        _prims.ecb(algorithm, keys[at : at + size], block) for at in range(0, 64, size)
    ]


def test_many_keys_are_whole_keys() -> None:
    """Bytes that do not divide into keys are refused."""
    with pytest.raises(BadKeyLength, match="20 bytes, expected 16"):
        list(_prims.encryptors(Algorithm.SM4, bytes(20), 16))


def test_one_package_touches_the_library() -> None:
    """Below keys, only `_prims` imports the cryptography library or loads one by ctypes."""
    package = Path(_prims.__file__).parent
    users = {
        path
        for path in package.parent.rglob("*.py")
        if path.parent != package
        and re.search(r"^\s*(from|import) (cryptography|ctypes)\b", path.read_text("utf-8"), re.M)
    }

    assert not users
