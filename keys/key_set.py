# SPDX-License-Identifier: Apache-2.0
"""The key set of the volunteer scheme: all keys that cards and PSAMs carry, under one version.

A card says one version for all its keys, so a rotation that new cards can carry is that of the
whole set, and of one cipher. ``KeyStore.rotate`` is for a key by itself.
"""

from __future__ import annotations

from datetime import date

from keys.algorithm import Algorithm
from keys.errors import UnknownKey, UnsupportedAlgorithm
from keys.key_info import KeyInfo
from keys.keystore import KeyStore
from keys.usage import SCHEME_USAGES, UNDERIVED

SET_USAGES = tuple(usage for usage in SCHEME_USAGES if usage not in UNDERIVED)


def rotate_set(store: KeyStore, algorithm: Algorithm | None = None) -> list[KeyInfo]:
    """Make the next version of every key of the set, and give the keys made.

    A version that some keys have and others lack, because a rotation was cut off or one key was
    rotated by itself, is completed first. The cipher stays what it was unless told.

    Raises:
        UnknownKey: the store has no key of some usage; ``yika-keys generate`` makes the first.
        UnsupportedAlgorithm: the keys would not be of one cipher.
    """
    held = _held(store)
    newest = max(info.version for info in held)
    begun = [info for info in held if info.version == newest]
    if len(begun) < len(SET_USAGES):
        version, lacking = newest, set(SET_USAGES) - {info.usage for info in begun}
    else:
        version, lacking = newest + 1, set(SET_USAGES)
    ciphers = {info.algorithm for info in begun}
    if version == newest and algorithm is not None:
        ciphers.add(algorithm)
    elif algorithm is not None:
        ciphers = {algorithm}
    if len(ciphers) != 1:
        names = " and ".join(sorted(cipher.value for cipher in ciphers))
        raise UnsupportedAlgorithm(
            names,
            f"be mixed in version {version}: a card has one cipher; say --algorithm for a new"
            " version, or complete this one with the cipher it was begun with",
        )
    (cipher,) = ciphers
    return [store.generate(usage, version, cipher) for usage in SET_USAGES if usage in lacking]


def retire_set(store: KeyStore, version: int, on: date) -> list[KeyInfo]:
    """Give every key of a version of the set its retirement date; raise ``UnknownKey``."""
    for usage in SET_USAGES:
        store.info(usage, version)
    return [store.retire(usage, version, on) for usage in SET_USAGES]


def _held(store: KeyStore) -> list[KeyInfo]:
    held = [info for info in store.list() if info.usage in SET_USAGES]
    there = {info.usage for info in held}
    for usage in SET_USAGES:
        if usage not in there:
            raise UnknownKey(usage.value, 1)
    return held
