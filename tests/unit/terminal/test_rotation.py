# SPDX-License-Identifier: Apache-2.0
"""A change of key: whose answer is believed, what a full disk or a damaged file does to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from keys.identity import Identity
from swipe.frames import FileHeader
from swipe.requests import CHANGED_CONTEXT, changed_message
from terminal.chain import Chain
from terminal.clock import Earlier, TerminalTime
from terminal.errors import BadAnswer, NotProvisioned, NotSaved
from terminal.files import IDENTITY, NEXT_IDENTITY, NEXT_PASSPORT, PASSPORT
from terminal.journal import Journal
from terminal.passport import Passport, changed_keys
from terminal.rotation import change_key, finish_change, load_identity
from terminal.transport import Request
from tests.contracts.journal.disks import MemoryDisk
from tests.factories import KEY_ID, TERMINAL_ID, make_identity
from tests.unit.terminal.clocks import HandClock

SERVER, LIAR = make_identity("server"), make_identity("liar")
NEW_KEY_ID = KEY_ID + 1
Answer = Callable[[bytes], bytes]


class FullDisk(MemoryDisk):
    """A disk that takes no small file any more, once it is full."""

    full = False

    def write_whole(self, name: str, data: bytes) -> None:
        """Refuse."""
        if self.full:
            raise OSError(28, "No space left on device")
        super().write_whole(name, data)


def signed(key_id: int, key: bytes, by: Identity, terminal: int = TERMINAL_ID) -> bytes:
    """Make the answer of somebody who calls himself the server."""
    signature = by.sign(CHANGED_CONTEXT, changed_message(terminal, key_id, key))
    return json.dumps({"key_id": key_id, "signature": signature.hex()}).encode()


@dataclass
class Asked:
    """A transport that answers as it is told to."""

    answer: Answer
    keys: list[bytes] = field(default_factory=list)

    def send(self, request: Request) -> bytes:
        """Answer the change."""
        self.keys.append(bytes.fromhex(json.loads(request.body)["public_key"]))
        return self.answer(self.keys[-1])


def right(key: bytes) -> bytes:
    """Answer as the server does."""
    return signed(NEW_KEY_ID, key, SERVER)


def make_terminal() -> tuple[FullDisk, Chain, Passport]:
    """Return an enrolled terminal on a disk in memory."""
    disk, identity = FullDisk(), make_identity()
    passport = Passport(TERMINAL_ID, KEY_ID, 1, SERVER.public_key.hex(), 1, "站", "site", 32)
    passport.save(disk)
    identity.sealed_by(lambda pem: disk.write_whole(IDENTITY, pem) or pem)
    Journal.begin(disk, FileHeader(TERMINAL_ID, KEY_ID, identity.public_key))
    clock = HandClock()
    time = TerminalTime(clock, 50, Earlier(0, clock.utc_ms(), 0))
    return disk, Chain(Journal.on(disk), identity, time, 1), passport


def test_change_is_taken_into_use() -> None:
    """Key, number and list of keys change together; nothing of the change is left over."""
    disk, chain, passport = make_terminal()
    asked = Asked(right)

    changed = change_key(disk, chain, passport, asked)

    assert (chain.key_id, chain.identity.public_key) == (NEW_KEY_ID, asked.keys[0])
    assert Passport.load(disk) == changed
    assert changed_keys(disk) == (asked.keys[0],)
    assert disk.read(NEXT_IDENTITY) is disk.read(NEXT_PASSPORT) is None
    assert chain.journal.state.public_keys[-1] == asked.keys[0]


@pytest.mark.parametrize(
    "answer",
    [
        lambda _key: b"",
        lambda _key: b"[]",
        lambda _key: b'{"key_id": 2}',
        lambda _key: b'{"key_id": 2, "signature": "zz"}',
        lambda _key: b'{"key_id": 2, "signature": ""}',
        lambda key: right(key).replace(b'"key_id": %d' % NEW_KEY_ID, b'"key_id": 99'),
        lambda key: signed(0, key, SERVER),
        lambda _key: b'{"key_id": 4294967296, "signature": "00"}',
        lambda key: signed(NEW_KEY_ID, key, LIAR),
        lambda key: signed(NEW_KEY_ID, key, SERVER, terminal=TERMINAL_ID + 1),
        lambda _key: signed(KEY_ID, make_identity().public_key, SERVER),
    ],
)
def test_answer_that_is_not_the_servers_changes_nothing(answer: Answer) -> None:
    """Garbage, an older change's answer and a liar's leave the old key in force."""
    disk, chain, passport = make_terminal()
    before = chain.identity

    with pytest.raises(BadAnswer):
        change_key(disk, chain, passport, Asked(answer))

    assert (chain.identity, chain.key_id) == (before, KEY_ID)
    assert chain.journal.state.last_seq == 0
    assert finish_change(disk, chain.journal.state, passport) == passport
    asked = Asked(right)
    change_key(disk, chain, passport, asked)
    assert chain.identity.public_key == asked.keys[0]


def test_same_new_key_is_shown_again_after_a_break() -> None:
    """What broke off goes on with the key it had made, so that the server knows one."""
    disk, chain, passport = make_terminal()
    lost, asked = Asked(lambda _key: b""), Asked(right)
    with pytest.raises(BadAnswer):
        change_key(disk, chain, passport, lost)
    change_key(disk, chain, passport, asked)

    assert lost.keys == asked.keys


def test_full_disk_is_told_as_such() -> None:
    """A disk that takes nothing ends the change with the cause; the old key stays in force."""
    disk, chain, passport = make_terminal()
    disk.full = True

    with pytest.raises(NotSaved, match="No space left"):
        change_key(disk, chain, passport, Asked(right))

    assert chain.key_id == KEY_ID


@pytest.mark.parametrize("left", [b"", b"-----BEGIN PRIVATE KEY-----\nMC4", b"\0" * 119])
def test_damaged_new_key_stops_nobody(left: bytes) -> None:
    """What a bad sector left of a key that is not in force is passed over, and made anew."""
    disk, chain, passport = make_terminal()
    disk.files[NEXT_IDENTITY] = left

    assert finish_change(disk, chain.journal.state, passport) == passport
    change_key(disk, chain, passport, Asked(right))
    found = load_identity(disk)
    assert found is not None
    assert found.public_key == chain.identity.public_key


def test_new_number_waits_for_its_key() -> None:
    """With the new key's file gone, the old key keeps its old number."""
    disk, chain, passport = make_terminal()
    change_key(disk, chain, passport, Asked(right))
    other, fresh, old = make_terminal()
    other.files[NEXT_PASSPORT] = disk.files[PASSPORT]

    assert finish_change(other, fresh.journal.state, old) == old


@pytest.mark.parametrize("keys", ["[1]", '["zz"]', '["00"]', "7", '{"a": 1}'])
def test_passport_with_impossible_keys_is_damaged(keys: str) -> None:
    """A list of keys that is none does not pass for an empty one."""
    disk, _, _ = make_terminal()
    text = disk.files[PASSPORT].decode().replace('"changed_keys": []', f'"changed_keys": {keys}')
    disk.files[PASSPORT] = text.encode()

    assert changed_keys(disk) == ()
    with pytest.raises(NotProvisioned):
        Passport.load(disk)
