# SPDX-License-Identifier: Apache-2.0
"""The bytes of a key show in no text, compare safely, and go when they are told to."""

from __future__ import annotations

import pickle

import pytest

from keys.algorithm import Algorithm
from keys.errors import BadKeyLength, WeakKey
from keys.kcv import kcv
from keys.material import KeyMaterial

KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")


def test_no_text_holds_the_key() -> None:
    """Neither repr, str nor format gives a byte away."""
    material = KeyMaterial(KEY)
    shown = f"{material!r} {material} {[material]}"

    assert shown.count("KeyMaterial(16 bytes)") == 3
    assert "11" not in shown


def test_components_combine_by_xor() -> None:
    """Two components give the key, either order; unequal lengths give none."""
    part = KeyMaterial.random(16)
    other = part.xor(KeyMaterial(KEY))

    assert part.xor(other) == other.xor(part) == KeyMaterial(KEY)
    with pytest.raises(BadKeyLength):
        part.xor(KeyMaterial(bytes(8)))


def test_check_value_and_strength_are_the_algorithms() -> None:
    """The check value is the cipher's, and a weak key is named without its bytes."""
    assert KeyMaterial(KEY).kcv(Algorithm.SM4) == kcv(KEY, Algorithm.SM4)
    KeyMaterial(KEY).check(Algorithm.TDES)
    with pytest.raises(WeakKey) as caught:
        KeyMaterial(KEY[:8] * 2).check(Algorithm.TDES)
    with pytest.raises(BadKeyLength):
        KeyMaterial(KEY).check(Algorithm.AES)

    assert KEY[:8].hex() not in str(caught.value)


def test_wiped_material_gives_nothing() -> None:
    """After a wipe there is no key to reveal."""
    material = KeyMaterial(KEY)
    material.wipe()

    assert len(material) == 0
    with pytest.raises(BadKeyLength):
        material.reveal()


def test_material_is_neither_hashed_nor_pickled() -> None:
    """A key does not get into a set or a pickle, where it would be forgotten."""
    material = KeyMaterial(KEY)
    with pytest.raises(TypeError, match="unhashable"):
        hash(material)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(material)

    assert material != KEY
