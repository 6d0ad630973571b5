# SPDX-License-Identifier: Apache-2.0
"""pyemv and psec, written by others, agree with us on a thousand generated cases each."""

from __future__ import annotations

import random
from collections.abc import Iterator

import psec.aes
import psec.des
import psec.mac
import pyemv.kd
import pyemv.mac
import pyemv.tools
import pytest

from keys import _prims, purse
from keys.algorithm import Algorithm
from keys.kcv import kcv
from keys.mac import Padding, cbc_mac, retail_mac

CASES = 1_000
# Both import 3DES from where the library kept it before, and give it keys of one or two parts.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{text}:cryptography.utils.CryptographyDeprecationWarning")
    for text in ("TripleDES has been moved", "Two-key TripleDES", "Single-key TripleDES")
]
TDES, AES = Algorithm.TDES, Algorithm.AES


def _cases(name: str) -> Iterator[random.Random]:
    """Give the same thousand sources of bytes every time."""
    return (random.Random(f"{name}/{case}") for case in range(CASES))


def test_psec_3des() -> None:
    """ECB and CBC of 3DES, both ways, with two and three-part keys."""
    for rng in _cases("3des"):
        key, iv = rng.randbytes(rng.choice((16, 24))), rng.randbytes(8)
        data = rng.randbytes(8 * rng.randint(1, 9))

        assert _prims.ecb(TDES, key, data) == psec.des.encrypt_tdes_ecb(key, data)
        assert _prims.ecb_decrypt(TDES, key, data) == psec.des.decrypt_tdes_ecb(key, data)
        assert _prims.cbc(TDES, key, data, iv) == psec.des.encrypt_tdes_cbc(key, iv, data)
        assert _prims.cbc_decrypt(TDES, key, data, iv) == psec.des.decrypt_tdes_cbc(key, iv, data)


def test_psec_aes() -> None:
    """ECB and CBC of AES, both ways, with keys of every length."""
    for rng in _cases("aes"):
        key, iv = rng.randbytes(rng.choice((16, 24, 32))), rng.randbytes(16)
        data = rng.randbytes(16 * rng.randint(1, 5))

        assert _prims.ecb(AES, key, data) == psec.aes.encrypt_aes_ecb(key, data)
        assert _prims.ecb_decrypt(AES, key, data) == psec.aes.decrypt_aes_ecb(key, data)
        assert _prims.cbc(AES, key, data, iv) == psec.aes.encrypt_aes_cbc(key, iv, data)
        assert _prims.cbc_decrypt(AES, key, data, iv) == psec.aes.decrypt_aes_cbc(key, iv, data)


def test_psec_macs() -> None:
    """The retail MAC and CBC-MAC with every padding."""
    for rng in _cases("mac"):
        left, right, data = rng.randbytes(8), rng.randbytes(8), rng.randbytes(rng.randint(0, 70))
        key, padding = rng.randbytes(16), rng.choice(list(Padding))
        how = int(padding)

        retail = psec.mac.generate_retail_mac(left, right, data, how)
        assert retail_mac(left, right, data, padding) == retail
        assert cbc_mac(TDES, key, data, padding) == psec.mac.generate_cbc_mac(key, data, how)
        assert cbc_mac(AES, key, data, padding) == psec.mac.generate_cbc_mac(
            key, data, how, algorithm=psec.mac.Algorithm.AES
        )


def test_psec_and_pyemv_check_values() -> None:
    """The check value of 3DES keys."""
    for rng in _cases("kcv"):
        key = rng.randbytes(16)

        assert kcv(key) == psec.des.generate_kcv(key, 3).hex().upper()
        assert kcv(key) == pyemv.tools.key_check_digits(key, 3).hex().upper()


def test_pyemv_secure_messaging() -> None:
    """The MAC of secure messaging with a zero IV is EMV's."""
    for rng in _cases("secure"):
        left, right, data = rng.randbytes(8), rng.randbytes(8), rng.randbytes(rng.randint(0, 70))

        expected = pyemv.mac.mac_iso9797_3(left, right, data, 2)
        assert purse.secure_mac(left + right, data, bytes(8)) == expected


def test_pyemv_card_keys() -> None:
    """A card's master key, option A, is PBOC's diversification with the parity bits set."""
    for rng in _cases("card"):
        master, pan = rng.randbytes(16), "".join(rng.choices("0123456789", k=14))

        derived = purse.diversify(master, bytes.fromhex(pan + "01"))
        expected = pyemv.kd.derive_icc_mk_a(master, pan, "01")
        assert pyemv.tools.adjust_key_parity(derived) == expected


def test_pyemv_session_keys() -> None:
    """EMV's common session key is two of our blocks."""
    for rng in _cases("session"):
        master, r = rng.randbytes(16), rng.randbytes(8)
        halves = r[:2] + b"\xf0" + r[3:] + r[:2] + b"\x0f" + r[3:]

        derived = _prims.ecb(TDES, master, halves)
        assert pyemv.tools.adjust_key_parity(derived) == pyemv.kd.derive_common_sk(master, r)
