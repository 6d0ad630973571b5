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
from keys.errors import BadKeyLength
from tests import vectors

PBOC = {v["name"]: v for v in vectors.load("pboc_purse")}
FMCOS = vectors.load("fmcos_purse")


def _number(value: bytes) -> int:
    return int.from_bytes(value)


def _wrap(i: dict[str, bytes]) -> bytes:
    record = i["header"] + i["wrapped"]
    plain = bytes([len(record)]) + record
    return _prims.des_ecb(i["key"], plain if len(plain) % 8 == 0 else _prims.pad80(plain))


# How a vector's inputs go into the formula it names.
FORMULAS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "des_ecb": lambda i: _prims.des_ecb(i["key"], i["data"]),
    "des_mac4": lambda i: purse.des_mac4(i["key"], i["data"]),
    "diversify": lambda i: purse.diversify(i["key"], i["factor"]),
    "mac1": lambda i: purse.mac1(
        i["key"], _number(i["amount"]), _number(i["kind"]), i["psam_no"], i["date"], i["time"]
    ),
    "mac2": lambda i: purse.mac2(i["key"], _number(i["amount"])),
    "retail_mac": lambda i: purse.retail_mac(i["key"], i["data"], i["iv"]),
    "retail_mac4": lambda i: purse.retail_mac(i["key"], i["data"], i["iv"])[:4],
    "session_key": lambda i: purse.session_key(
        i["key"], i["rand"], _number(i["ctr"]), _number(i["seq"])
    ),
    "tac": lambda i: purse.tac(
        i["key"],
        _number(i["amount"]),
        _number(i["kind"]),
        i["psam_no"],
        _number(i["seq"]),
        i["date"],
        i["time"],
    ),
    "tac_key": lambda i: purse.tac_key(i["key"]),
    "wrap": _wrap,
}


@pytest.mark.parametrize("vector", FMCOS, ids=lambda v: v["name"])
def test_formula_gives_the_published_value(vector: dict[str, Any]) -> None:
    """Each worked example of the card documents comes out as printed."""
    inputs = {name: bytes.fromhex(value) for name, value in vector["inputs"].items()}

    actual = FORMULAS[vector["formula"]](inputs)

    assert actual.hex().upper() == vector["expected"]


def test_every_formula_has_a_vector() -> None:
    """No formula stands without a value somebody else computed."""
    assert {vector["formula"] for vector in FMCOS} == set(FORMULAS)


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
