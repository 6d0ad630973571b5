# SPDX-License-Identifier: Apache-2.0
"""An identity's file is private, whole, and never replaced."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from keys import _prims
from keys.errors import KeyStoreDamaged, KeyStoreExists
from keys.identity import Identity
from keys.verify import verify


def test_a_saved_identity_signs_the_same(tmp_path: Path) -> None:
    """Loading gives the same key, in a file only its owner may read."""
    path = tmp_path / "terminal.pem"
    identity = Identity.generate()
    identity.save(path)

    loaded = Identity.load(path)

    assert loaded.public_key == identity.public_key
    assert verify(identity.public_key, loaded.sign(b"c\0", b"d"), b"c\0", b"d")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_identity_is_never_replaced(tmp_path: Path) -> None:
    """Saving over an identity fails: its events could not be verified any more."""
    path = tmp_path / "terminal.pem"
    Identity.generate().save(path)
    before = path.read_bytes()

    with pytest.raises(KeyStoreExists):
        Identity.generate().save(path)

    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"rubbish", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_named(tmp_path: Path, content: bytes) -> None:
    """Rubbish in place of the key is reported with the path."""
    path = tmp_path / "terminal.pem"
    path.write_bytes(content)

    with pytest.raises(KeyStoreDamaged, match=r"terminal\.pem"):
        Identity.load(path)


def test_two_identities_differ_and_show_no_secret() -> None:
    """Generated identities differ; the repr holds the public half only."""
    one, two = Identity.generate(), Identity.generate()

    assert one.public_key != two.public_key
    assert repr(one) == f"Identity(public_key={one.public_key.hex()})"
    assert _prims.ed25519_to_pem(one._private).decode() not in repr(one)
