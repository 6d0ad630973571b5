# SPDX-License-Identifier: Apache-2.0
"""Files longer than a command: read and written in pieces, never left looking whole after a cut."""

from __future__ import annotations

from typing import Any

import pytest

from card.attempts import AttemptGuard
from card.card_keys import CardKeys
from card.commands import select_name
from card.errors import CardRemoved, ProtocolFault, SecurityNotSatisfied
from card.file_access import PIECE_BYTES, read_commands, read_file, update_commands, write_file
from card.files import VOLUNTEER
from card.operation import Connection, exchange, run
from card.photo import photo_content, photo_of
from card.secure_messaging import Proof, authenticate
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.tear import Moment, Tear
from keys.handle import KeyHandle
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import ASN, Script, card_data, in_process, issue

PHOTO = VOLUNTEER.file(0x001B)
OLD = b"\xff\xd8\xff" + b"old" * 300 + b"\xff\xd9"
NEW = b"\xff\xd8\xff" + b"anew" * 250 + b"\xff\xd9"
WRITES = -(-len(photo_content(NEW)) // PIECE_BYTES)
TRACE_KEY: KeyHandle[Any] = KeyHandle(KeyUsage.MAINTENANCE, 1, b"\xff" * 16)


class Desk:
    """A desk with the control key, at one card."""

    def __init__(self, store: FileKeyStore) -> None:
        self.keys = CardKeys.from_store(store, ASN, 1)
        self.chip = VirtualCard()
        issue(store, self.chip, card_data(photo=OLD))

    def open(self) -> Connection:
        """Put the card on the reader again and prove the control key."""
        self.chip.reset()
        connection = in_process(self.chip)
        run(exchange(select_name(VOLUNTEER.name)), connection)
        proof = Proof(0x00, self.keys[KeyUsage.CONTROL], "control")
        run(authenticate(proof, AttemptGuard()), connection)
        return connection

    def photo(self) -> bytes | None:
        """Read the photo as a desk shows it."""
        key = self.keys[KeyUsage.MAINTENANCE]
        content = run(read_file(PHOTO, PHOTO.size, key), self.open())
        assert content is not None
        return photo_of(content)

    def replace(self) -> int:
        """Write the new photo."""
        key = self.keys[KeyUsage.MAINTENANCE]
        return run(write_file(PHOTO, photo_content(NEW), key), self.open())


@pytest.fixture
def desk(store: FileKeyStore) -> Desk:
    """A desk at a card with the old photo."""
    return Desk(store)


def test_a_long_file_is_replaced(desk: Desk) -> None:
    """The new photo reads back whole after as many writes as it has pieces."""
    assert desk.photo() == OLD
    assert desk.replace() == WRITES
    assert desk.photo() == NEW


@pytest.mark.parametrize("moment", Moment, ids=lambda moment: moment.name)
@pytest.mark.parametrize("write", range(WRITES))
def test_a_cut_at_any_write_leaves_a_whole_photo_or_none(
    desk: Desk, write: int, moment: Moment
) -> None:
    """Whatever the moment, no mixed photo is shown, and writing again completes it."""
    key = desk.keys[KeyUsage.MAINTENANCE]
    connection = desk.open()
    # GET CHALLENGE writes nothing: counting UPDATE BINARY counts the pieces.
    desk.chip.tear(Tear(write, 0xD6, moment))
    with pytest.raises(CardRemoved):
        run(write_file(PHOTO, photo_content(NEW), key), connection)

    assert desk.photo() in (None, OLD, NEW)

    desk.replace()

    assert desk.photo() == NEW


def test_pieces_cover_the_file_once() -> None:
    """Reads and writes of any length lie side by side, and the beginning is written last."""
    for size in (1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, PHOTO.size):
        content = bytes(index % 251 for index in range(size))
        written = bytearray(size)
        *before, last = update_commands(PHOTO, content)
        for command in (*before, last):
            if command.ins == 0xD6:
                at = 0 if command.p1 & 0x80 else command.p1 << 8 | command.p2
                written[at : at + len(command.data)] = command.data
        reads = [command.le or 0 for command in read_commands(PHOTO, size) if command.ins == 0xB0]

        assert bytes(written) == content
        assert last.data == content[: len(last.data)]
        assert sum(reads) == size


def test_a_long_read_needs_the_desk_key(desk: Desk) -> None:
    """Without a proof the first piece is refused."""
    desk.chip.reset()
    connection = in_process(desk.chip)
    run(exchange(select_name(VOLUNTEER.name)), connection)

    with pytest.raises(SecurityNotSatisfied):
        run(read_file(PHOTO, 600, desk.keys[KeyUsage.MAINTENANCE]), connection)


def test_a_card_that_sends_too_little_is_named() -> None:
    """Fewer bytes than the pieces announce are a fault, not a short file."""
    mac = TRACE_KEY.mac4(bytes(4), b"ab").hex()
    card = Script("00000000 9000", "6162" + mac + "9000")

    with pytest.raises(ProtocolFault):
        run(read_file(VOLUNTEER.file(0x001A), 16, TRACE_KEY), card)


def test_a_file_never_written_is_none() -> None:
    """The warning that a file was never written reads as nothing there."""
    spec = VOLUNTEER.file(0x0015)

    assert run(read_file(spec, 3), Script("FFFFFF 6281")) is None
