# SPDX-License-Identifier: Apache-2.0
"""Change the terminal's key: the old key and the new one sign for each other, nothing is lost.

The new key is made here and shown to the server with both signatures; only then the journal says
so (KEY_ROTATE, the old key's last event), and only then the files change their names. A cut at any
moment leaves a terminal that starts: with the old key before the event is durable, with the new
one after it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from keys.errors import KeysError
from keys.identity import Identity, Suite, short_key
from keys.verify import verify
from swipe.kinds import EventType
from swipe.requests import CHANGED_CONTEXT, ROTATE_CONTEXT, change_message, changed_message
from terminal.chain import Chain
from terminal.errors import BadAnswer, IdentityLost, NotProvisioned, NotSaved
from terminal.files import IDENTITY, NEXT_IDENTITY, NEXT_PASSPORT, PASSPORT
from terminal.passport import Passport
from terminal.state import State
from terminal.storage import Disk, disk_of
from terminal.transport import Request, Transport

KEYS_PATH = "/api/v1/terminals/{}/keys"


def change_key(
    place: Disk | Path,
    chain: Chain,
    passport: Passport,
    transport: Transport,
    generate: Callable[[Suite], Identity] = Identity.generate,
) -> Passport:
    """Make, show and take into use a new key; return the passport that names it.

    `generate` makes the key; a simulator gives its own, so that a history stays the same.

    Raises:
        ServerError: No answer or a refusal; the old key stays in force.
        NotSaved: The journal refused the KEY_ROTATE event; the old key stays in force.
    """
    disk = disk_of(place)
    try:
        fresh = _next_identity(disk, chain.identity, generate)
        answer = transport.send(_request(chain, passport, fresh))
        keys = (*passport.changed_keys, fresh.public_key.hex())
        key_id = _key_id(answer, passport, fresh.public_key)
        replace(passport, key_id=key_id, changed_keys=keys).save(disk, NEXT_PASSPORT)
        chain.record(EventType.KEY_ROTATE, public_key=short_key(fresh.public_key))
        changed = finish_change(disk, chain.journal.state, passport)
    except OSError as exc:
        raise NotSaved(exc.strerror or type(exc).__name__) from exc
    chain.identity, chain.changed_key_id = fresh, changed.key_id
    chain.journal.goes_on_with(fresh.public_key)
    return changed


def finish_change(place: Disk | Path, state: State, passport: Passport) -> Passport:
    """Give the new key's files their names once the journal has the change; else leave them."""
    disk = disk_of(place)
    fresh = _waiting(disk)
    if fresh is not None and fresh.public_key == state.public_keys[-1]:
        disk.rename(NEXT_IDENTITY, IDENTITY)
    return name_new_key(disk, passport)


def name_new_key(disk: Disk, passport: Passport) -> Passport:
    """Let `terminal.json` name the key that the terminal has, if a cut came in between.

    This comes before the journal is read, which needs to know all keys: an older journal that was
    put back does not name the last one.
    """
    try:
        changed, identity = Passport.load(disk, NEXT_PASSPORT), load_identity(disk)
    except NotProvisioned:  # there is none, or a bad sector has it: `change-key` makes it anew
        return passport
    if identity is None or changed.changed_keys[-1:] != (identity.public_key.hex(),):
        return passport
    disk.rename(NEXT_PASSPORT, PASSPORT)
    return changed


def load_identity(place: Disk | Path, name: str = IDENTITY) -> Identity | None:
    """Return a private key of the terminal's disk, or None if there is none.

    Raises:
        IdentityLost: The terminal's own key is there and damaged.
        KeysError: Another one is.
    """
    pem = disk_of(place).read(name)
    try:
        return None if pem is None else Identity.from_pem(pem, name)
    except KeysError as exc:
        if name == IDENTITY:
            raise IdentityLost(name) from exc
        raise


def save_identity(disk: Disk, identity: Identity, name: str = IDENTITY) -> None:
    """Write a private key to the terminal's disk, whole or not at all."""

    def write(pem: bytes) -> bytes:
        disk.write_whole(name, pem)
        return pem

    identity.sealed_by(write)


def _next_identity(disk: Disk, old: Identity, generate: Callable[[Suite], Identity]) -> Identity:
    """Return the key of an interrupted change, or make one of the same suite."""
    held = _waiting(disk)
    if held is not None:
        return held
    fresh = generate(old.suite)
    save_identity(disk, fresh, NEXT_IDENTITY)
    return fresh


def _waiting(disk: Disk) -> Identity | None:
    """Return the key of an interrupted change; None if there is none, or a bad sector has it."""
    try:
        return load_identity(disk, NEXT_IDENTITY)
    except (KeysError, OSError):
        return None


def _request(chain: Chain, passport: Passport, fresh: Identity) -> Request:
    message = change_message(passport.terminal_id, chain.key_id, fresh.public_key)
    body = {
        "old_key_id": chain.key_id,
        "public_key": fresh.public_key.hex(),
        "old_signature": chain.identity.sign(ROTATE_CONTEXT, message).hex(),
        "new_signature": fresh.sign(ROTATE_CONTEXT, message).hex(),
    }
    path = KEYS_PATH.format(passport.terminal_id)
    return Request("POST", path, json.dumps(body).encode(), "application/json")


def _key_id(answer: bytes, passport: Passport, public_key: bytes) -> int:
    """Return the number that the pinned server has given this very key, and nobody else."""
    try:
        document = json.loads(answer)
        key_id, signature = document["key_id"], bytes.fromhex(document["signature"])
    except (ValueError, TypeError, KeyError) as exc:
        raise BadAnswer("change of key") from exc
    if not isinstance(key_id, int) or not 0 < key_id < 1 << 32:
        raise BadAnswer("change of key")
    message = changed_message(passport.terminal_id, key_id, public_key)
    if not verify(passport.server_key.public_key, signature, CHANGED_CONTEXT, message):
        raise BadAnswer("change of key")
    return key_id
