# SPDX-License-Identifier: Apache-2.0
"""The openssl command agrees with us on a thousand generated cases each.

One process serves as many cases as it can; where it takes one case a process, as for signatures,
every run does some and ``script/oracles`` a thousand. The library behind the command has its
thousand SM2 cases here in either event.
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from keys import _prims, purse, sm2
from keys.algorithm import Algorithm
from keys.identity import Identity
from keys.sm2_curve import N
from keys.verify import verify

CASES = 1_000
COMMANDS = 25  # a process each
KEYS = 10
SM2_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")
P256_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")


def openssl(*words: str | Path, given: bytes = b"") -> bytes:
    """Run one openssl command and give its output."""
    command = ["openssl", *map(str, words)]
    return subprocess.run(command, input=given, capture_output=True, check=True).stdout


def says_valid(*words: str | Path) -> bool:
    """Run one verification and say whether openssl accepts."""
    command = ["openssl", *map(str, words)]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [(Algorithm.TDES, "des-ede"), (Algorithm.SM4, "sm4-ecb"), (Algorithm.AES, "aes-256-ecb")],
)
def test_ecb(algorithm: Algorithm, name: str) -> None:
    """A thousand blocks under ten keys, and back."""
    for number in range(KEYS):
        rng = random.Random(f"{name}/{number}")
        key = rng.randbytes(algorithm.key_bytes)
        data = rng.randbytes(algorithm.block_bytes * CASES // KEYS)

        theirs = openssl("enc", f"-{name}", "-nopad", "-K", key.hex(), given=data)
        assert _prims.ecb(algorithm, key, data) == theirs
        assert _prims.ecb_decrypt(algorithm, key, theirs) == data


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [(Algorithm.TDES, "des-ede-cbc"), (Algorithm.SM4, "sm4-cbc"), (Algorithm.AES, "aes-256-cbc")],
)
def test_cbc(algorithm: Algorithm, name: str) -> None:
    """A thousand chained blocks under ten keys, and back."""
    for number in range(KEYS):
        rng = random.Random(f"{name}/{number}")
        key, iv = rng.randbytes(algorithm.key_bytes), rng.randbytes(algorithm.block_bytes)
        data = rng.randbytes(algorithm.block_bytes * CASES // KEYS)

        how = ("enc", f"-{name}", "-nopad", "-K", key.hex(), "-iv", iv.hex())
        theirs = openssl(*how, given=data)
        assert _prims.cbc(algorithm, key, data, iv) == theirs
        assert _prims.cbc_decrypt(algorithm, key, theirs, iv) == data


@pytest.mark.parametrize(
    ("algorithm", "name"), [(Algorithm.TDES, "des-ede"), (Algorithm.SM4, "sm4-ecb")]
)
def test_card_keys(algorithm: Algorithm, name: str) -> None:
    """A thousand card keys of one master: the command encrypts factors and complements."""
    rng = random.Random(f"diversify/{name}")
    master = rng.randbytes(16)
    factors = [rng.randbytes(8) for _ in range(CASES)]
    blocks = b"".join(factor + bytes(b ^ 0xFF for b in factor) for factor in factors)

    theirs = openssl("enc", f"-{name}", "-nopad", "-K", master.hex(), given=blocks)
    ours = [purse.diversify(master, factor, algorithm=algorithm) for factor in factors]
    assert b"".join(ours) == theirs


def test_sm3(tmp_path: Path) -> None:
    """A thousand messages in one process."""
    rng = random.Random("sm3")
    messages = [rng.randbytes(rng.randint(0, 300)) for _ in range(CASES)]
    for number, message in enumerate(messages):
        (tmp_path / f"{number:04}").write_bytes(message)

    printed = openssl("dgst", "-sm3", "-r", *sorted(tmp_path.iterdir())).decode().splitlines()
    assert [line.split()[0] for line in printed] == [_prims.sm3(m).hex() for m in messages]


def agree_on_cmac(cases: int, folder: Path) -> None:
    """Check CMAC of all three ciphers, a process each."""
    names = {
        Algorithm.TDES: "DES-EDE3-CBC",
        Algorithm.SM4: "SM4-CBC",
        Algorithm.AES: "AES-256-CBC",
    }
    data = folder / "data"
    for case in range(cases):
        rng = random.Random(f"cmac/{case}")
        algorithm = rng.choice(list(names))
        key = rng.randbytes(24 if algorithm is Algorithm.TDES else algorithm.key_bytes)
        data.write_bytes(rng.randbytes(rng.randint(0, 100)))

        how = ("-cipher", names[algorithm], "-macopt", f"hexkey:{key.hex()}", "-in", data)
        theirs = openssl("mac", *how, "CMAC").decode().strip()
        assert _prims.cmac(algorithm, key, data.read_bytes()).hex() == theirs.lower()


def _write(folder: Path, spki: bytes, signature: bytes, message: bytes) -> tuple[Path, ...]:
    paths = tuple(folder / name for name in ("key", "signature", "message"))
    for path, content in zip(paths, (spki, signature, message), strict=True):
        path.write_bytes(content)
    return paths


def _der(raw: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))


def agree_on_sm2(cases: int, folder: Path) -> None:
    """Check that the command accepts our SM2 signatures and refuses changed ones."""
    for case in range(cases):
        rng = random.Random(f"openssl sm2/{case}")
        private = rng.randrange(1, N - 1).to_bytes(32)
        public, message = sm2.public_key(private), rng.randbytes(rng.randint(1, 200))
        name = rng.randbytes(16)
        signature = sm2.sign(private, message, name, public=public)
        changed = case % 2 == 1
        if changed:
            signature = signature[:-1] + bytes([signature[-1] ^ 1])

        key, signed, data = _write(folder, SM2_SPKI + public, _der(signature), message)
        how = ("-verify", "-pubin", "-keyform", "DER", "-inkey", key, "-rawin", "-digest", "sm3")
        wanted = ("-pkeyopt", f"hexdistid:{name.hex()}", "-in", data, "-sigfile", signed)
        assert says_valid("pkeyutl", *how, *wanted) != changed
        assert sm2.verify(public, signature, message, name) != changed


def agree_on_p256(cases: int, folder: Path) -> None:
    """Check that the command accepts our P-256 signatures and refuses changed ones."""
    for case in range(cases):
        private = _prims.p256_generate()
        public, message = _prims.p256_public_bytes(private), f"message {case}".encode()
        signature = _prims.p256_sign(private, message)
        changed = case % 2 == 1
        if changed:
            signature = signature[:-1] + bytes([signature[-1] ^ 1])

        key, signed, data = _write(folder, P256_SPKI + public, _der(signature), message)
        how = ("-sha256", "-keyform", "DER", "-verify", key, "-signature", signed, data)
        assert says_valid("dgst", *how) != changed
        loaded = _prims.p256_public(public)
        assert _prims.p256_verify(loaded, signature, message) != changed


def agree_on_ed25519(cases: int, folder: Path) -> None:
    """Check that the command accepts our Ed25519 signatures and refuses changed ones."""
    for case in range(cases):
        identity = Identity.from_seed(random.Random(f"ed25519/{case}").randbytes(32))
        message = f"message {case}".encode()
        signature = identity.sign(b"oracle/1\0", message)
        changed = case % 2 == 1
        if changed:
            signature = bytes([signature[0] ^ 1]) + signature[1:]

        whole = b"oracle/1\0" + message
        key, signed, data = _write(folder, ED25519_SPKI + identity.public_key, signature, whole)
        how = ("-verify", "-pubin", "-keyform", "DER", "-inkey", key, "-rawin", "-in", data)
        assert says_valid("pkeyutl", *how, "-sigfile", signed) != changed
        assert verify(identity.public_key, signature, b"oracle/1\0", message) != changed


BY_COMMAND = (agree_on_cmac, agree_on_sm2, agree_on_p256, agree_on_ed25519)


@pytest.mark.parametrize("agree", BY_COMMAND, ids=lambda agree: agree.__name__)
def test_a_process_each(agree: object, tmp_path: Path) -> None:
    """CMAC, SM2, P-256 and Ed25519: the command accepts ours and refuses what was changed."""
    assert callable(agree)
    agree(COMMANDS, tmp_path)


def test_sm2_with_the_library_of_the_command() -> None:
    """A thousand signatures of fifty keys, half of them changed: the library's verdict is ours."""
    library = _prims.load_sm2()
    assert library is not None, "the openssl command is here, so its library must be"
    keys = [random.Random(f"sm2/{n}").randrange(1, N - 1).to_bytes(32) for n in range(50)]
    publics = [sm2.public_key(key) for key in keys]
    for case in range(CASES):
        rng = random.Random(f"library/{case}")
        chosen = rng.randrange(len(keys))
        public, message = publics[chosen], rng.randbytes(40)
        signature = bytearray(sm2.sign(keys[chosen], message, public=public))
        changed = case % 2 == 1
        if changed:
            signature[rng.randrange(64)] ^= 1 << rng.randrange(8)
        e = sm2.digest(public, message)

        assert library.verify(public, bytes(signature), e) != changed
        ours = sm2.verify_slowly(public, bytes(signature), e, often=True)
        assert ours != changed
