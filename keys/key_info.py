# SPDX-License-Identifier: Apache-2.0
"""What may be said about a master key: everything but its bytes."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from keys.algorithm import Algorithm
from keys.errors import KeysError
from keys.usage import KeyUsage

# A key version is one byte on the card; 0 is what a blank card answers.
VERSION_MAX = 255
KeyId: TypeAlias = tuple[KeyUsage, int]


class KeyState(enum.StrEnum):
    """Say whether a version issues cards, only serves issued ones, or serves nothing."""

    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """Say what may be said about a key."""

    usage: KeyUsage
    version: int
    kcv: str
    created: str
    algorithm: Algorithm = Algorithm.TDES
    state: KeyState = KeyState.ACTIVE
    retires: date | None = None
    marked_test: bool = False
    exportable: bool = False

    @property
    def name(self) -> str:
        """Name the key as logs do.

        >>> KeyInfo(KeyUsage.TAC, 2, "08D7B4", "").name
        'tac/2'
        """
        return key_name(self.usage, self.version)

    def as_row(self) -> dict[str, object]:
        """Give the facts as JSON can hold them."""
        return {
            "usage": self.usage.value,
            "version": self.version,
            "kcv": self.kcv,
            "created": self.created,
            "algorithm": self.algorithm.value,
            "state": self.state.value,
            "retires": self.retires.isoformat() if self.retires else None,
            "test": self.marked_test,
            "exportable": self.exportable,
        }


def key_name(usage: KeyUsage, version: int) -> str:
    """Name a master key in logs and labels."""
    return f"{usage.value}/{version}"


def checked_version(version: int) -> int:
    """Give the version back when a card can name it."""
    if not 1 <= version <= VERSION_MAX:
        raise KeysError(f"key version {version} is not 1 to {VERSION_MAX}")
    return version
