# SPDX-License-Identifier: Apache-2.0
"""The purse formulas give the published values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys import _prims, purse
from keys.algorithm import Algorithm
from keys.errors import BadKeyLength, UnsupportedAlgorithm
from tests import vectors

PBOC = {v["name"]: v for v in vectors.load("pboc_purse")}
FMCOS = vectors.load("fmcos_purse")
SM4 = vectors.load("sm4_purse")
KEY = bytes(range(16))


def _number(value: bytes) -> int:
    return int.from_bytes(value)


# How a vector's inputs go into the formula it names.
FORMULAS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "des_ecb": lambda i: _prims.des_ecb(i["key"], i["data"]),
    "des_mac4": lambda i: purse.des_mac4(i["key"], i["data"]),
    "retail_mac": lambda i: purse.retail_mac(i["key"], i["data"], i["iv"]),
    "retail_mac4": lambda i: purse.secure_mac(i["key"], i["data"], i["iv"])[:4],
    "tac_key": lambda i: purse.tac_key(i["key"]),
    "wrap": lambda i: purse.wrap_ecb(i["key"], i["header"] + i["wrapped"]),
}
# The same for the formulas of both suites.
OF_SUITE: dict[str, Callable[[dict[str, bytes], Algorithm], bytes]] = {
    "diversify": lambda i, a: purse.diversify(i["key"], i["factor"], algorithm=a),
    "mac1": lambda i, a: purse.mac1(
        i["key"],
        _number(i["amount"]),
        _number(i["kind"]),
        i["psam_no"],
        i["date"],
        i["time"],
        algorithm=a,
    ),
    "mac2": lambda i, a: purse.mac2(i["key"], _number(i["amount"]), algorithm=a),
    "session_key": lambda i, a: purse.session_key(
        i["key"], i["rand"], _number(i["ctr"]), _number(i["seq"]), algorithm=a
    ),
    "tac": lambda i, a: purse.tac(
        i["key"],
        _number(i["amount"]),
        _number(i["kind"]),
        i["psam_no"],
        _number(i["seq"]),
        i["date"],
        i["time"],
        algorithm=a,
    ),
}


def _by_formula(vector: dict[str, Any], algorithm: Algorithm) -> str:
    inputs = {name: bytes.fromhex(value) for name, value in vector["inputs"].items()}
    name = vector["formula"]
    value = FORMULAS[name](inputs) if name in FORMULAS else OF_SUITE[name](inputs, algorithm)
    return value.hex().upper()


@pytest.mark.parametrize("vector", FMCOS, ids=lambda v: v["name"])
def test_formula_gives_the_published_value(vector: dict[str, Any]) -> None:
    """Each worked example of the card documents comes out as printed."""
    assert _by_formula(vector, Algorithm.TDES) == vector["expected"]


@pytest.mark.parametrize("vector", SM4, ids=lambda v: v["name"])
def test_formula_of_the_sm4_suite(vector: dict[str, Any]) -> None:
    """Each formula gives the value computed from reader code of SM4 cards."""
    assert _by_formula(vector, Algorithm.SM4) == vector["expected"]


def test_every_formula_has_a_vector() -> None:
    """No formula stands without a value somebody else computed."""
    assert {vector["formula"] for vector in FMCOS} == set(FORMULAS) | set(OF_SUITE)
    assert {vector["formula"] for vector in SM4} == set(OF_SUITE)


@pytest.mark.parametrize("name", ["load-session-key", "purchase-session-key"])
def test_pboc_session_key(name: str) -> None:
    """The session keys of the republished PBOC examples come out as printed."""
    inputs = PBOC[name]["inputs"]
    key, data = bytes.fromhex(inputs["key"]), bytes.fromhex(inputs["data"])

    assert _prims.des_ecb(key, data).hex().upper() == PBOC[name]["expected"]


@pytest.mark.parametrize(
    "name", ["load-mac1", "load-mac2", "purchase-mac1", "purchase-mac2", "real-card-load-tac"]
)
def test_pboc_mac(name: str) -> None:
    """The MACs and the real card's TAC of the PBOC examples come out as printed."""
    inputs = PBOC[name]["inputs"]
    key, data = bytes.fromhex(inputs["session_key"]), bytes.fromhex(inputs["data"])

    assert purse.des_mac4(key, data).hex().upper() == PBOC[name]["expected"]


def test_pboc_tac_key() -> None:
    """The TAC key is left half xor right half."""
    vector = PBOC["tac-key"]

    assert purse.tac_key(bytes.fromhex(vector["inputs"]["key"])).hex() == vector["expected"]


def test_pboc_purchase_formulas_agree_with_their_layouts() -> None:
    """session_key, mac1 and mac2 lay out their fields as the printed data does."""
    inputs = PBOC["purchase-mac1"]["inputs"]
    number, stamp = bytes.fromhex(inputs["terminal"]), bytes.fromhex(inputs["datetime"])
    key = bytes.fromhex(PBOC["purchase-session-key"]["inputs"]["key"])

    session = purse.session_key(key, bytes.fromhex("11223344"), 0, 1)

    assert session.hex().upper() == PBOC["purchase-session-key"]["expected"]
    assert (
        purse.mac1(session, 0x1000, 6, number, stamp[:4], stamp[4:]).hex().upper()
        == PBOC["purchase-mac1"]["expected"]
    )
    assert purse.mac2(session, 0x1000).hex().upper() == PBOC["purchase-mac2"]["expected"]


def test_pboc_vectors_are_all_used() -> None:
    """No vector of the copied file goes untested."""
    tested = {"load-session-key", "purchase-session-key", "tac-key"}
    tested |= {"load-mac1", "load-mac2", "purchase-mac1", "purchase-mac2", "real-card-load-tac"}

    assert set(PBOC) == tested


def test_algorithm_3_is_not_single_des() -> None:
    """With unequal halves the retail MAC differs from a DES chain under the left half."""
    vector = next(v for v in FMCOS if v["name"] == "psam-key-load-mac")
    key, data, iv = (bytes.fromhex(vector["inputs"][name]) for name in ("key", "data", "iv"))

    single = _prims.des_cbc_last(key[:8], _prims.pad80(data), iv)[:4]

    assert single.hex().upper() == "6C996864"
    assert purse.retail_mac(key, data, iv)[:4] != single


def test_session_key_takes_the_low_16_bits_of_the_psam_number() -> None:
    """Two transaction numbers that differ above bit 15 give the same session key."""
    key = bytes(range(16))

    assert purse.session_key(key, b"rand", 3, 0x1_0005) == purse.session_key(key, b"rand", 3, 5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: purse.diversify(bytes(15), bytes(8)),
        lambda: purse.diversify(bytes(16), bytes(7)),
        lambda: purse.session_key(bytes(16), bytes(3), 0, 0),
        lambda: purse.mac1(bytes(8), 0, 9, bytes(5), bytes(4), bytes(3)),
        lambda: purse.cg2(bytes(16), bytes(9)),
        lambda: purse.mac2(bytes(8), 0, algorithm=Algorithm.SM4),
        lambda: purse.secure_mac(bytes(8), b"", bytes(8), algorithm=Algorithm.SM4),
        lambda: purse.secure_mac(bytes(16), b"", bytes(9)),
        lambda: purse.cryptogram(bytes(16), bytes(5)),
        lambda: purse.wrap_ecb(bytes(16), b""),
        lambda: purse.wrap_ecb(bytes(16), bytes(240)),
        lambda: purse.retail_mac(bytes(8), b"", bytes(8)),
        lambda: _prims.des_ecb(bytes(17), bytes(8)),
        lambda: _prims.des_ecb(bytes(16), bytes(9)),
    ],
)
def test_wrong_lengths_are_named(call: Callable[[], bytes]) -> None:
    """A key or input of a wrong length is refused with both lengths, without its bytes."""
    with pytest.raises(BadKeyLength, match=r"\d+ bytes, expected \d+"):
        call()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-48, 56))
def test_bcd_datetime_is_local_time(utc_s: int, tz_q: int) -> None:
    """Date and time are those of the zone, digit by digit, up to the end of 32 bits."""
    zone = timezone(timedelta(minutes=15 * tz_q))
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=utc_s)).astimezone(zone)

    date, time = purse.bcd_datetime(utc_s, tz_q)

    assert date.hex() + time.hex() == local.strftime("%Y%m%d%H%M%S")


@pytest.mark.parametrize("algorithm", [Algorithm.TDES, Algorithm.SM4])
def test_a_short_challenge_is_filled_with_zeros(algorithm: Algorithm) -> None:
    """Four random bytes answer like the eight that end in zeros; so does a MAC's IV."""
    four, eight = b"rand", b"rand\0\0\0\0"

    assert purse.cryptogram(KEY, four, algorithm=algorithm) == purse.cryptogram(
        KEY, eight, algorithm=algorithm
    )
    assert purse.secure_mac(KEY, b"", four, algorithm=algorithm) == purse.secure_mac(
        KEY, b"", eight, algorithm=algorithm
    )


def test_sm4_answers_fold_the_block() -> None:
    """CG2 and the answer to a challenge are the two halves of one SM4 block, xored."""
    block = _prims.ecb(Algorithm.SM4, KEY, b"12345678" + bytes(8))
    folded = bytes(a ^ b for a, b in zip(block[:8], block[8:], strict=True))

    assert purse.cg2(KEY, b"12345678", algorithm=Algorithm.SM4) == folded
    assert purse.cryptogram(KEY, b"12345678", algorithm=Algorithm.SM4) == folded


def test_wrapping_pads_to_the_block_of_its_cipher() -> None:
    """A message of length byte, header and key is padded to 8 or 16, and whole blocks are not."""
    assert len(purse.wrap_ecb(KEY, bytes(20))) == 24
    assert len(purse.wrap_ecb(KEY, bytes(23))) == 24
    assert len(purse.wrap_ecb(KEY, bytes(20), algorithm=Algorithm.SM4)) == 32
    assert len(purse.wrap_ecb(KEY, bytes(15), algorithm=Algorithm.SM4)) == 16


def test_no_purse_has_aes() -> None:
    """AES is refused by name in every formula that takes an algorithm."""
    for call in (
        lambda: purse.diversify(KEY, bytes(8), algorithm=Algorithm.AES),
        lambda: purse.mac2(KEY, 0, algorithm=Algorithm.AES),
        lambda: purse.cg2(KEY, bytes(8), algorithm=Algorithm.AES),
        lambda: purse.secure_mac(KEY, b"", bytes(8), algorithm=Algorithm.AES),
        lambda: purse.wrap_ecb(KEY, b"1", algorithm=Algorithm.AES),
    ):
        with pytest.raises(UnsupportedAlgorithm, match="aes cannot serve a purse"):
            call()
