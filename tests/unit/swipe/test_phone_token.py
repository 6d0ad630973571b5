# SPDX-License-Identifier: Apache-2.0
"""The electronic card's token: signed, short-lived, and its traces in an event."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swipe import phone_token
from swipe.errors import BadSignature, FieldError, SwipeError, UnknownVersion, WrongLength
from swipe.event import ANSWER_LAYOUT
from swipe.phone_token import SEEN_LAYOUT, TOKEN_SIZE, PhoneToken
from tests.factories import make_identity

SERVER = make_identity("server")
TOKEN = PhoneToken(
    asn=bytes.fromhex("86950000000000000042"),
    token_id=bytes(range(8)),
    issued_s=1_795_222_800,
    key_id=1,
    flags=phone_token.MINOR,
)
RAW = TOKEN.to_bytes(SERVER)


def test_a_token_comes_back() -> None:
    """What the server signed is what the terminal reads from the code."""
    code = phone_token.token_code(RAW).encode()
    read = PhoneToken.from_bytes(phone_token.read_code(code), SERVER.public_key)

    assert read == TOKEN
    assert (read.expires_s, read.is_minor) == (1_795_222_920, True)
    assert len(code) == phone_token.CODE_LENGTH == 145


@pytest.mark.parametrize("at", range(TOKEN_SIZE))
def test_any_flip_is_refused(at: int) -> None:
    """One flipped bit anywhere, and the token is not the server's."""
    broken = RAW[:at] + bytes([RAW[at] ^ 1]) + RAW[at + 1 :]

    with pytest.raises((BadSignature, UnknownVersion)):
        PhoneToken.from_bytes(broken, SERVER.public_key)


@pytest.mark.parametrize("life_s", [0, 601, 65_535])
def test_a_life_beyond_ten_minutes_is_none(life_s: int) -> None:
    """A token that lives longer than the limit is neither made nor read."""
    with pytest.raises(FieldError, match="life_s"):
        replace(TOKEN, life_s=life_s).to_bytes(SERVER)
    body = bytearray(RAW[: phone_token.BODY_LAYOUT.size])
    body[2:4] = life_s.to_bytes(2)
    signed = bytes(body) + SERVER.sign(phone_token.TOKEN_CONTEXT, bytes(body))

    with pytest.raises(FieldError, match="life_s"):
        PhoneToken.from_bytes(signed, SERVER.public_key)


def test_an_unknown_flag_is_refused() -> None:
    """A flag that this version does not know means something it cannot keep to."""
    signed = replace(TOKEN, flags=2).to_bytes(SERVER)

    with pytest.raises(FieldError, match="flags"):
        PhoneToken.from_bytes(signed, SERVER.public_key)


def test_another_server_is_another_signature() -> None:
    """A token of another server is refused."""
    with pytest.raises(BadSignature):
        PhoneToken.from_bytes(RAW, make_identity("other").public_key)


def test_the_payload_leaves_card_counter_and_psam_number_zero() -> None:
    """Who reads a token's payload as a card's answer finds no counter and no PSAM number."""
    payload = phone_token.payload_of(TOKEN, RAW)
    answer = ANSWER_LAYOUT.unpack(payload)
    seen = SEEN_LAYOUT.unpack(payload)

    assert (answer["card_ctr"], answer["psam_seq"], answer["result"]) == (0, 0, 0)
    assert (seen["token_id"], seen["issued_s"], seen["life_s"]) == (
        bytes(range(8)),
        TOKEN.issued_s,
        120,
    )
    assert seen["seen"] == phone_token.seen_digest(RAW)


def test_the_digest_needs_the_signature() -> None:
    """Two tokens that differ in their signature alone have different digests."""
    assert phone_token.seen_digest(RAW) != phone_token.seen_digest(RAW[:-1] + b"\0")


@pytest.mark.parametrize("cut", [0, 1, 4, 100, 144])
def test_a_cut_code_is_named(cut: int) -> None:
    """Half a code has a wrong length or a wrong beginning, and nothing is computed over it."""
    with pytest.raises(SwipeError):
        phone_token.read_code(phone_token.token_code(RAW).encode()[:cut])


def test_raw_bytes_of_another_length_are_refused() -> None:
    """A token has 94 bytes."""
    with pytest.raises(WrongLength):
        PhoneToken.from_bytes(RAW + b"\0", SERVER.public_key)


@given(st.binary(max_size=200))
def test_no_scan_is_a_surprise(code: bytes) -> None:
    """Whatever a scanner sends, reading it gives a token or a named error."""
    for scanned in (code, b"YT1:" + code, (b"YT1:" + code * 141)[:145]):
        with pytest.raises((SwipeError, BadSignature)):
            PhoneToken.from_bytes(phone_token.read_code(scanned), SERVER.public_key)
