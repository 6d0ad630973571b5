# SPDX-License-Identifier: Apache-2.0
"""Codes and passwords, without a database."""

from __future__ import annotations

import re

import pytest

from server.errors import Refused
from server.people import sign_in

REAL = sign_in.ARGON2  # as the program has it, before the tests put a quick one in its place


def test_codes_have_no_vowel_and_nothing_ambiguous() -> None:
    """A code is two groups of five characters that cannot be misread."""
    codes = {sign_in.new_code() for _ in range(50)}

    assert len(codes) == 50
    assert all(
        re.fullmatch(r"[BCDFGHJKMNPQRTVWXY2346]{5}-[BCDFGHJKMNPQRTVWXY2346]{5}", code)
        for code in codes
    )


def test_hash_verifies_its_secret_only() -> None:
    """A hash accepts its own secret, no other, and does not contain it."""
    hashed = sign_in.hash_secret("correct horse")

    assert "correct" not in hashed
    assert sign_in.verify_secret(hashed, "correct horse")
    assert not sign_in.verify_secret(hashed, "correct hors")


def test_a_guess_costs_what_rfc_9106_asks() -> None:
    """64 MiB and three passes: section 4, second recommended option."""
    hashed = REAL.hash("correct horse")

    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert sign_in.verify_secret(hashed, "correct horse")
    assert not sign_in.verify_secret(hashed, "correct hors")


@pytest.mark.parametrize("hashed", ["", "plain", "$argon2id$broken"])
def test_damaged_hash_verifies_nothing(hashed: str) -> None:
    """What is no argon2id hash accepts no secret."""
    assert not sign_in.verify_secret(hashed, "x")


def test_very_long_secret_is_refused_without_hashing() -> None:
    """A secret longer than any password is wrong at once."""
    assert not sign_in.verify_secret(sign_in.hash_secret("x"), "x" * 10_000)


@pytest.mark.parametrize("length", [0, 7, 129])
def test_password_of_a_bad_length_is_refused(length: int) -> None:
    """A password has 8 to 128 characters."""
    with pytest.raises(Refused):
        sign_in.check_password("x" * length)
