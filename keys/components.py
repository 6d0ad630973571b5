# SPDX-License-Identifier: Apache-2.0
"""Key components: a key as the XOR of parts, one for each custodian, each useless alone.

All parts together are the key; any fewer say nothing about it. Every part has a check value of its
own, computed as if it were a key, so that a slip of the pen is found at the desk where it happened.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from functools import reduce

from keys.algorithm import Algorithm
from keys.errors import BadKeyLength, ComponentRepeated, ComponentUnreadable
from keys.material import KeyMaterial

COMPONENTS_MIN = 2
# More people than this do not meet in one room; the limit bounds what is asked for.
COMPONENTS_MAX = 9
# Typed text is looked at up to here: the longest key with a blank after every digit.
TYPED_MAX = 128
_GROUP = 4
_BETWEEN = re.compile(r"[\s-]+")
_HEX = re.compile(r"[0-9A-Fa-f]*")


def split(material: KeyMaterial, count: int = 3) -> tuple[KeyMaterial, ...]:
    """Split a key into ``count`` random components whose XOR is the key.

    >>> parts = split(KeyMaterial(bytes(range(16))))
    >>> len(parts), combine(parts) == KeyMaterial(bytes(range(16)))
    (3, True)
    """
    _check_count(count)
    free = [KeyMaterial.random(len(material)) for _ in range(count - 1)]
    return (*free, reduce(KeyMaterial.xor, free, material))


def combine(components: Sequence[KeyMaterial]) -> KeyMaterial:
    """Combine components by XOR; two equal ones would cancel each other and are refused.

    Raises:
        BadKeyLength: components of different lengths, or too few or too many of them.
        ComponentRepeated: with the places, counted from 1, of two equal components.
    """
    _check_count(len(components))
    for (i, one), (j, other) in itertools.combinations(enumerate(components, 1), 2):
        if one == other:
            raise ComponentRepeated(i, j)
    return reduce(KeyMaterial.xor, components)


def read(text: str, algorithm: Algorithm) -> KeyMaterial:
    """Read a component as typed: hex digits, blanks and dashes between them do not count.

    Raises ``ComponentUnreadable``, ``BadKeyLength`` or ``WeakKey``; none repeats what was typed.

    >>> read("0123-4567 89ab-cdef  fedc-ba98 7654-3210", Algorithm.TDES)
    KeyMaterial(16 bytes)
    """
    digits = _BETWEEN.sub("", text[: TYPED_MAX + 1].strip())
    if len(text) > TYPED_MAX:
        raise ComponentUnreadable(f"longer than {TYPED_MAX} characters")
    good = _HEX.match(digits)
    place = good.end() if good else 0
    if place != len(digits):
        raise ComponentUnreadable(f"digit {place + 1} is not one of 0-9, A-F")
    if len(digits) != 2 * algorithm.key_bytes:
        raise BadKeyLength("key component, hex digits", 2 * algorithm.key_bytes, len(digits))
    material = KeyMaterial(bytes.fromhex(digits))
    material.check(algorithm)
    return material


def written(material: KeyMaterial) -> str:
    """Write a component for its envelope, in groups of four digits."""
    digits = material.reveal().hex().upper()
    return " ".join(digits[at : at + _GROUP] for at in range(0, len(digits), _GROUP))


def _check_count(count: int) -> None:
    if not COMPONENTS_MIN <= count <= COMPONENTS_MAX:
        raise BadKeyLength("number of components", 3, count)
