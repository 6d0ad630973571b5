# SPDX-License-Identifier: Apache-2.0
"""Change the terminal's key: the old key and the new one sign for each other, nothing is lost.

The new key is made here and shown to the server with both signatures; only then the journal says
so (KEY_ROTATE, the old key's last event), and only then the files change their names. A cut at any
moment leaves a terminal that starts: with the old key before the event is durable, with the new
one after it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from keys.identity import Identity, short_key
from swipe.kinds import EventType
from swipe.requests import ROTATE_CONTEXT, change_message
from terminal.chain import Chain
from terminal.errors import BadAnswer
from terminal.files import IDENTITY, NEXT_IDENTITY, NEXT_PASSPORT, PASSPORT
from terminal.passport import Passport
from terminal.state import State
from terminal.storage import Disk, disk_of
from terminal.transport import Request, Transport

KEYS_PATH = "/api/v1/terminals/{}/keys"


def change_key(
    place: Disk | Path, chain: Chain, passport: Passport, transport: Transport
) -> Passport:
    """Make, show and take into use a new key; return the passport that names it.

    Raises:
        ServerError: No answer or a refusal; the old key stays in force.
        NotSaved: The journal refused the KEY_ROTATE event; the old key stays in force.
    """
    disk = disk_of(place)
    fresh = _next_identity(disk, chain.identity)
    answer = transport.send(_request(chain, passport, fresh))
    changed = replace(passport, key_id=_key_id(answer))
    changed.save(disk, NEXT_PASSPORT)
    chain.record(EventType.KEY_ROTATE, public_key=short_key(fresh.public_key))
    changed = finish_change(disk, chain.journal.state, passport)
    chain.identity, chain.changed_key_id = fresh, changed.key_id
    return changed


def finish_change(place: Disk | Path, state: State, passport: Passport) -> Passport:
    """Give the new key's files their names once the journal has the change; else leave them."""
    disk = disk_of(place)
    fresh = load_identity(disk, NEXT_IDENTITY)
    if fresh is not None:
        if fresh.public_key != state.public_keys[-1]:
            return passport
        disk.rename(NEXT_IDENTITY, IDENTITY)
    if disk.read(NEXT_PASSPORT) is None:
        return passport
    changed = Passport.load(disk, NEXT_PASSPORT)
    disk.rename(NEXT_PASSPORT, PASSPORT)
    return changed


def load_identity(place: Disk | Path, name: str = IDENTITY) -> Identity | None:
    """Return a private key of the terminal's disk, or None if there is none."""
    pem = disk_of(place).read(name)
    return None if pem is None else Identity.from_pem(pem, name)


def _next_identity(disk: Disk, old: Identity) -> Identity:
    """Return the key of an interrupted change, or make one of the same suite."""
    held = load_identity(disk, NEXT_IDENTITY)
    if held is not None:
        return held
    fresh = Identity.generate(old.suite)
    fresh.sealed_by(lambda pem: _kept(disk, pem))
    return fresh


def _kept(disk: Disk, pem: bytes) -> bytes:
    disk.create(NEXT_IDENTITY, pem)
    return pem


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


def _key_id(answer: bytes) -> int:
    try:
        key_id = json.loads(answer)["key_id"]
    except (ValueError, TypeError, KeyError) as exc:
        raise BadAnswer("change of key") from exc
    if not isinstance(key_id, int) or not 0 < key_id < 1 << 32:
        raise BadAnswer("change of key")
    return key_id
