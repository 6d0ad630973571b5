# SPDX-License-Identifier: Apache-2.0
"""The end of a key ceremony: the components meet in the store, all keys or none.

A new file store is filled beside its place and takes its name in one step. In a store that exists
every key is stored whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from keys.ceremony_plan import KeyOrder, Outcome, checked_kcv
from keys.components import combine
from keys.envelope import DEFAULT_COST, KdfCost
from keys.errors import CeremonyAborted, KeyStoreExists, RehearsalRefused, TestKeysRefused
from keys.keystore import KeyInfo, KeyStore
from keys.store import FileKeyStore
from keys.surroundings import HERE, Surroundings


def check_room(store: KeyStore, orders: Iterable[KeyOrder], *, rehearsal: bool) -> None:
    """Refuse, before anybody types, what could not be stored in the end.

    Raises:
        KeyStoreExists: a key is there already.
        TestKeysRefused, RehearsalRefused: test keys and real ones do not share a store.
    """
    infos = store.list()
    taken = {(info.usage, info.version) for info in infos}
    for order in orders:
        if (order.usage, order.version) in taken:
            raise KeyStoreExists(f"{store.place}: {order.usage.value} version {order.version}")
    tests = tuple(info.name for info in infos if info.marked_test)
    if rehearsal and infos and not tests:
        raise RehearsalRefused(store.place)
    if tests and not rehearsal:
        raise TestKeysRefused(tests)


def deposit(store: KeyStore, outcome: Outcome) -> list[KeyInfo]:
    """Combine the components for the store and give what it says of the keys."""
    check_room(store, outcome.plan.keys, rehearsal=outcome.plan.rehearsal)
    for order, parts in outcome.parts.items():
        checked_kcv(order, parts)
    return [_import(store, order, outcome) for order in outcome.parts]


def deposit_new(
    path: Path, outcome: Outcome, cost: KdfCost = DEFAULT_COST, around: Surroundings = HERE
) -> tuple[KeyStore, list[KeyInfo]]:
    """Make a file store with the keys of a ceremony, opened by two of its shares."""
    if outcome.passphrase is None:
        raise CeremonyAborted("deposit", "the ceremony made no passphrase")
    stored: list[KeyInfo] = []

    def fill(store: KeyStore) -> None:
        stored.extend(deposit(store, outcome))

    return filled_beside(path, outcome.passphrase, fill, cost, around), stored


def filled_beside(
    path: Path,
    passphrase: str,
    fill: Callable[[KeyStore], None],
    cost: KdfCost = DEFAULT_COST,
    around: Surroundings = HERE,
) -> KeyStore:
    """Make a file store that has all the keys ``fill`` puts into it, or is not there.

    It is filled as ``.NAME.ceremony`` and linked to its name when all keys are in it.
    """
    if path.exists():
        raise KeyStoreExists(str(path))
    draft = path.with_name(f".{path.name}.ceremony")
    log = around.audit or path.with_name(path.name + ".audit")
    around = replace(around, audit=log)
    logged_before = log.exists()
    _remove(draft)
    try:
        fill(FileKeyStore.create(draft, passphrase, cost, around))
        return FileKeyStore.restore(draft, path, passphrase, around)
    except BaseException:
        if not logged_before:
            log.unlink(missing_ok=True)
        raise
    finally:
        _remove(draft)


def _import(store: KeyStore, order: KeyOrder, outcome: Outcome) -> KeyInfo:
    key = combine(outcome.parts[order])
    try:
        return store.import_key(
            order.usage,
            order.version,
            key,
            order.algorithm,
            marked_test=outcome.plan.rehearsal,
        )
    finally:
        key.wipe()


def _remove(draft: Path) -> None:
    for name in (draft.name, f"{draft.name}.lock", f"{draft.name}.tries"):
        draft.with_name(name).unlink(missing_ok=True)
