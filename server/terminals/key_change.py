# SPDX-License-Identifier: Apache-2.0
"""A terminal's key changes, or ends at a sequence number.

A change needs no person: the old key and the new one sign for each other, and the terminal's
KEY_ROTATE event says from which number on the new one signs. It is in the audit trail and a leaf
of the public log like every key. A key that has ended, in whatever way, vouches for no other; and
with a key ends what it vouched for, except the one key that took its place by that event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.errors import BadPublicKey
from keys.suite import Suite, fingerprint, short_key
from keys.verify import verify
from server import evidence
from server.errors import Problem, Refused
from server.people import audit
from server.terminals.models import Terminal, TerminalKey
from server.terminals.requests import in_force
from server.terminals.services import find_terminal, keys_of
from swipe import payloads
from swipe.arrays import EventArray, Mask
from swipe.event import Event
from swipe.kinds import EventType
from swipe.requests import ROTATE_CONTEXT, change_message

# A terminal that changes its key more often than every day for years is out of order.
KEYS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What a terminal shows to change its key."""

    terminal_id: int
    old_key_id: int
    public_key: bytes
    old_signature: bytes
    new_signature: bytes

    @property
    def message(self) -> bytes:
        """Return what both keys sign."""
        return change_message(self.terminal_id, self.old_key_id, self.public_key)


def change_key(session: Session, shown: KeyChange, now_ms: int) -> TerminalKey:
    """Take a new key that the old one vouches for; the same request again gets the same key.

    It gets it even when the old key has ended since: nothing new comes of it, and an answer that
    was lost, or a request that was doubled and late, costs the terminal nothing.

    Raises:
        Problem: 401 the old key is not in force or a signature is wrong; 409 the key is known
            elsewhere, of another suite, or there have been too many.
    """
    terminal = session.get(Terminal, shown.terminal_id, with_for_update=True)
    old = session.get(TerminalKey, shown.old_key_id)
    if terminal is None or old is None or not _approved(terminal, old):
        raise _refusal("旧密钥不在用", "the old key is not in force")
    _check_signatures(old.public_key, shown)
    statement = sa.select(TerminalKey).where(TerminalKey.public_key == shown.public_key)
    known = session.scalars(statement).one_or_none()
    if known is not None and known.replaces == old.id:
        return known
    if old.until_seq is not None:
        raise Problem(
            401,
            "key-ended",
            "旧密钥已终止，不能再换新钥；此机如仍要使用，请按坏机更换办理 fleet replace（须两人）",
            "the old key has ended and gets no new one; a box that is to go on in service comes "
            "back by fleet replace, which takes two people",
        )
    count = sa.select(sa.func.count()).where(TerminalKey.terminal_id == terminal.id)
    if known is not None or (session.scalar(count) or 0) >= KEYS_MAX:
        raise Problem(
            409,
            "key-known",
            "此密钥已登记，或更换次数过多",
            "the key is known already, or there have been too many",
        )
    key = TerminalKey(
        terminal_id=terminal.id,
        public_key=shown.public_key,
        suite=old.suite,
        valid_from_ms=now_ms,
        replaces=old.id,
    )
    session.add(key)
    session.flush()
    _tell(session, key, now_ms)
    return key


def end_key(
    session: Session, key_id: int, until_seq: int, reason: str, by: tuple[str, int]
) -> None:
    """End a key at a sequence number: what it signed from there on counts as not signed.

    `by` is who says so and when, in milliseconds.
    """
    actor, now_ms = by
    key = session.get(TerminalKey, key_id)
    if key is None:
        raise Refused("unknown-key", "没有这把密钥", f"no key {key_id}")
    find_terminal(session, key.terminal_id)
    session.refresh(key)  # an upload may have ended it while we waited for the terminal's row
    if key.until_seq is not None and key.until_seq <= until_seq:
        raise Refused("key-ended", "此密钥已终止", f"the key ended before event {key.until_seq}")
    own = keys_of(session, key.terminal_id)
    # A successor that took over, by an event that the key signed, ends later or not at all.
    unused = [one for one in _vouched_for(own, key) if one.until_seq == key.until_seq]
    for one in (key, *unused):
        one.until_seq = until_seq
        record = {"terminal": one.terminal_id, "key_id": one.id, "until_seq": until_seq}
        evidence.append_record(session, now_ms, "terminal-key-end", record | {"by": actor})
        audit.record(
            session, now_ms, actor, "key.ended", f"key:{one.id}", until_seq=until_seq, reason=reason
        )


def describe(key: TerminalKey) -> dict[str, Any]:
    """Return what may be said about a key; the fingerprint is for two people to compare."""
    return {
        "key_id": key.id,
        "suite": Suite(key.suite).name.lower(),
        "fingerprint": fingerprint(key.public_key),
        "until_seq": key.until_seq,
        "replaces": key.replaces,
        "approved": key.valid_from_ms is not None,
        "in_force": in_force(key),
    }


def note_changes(session: Session, terminal_id: int, events: EventArray, signed: Mask) -> None:
    """End the old key behind each signed KEY_ROTATE among events that have just been stored.

    With it ends every other key of its line: a key that was asked for and never taken into use, be
    it that the terminal lost it in a power cut or that somebody else asked.
    """
    for row in np.flatnonzero(signed & (events["type"] == EventType.KEY_ROTATE)).tolist():
        event = Event.from_bytes(events[row].tobytes())
        told = bytes(payloads.parse(event.type, event.payload)["public_key"])
        own = keys_of(session, terminal_id)
        for key in own:
            if key.replaces == event.key_id and short_key(key.public_key) == told:
                _take_over(own, key, event.seq + 1)


def _take_over(own: list[TerminalKey], key: TerminalKey, from_seq: int) -> None:
    """End the line of a key, but for itself and what it has vouched for in its turn."""
    first = key
    by_id = {one.id: one for one in own}
    while first.replaces in by_id:
        first = by_id[first.replaces]
    staying = {key.id, *(one.id for one in _vouched_for(own, key))}
    for one in (first, *_vouched_for(own, first)):
        if one.id not in staying:
            one.until_seq = min(from_seq, one.until_seq or from_seq)


def _vouched_for(own: list[TerminalKey], key: TerminalKey) -> list[TerminalKey]:
    """Return the keys of a terminal that a key has vouched for, and those they did, and so on."""
    line = {key.id}
    found = []
    for one in own:  # oldest first: a key is younger than the one that vouches for it
        if one.replaces in line:
            line.add(one.id)
            found.append(one)
    return found


def _approved(terminal: Terminal, key: TerminalKey) -> bool:
    return (
        terminal.state in ("active", "quarantined")
        and key.terminal_id == terminal.id
        and key.valid_from_ms is not None
        and key.revoked_ms is None
    )


def _check_signatures(old_public_key: bytes, shown: KeyChange) -> None:
    try:
        if Suite.of(shown.public_key) is not Suite.of(old_public_key):
            raise Problem(
                409, "other-suite", "新旧密钥须为同一算法", "both keys must be of one suite"
            )
        short_key(shown.public_key)
        signed = verify(
            old_public_key, shown.old_signature, ROTATE_CONTEXT, shown.message
        ) and verify(shown.public_key, shown.new_signature, ROTATE_CONTEXT, shown.message)
    except BadPublicKey:
        signed = False
    if not signed:
        raise _refusal("换钥请求的签名不对", "a signature of the change of key is wrong")


def _tell(session: Session, key: TerminalKey, now_ms: int) -> None:
    record = {
        "terminal": key.terminal_id,
        "key_id": key.id,
        "public_key": key.public_key.hex(),
        "suite": key.suite,
        "replaces": key.replaces,
    }
    evidence.append_record(session, now_ms, "terminal-key", record)
    actor = f"terminal:{key.terminal_id}"
    audit.record(session, now_ms, actor, "key.changed", f"key:{key.id}", replaces=key.replaces)


def _refusal(zh: str, en: str) -> Problem:
    return Problem(401, "key-change-refused", zh, en)
