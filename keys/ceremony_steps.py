# SPDX-License-Identifier: Apache-2.0
"""What a key ceremony asks of whoever drives it: say, ask, show once, clear the screen.

The ceremony itself does no I/O. It is a generator of these steps; an ``Ask`` is answered with the
text typed, everything else with an empty text. A terminal drives it (``keys.cli.terminal``), and so
does a test.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar


@dataclass(frozen=True, slots=True)
class Say:
    """Write a line; it is no secret."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask for a line; a secret one is not echoed."""

    zh: str
    en: str
    secret: bool = False


@dataclass(frozen=True, slots=True)
class ShowOnce:
    """Show a secret to the one person at the screen until they have copied it, then clear."""

    zh: str
    en: str
    secret: str

    def __repr__(self) -> str:
        return f"ShowOnce(zh={self.zh!r}, en={self.en!r})"


@dataclass(frozen=True, slots=True)
class Clear:
    """Clear the screen and what can be scrolled back to: the next person comes."""


Step: TypeAlias = Say | Ask | ShowOnce | Clear
_R = TypeVar("_R")
Script: TypeAlias = Generator[Step, str, _R]
