# SPDX-License-Identifier: Apache-2.0
"""Identities of both suites: their files, their signatures, and what stands for an SM2 key."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys import sm2
from keys.errors import BadPublicKey, KeyStoreDamaged
from keys.identity import Identity
from keys.suite import Suite, full_key, short_key
from keys.verify import verify, verify_many
from tests.factories import make_identity


@pytest.mark.parametrize("suite", list(Suite))
def test_identity_survives_its_file(tmp_path: Path, suite: Suite) -> None:
    """An identity read from its file has the same keys and signs for the same public key."""
    identity = Identity.generate(suite)
    identity.save(tmp_path / "id.pem")

    again = Identity.load(tmp_path / "id.pem")

    assert (again.suite, again.public_key) == (suite, identity.public_key)
    assert verify(identity.public_key, again.sign(b"c\0", b"d"), b"c\0", b"d")
    assert not verify(identity.public_key, again.sign(b"c\0", b"d"), b"c\0", b"e")


def test_openssl_reads_an_sm2_file(tmp_path: Path) -> None:
    """The file is PKCS #8 on the SM2 curve: OpenSSL derives the same public key from it."""
    identity = make_identity("pem", Suite.SM2)
    identity.save(tmp_path / "id.pem")

    told = subprocess.run(
        ["openssl", "pkey", "-in", tmp_path / "id.pem", "-noout", "-text_pub"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    digits = "".join(told.partition("pub:")[2].partition("ASN1")[0].split()).replace(":", "")

    assert bytes.fromhex(digits) == b"\x04" + identity.public_key


@pytest.mark.parametrize("change", [("damaged", 60), ("other public half", 150)])
def test_damaged_sm2_file_is_named(tmp_path: Path, change: tuple[str, int]) -> None:
    """A private key whose public half does not belong to it is damaged, not silently another."""
    path = tmp_path / "id.pem"
    make_identity("pem", Suite.SM2).save(path)
    lines = path.read_text().splitlines()
    body = "".join(lines[1:-1])
    at = change[1]
    body = body[:at] + ("A" if body[at] != "A" else "B") + body[at + 1 :]
    path.write_text("\n".join((lines[0], body, lines[-1])))

    with pytest.raises(KeyStoreDamaged):
        Identity.load(path)


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=30, deadline=None)
def test_every_sm2_identity_is_known_by_its_x(seed: bytes) -> None:
    """Whatever the seed, y is even and x alone gives the public key back."""
    if not 1 <= int.from_bytes(seed) <= 2**255:
        return
    identity = Identity.from_seed(seed, Suite.SM2)

    assert identity.public_key[-1] % 2 == 0
    assert full_key(short_key(identity.public_key), Suite.SM2) == identity.public_key


def test_odd_key_has_no_short_form() -> None:
    """A key with the other y cannot be written as an x: it would be read as another key."""
    even = make_identity("odd", Suite.SM2).public_key
    odd = even[:32] + (int.from_bytes(sm2.lift_even(even[:32])[32:]) ^ 1).to_bytes(32)

    with pytest.raises(BadPublicKey):
        short_key(odd)


def test_suites_are_verified_side_by_side() -> None:
    """One call verifies signatures of both suites; a wrong one changes no other verdict."""
    people = [make_identity("a"), make_identity("b", Suite.SM2), make_identity("c", Suite.SM2)]
    signatures = [who.sign(b"c\0", b"m") for who in people]
    signatures[2] = signatures[1]

    verdicts = verify_many([who.public_key for who in people], signatures, b"c\0", [b"m"] * 3)

    assert verdicts.tolist() == [True, True, False]
    with pytest.raises(BadPublicKey):
        verify(bytes(33), bytes(64), b"", b"")
