# SPDX-License-Identifier: Apache-2.0
"""A key store for test cards: version 1 is 3DES, version 2 is SM4, gone with the process."""

from __future__ import annotations

import atexit
import tempfile
from functools import cache
from pathlib import Path

from keys.algorithm import Algorithm
from keys.envelope import KdfCost
from keys.store import FileKeyStore
from keys.usage import CARD_KEYS, SCHEME_USAGES, KeyUsage

# The weakest the derivation takes: this store guards nothing.
CHEAP = KdfCost(passes=1, memory_kib=8, lanes=1)
PASSPHRASE = "test cards"  # noqa: S105 - it guards nothing
TDES_VERSION, SM4_VERSION = 1, 2
_SM4_USAGES = (*CARD_KEYS, KeyUsage.PSAM_CONTROL)


@cache
def keyring() -> FileKeyStore:
    """Return the store of this process, made at the first call."""
    folder = tempfile.TemporaryDirectory(prefix="yika-cards-")
    atexit.register(folder.cleanup)
    store = FileKeyStore.create(Path(folder.name) / "keys.yika", PASSPHRASE, CHEAP)
    for usage in SCHEME_USAGES:
        store.generate(usage)
    for usage in _SM4_USAGES:
        store.generate(usage, SM4_VERSION, Algorithm.SM4)
    return store
