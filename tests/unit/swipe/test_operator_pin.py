# SPDX-License-Identifier: Apache-2.0
"""The verifier of an operator's PIN."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swipe.errors import FieldError
from swipe.operator_pin import LOG_N, PinVerifier

ASN8 = bytes.fromhex("5949000000000007")
PIN = "602417"
VERIFIER = PinVerifier.make(PIN, ASN8, salt=bytes(range(16)))


def test_verifier_survives_its_text() -> None:
    """A verifier that went through the configuration accepts the same PIN."""
    read = PinVerifier.parse(str(VERIFIER))

    assert read == VERIFIER
    assert read.accepts(PIN, ASN8)


@pytest.mark.parametrize("pin", ["602418", "60241", "6024170", "", "60241７", "60 417"])
def test_other_pin_is_refused(pin: str) -> None:
    """Another PIN, and what is no PIN at all, is not accepted."""
    assert not VERIFIER.accepts(pin, ASN8)


def test_verifier_fits_one_card() -> None:
    """The same PIN with another card's serial is not accepted."""
    assert not VERIFIER.accepts(PIN, bytes(8))


def test_same_pin_has_two_verifiers() -> None:
    """Two cards with the same PIN cannot be told by their verifiers, nor one card's two."""
    assert PinVerifier.make(PIN, ASN8).digest != PinVerifier.make(PIN, ASN8).digest


@pytest.mark.parametrize("pin", ["123", "123456789", "12a4", "１２３４"])
def test_what_is_no_pin_gets_no_verifier(pin: str) -> None:
    """A PIN has 4 to 8 ASCII digits; the refusal does not repeat it."""
    with pytest.raises(FieldError) as refused:
        PinVerifier.make(pin, ASN8)

    assert pin not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "scrypt$14$8$1$00$00",
        str(VERIFIER).replace("$14$", "$30$"),
        str(VERIFIER).replace("$8$", "$9$"),
        str(VERIFIER) + "0",
        str(VERIFIER).replace("scrypt", "argon2"),
        "x" * 10_000,
    ],
)
def test_strange_verifier_is_refused(text: str) -> None:
    """A verifier of another form, or one that would take a terminal's memory, is refused."""
    with pytest.raises(FieldError):
        PinVerifier.parse(text)


@given(st.text(max_size=200))
def test_garbage_is_a_named_fault(text: str) -> None:
    """Any text is a verifier or a field error."""
    with contextlib.suppress(FieldError):
        assert PinVerifier.parse(text).log_n <= LOG_N + 2


def test_nothing_shows_salt_or_hash() -> None:
    """The representation names the cost only."""
    assert repr(VERIFIER) == f"PinVerifier(log_n={LOG_N}, r=8, p=1)"
