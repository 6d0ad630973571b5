# SPDX-License-Identifier: Apache-2.0
"""What a key ceremony is to make, who takes part, what happened, and what it ends in."""

from __future__ import annotations

from dataclasses import dataclass, field

from keys.algorithm import Algorithm
from keys.components import combine
from keys.errors import CeremonyAborted, ComponentRepeated, KcvDiffers, WeakKey
from keys.material import KeyMaterial
from keys.usage import KeyUsage


@dataclass(frozen=True, slots=True)
class KeyOrder:
    """Name one key to be made: what for, which version and cipher, which check value if known."""

    usage: KeyUsage
    version: int
    algorithm: Algorithm
    expected_kcv: str | None = None

    def __str__(self) -> str:
        return f"{self.usage.value} v{self.version} ({self.algorithm.value})"


@dataclass(frozen=True, slots=True)
class Plan:
    """Say what a ceremony is to make and how.

    ``generated``: the machine makes the components. ``new_store``: custodians get shares of a new
    passphrase; without ``keys`` that is all they get. ``rehearsal``: everything as
    in earnest, with keys marked as test keys.
    """

    keys: tuple[KeyOrder, ...]
    generated: bool = False
    new_store: bool = True
    rehearsal: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """Name somebody in the room and what they do there."""

    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Event:
    """Note one thing that happened, with no secret in it."""

    at: str
    what: str
    who: str = ""
    key: str = ""
    kcv: str = ""


@dataclass(slots=True)
class Outcome:
    """Carry what the custodians agreed on: components by key, the passphrase, and the record."""

    plan: Plan
    people: list[Person] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    passphrase: str | None = field(default=None, repr=False)
    parts: dict[KeyOrder, list[KeyMaterial]] = field(default_factory=dict, repr=False)

    def wipe(self) -> None:
        """Overwrite every component."""
        for parts in self.parts.values():
            for part in parts:
                part.wipe()
        self.passphrase = None


def checked_kcv(order: KeyOrder, parts: list[KeyMaterial]) -> str:
    """Combine components, check the key, give its check value and forget it.

    Raises ``CeremonyAborted`` from ``ComponentRepeated``, ``WeakKey`` or ``KcvDiffers``.
    """
    try:
        key = combine(parts)
        try:
            key.check(order.algorithm)
            kcv = key.kcv(order.algorithm)
        finally:
            key.wipe()
        if order.expected_kcv and kcv != order.expected_kcv.upper():
            raise KcvDiffers(str(order), order.expected_kcv.upper(), kcv)
    except (ComponentRepeated, WeakKey, KcvDiffers) as exc:
        raise CeremonyAborted("combination", str(exc)) from exc
    return kcv
