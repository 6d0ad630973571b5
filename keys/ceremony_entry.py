# SPDX-License-Identifier: Apache-2.0
"""Entries at a key ceremony: asked again after a slip, three times at most, never repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from keys.algorithm import Algorithm
from keys.ceremony_plan import KeyOrder
from keys.ceremony_steps import Ask, Say, Script, ShowOnce
from keys.components import read, written
from keys.errors import CeremonyAborted, CeremonyError, ComponentsDiffer, KeysError, WeakKey
from keys.material import KeyMaterial

# A hand that errs three times is tired: stop and come back, instead of storing a guess.
TRIES_MAX = 3
_T = TypeVar("_T")


def compared(number: int, order: KeyOrder) -> Script[KeyMaterial]:
    """Take a component until its check value is the one on the custodian's envelope."""
    attempt = 0
    while True:
        part = yield from _typed(order)
        kcv = part.kcv(order.algorithm)
        yield Say(f"您的分量校验值 {kcv}", f"check value of your component: {kcv}")
        said = yield Ask("与信封一致？(y/n)", "does your envelope say the same? (y/n)")
        if said.strip().lower() in ("y", "yes"):
            return part
        part.wipe()
        yield from told(
            CeremonyError("not the envelope's check value"), f"component {number}", attempt
        )
        attempt += 1


def given(order: KeyOrder) -> Script[KeyMaterial]:
    """Make a component, show it once, and have it typed from the copy."""
    part = _strong(order.algorithm)
    note = f"{written(part)}   KCV {part.kcv(order.algorithm)}"
    yield ShowOnce(
        f"{order} 分量：抄在信封里的纸上",
        f"{order}: copy your component for its envelope",
        note,
    )

    def reader(text: str) -> KeyMaterial:
        typed = read(text, order.algorithm)
        if typed != part:
            raise ComponentsDiffer
        return part

    ask = Ask("照抄写输入一次", "type it once from your copy", secret=True)
    part = yield from tried("component", ask, reader)
    kcv = part.kcv(order.algorithm)
    yield Say(f"您的分量校验值 {kcv}", f"check value of your component: {kcv}")
    return part


def _strong(algorithm: Algorithm) -> KeyMaterial:
    """Draw a component that a custodian would not be refused."""
    while True:
        part = KeyMaterial.random(algorithm.key_bytes)
        try:
            part.check(algorithm)
        except WeakKey:  # once in 2^56 draws
            continue
        return part


def _typed(order: KeyOrder) -> Script[KeyMaterial]:
    """Take a component typed twice, blind."""

    def reader(text: str) -> KeyMaterial:
        return read(text, order.algorithm)

    attempt = 0
    while True:
        ask = Ask(f"{order} 分量", f"{order}: your component", secret=True)
        first = yield from tried("component", ask, reader)
        again = yield Ask("再输入一次", "again", secret=True)
        try:
            if reader(again) != first:
                raise ComponentsDiffer
        except KeysError as exc:
            first.wipe()
            yield from told(exc, "component", attempt)
            attempt += 1
        else:
            return first


def tried(step: str, ask: Ask, reader: Callable[[str], _T]) -> Script[_T]:
    """Ask until what was typed can be read, at most ``TRIES_MAX`` times."""
    attempt = 0
    while True:
        text = yield ask
        try:
            return reader(text)
        except KeysError as exc:
            yield from told(exc, step, attempt)
            attempt += 1


def told(error: KeysError, step: str, attempt: int) -> Script[None]:
    """Say what was wrong, or stop after the last attempt."""
    left = TRIES_MAX - 1 - attempt
    if not left:
        raise CeremonyAborted(step, f"{error}, {TRIES_MAX} times") from error
    yield Say(f"不对（还有 {left} 次）", f"{error}; tries left: {left}")
