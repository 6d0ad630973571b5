# SPDX-License-Identifier: Apache-2.0
"""Traces of real conversations with a virtual card: complete, and without a secret."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from card import trace_file
from card.apdu import CommandApdu, ResponseApdu
from card.attempts import AttemptGuard
from card.card_keys import CardKeys
from card.cassette import Player, Recorder
from card.commands import (
    get_challenge,
    read_binary,
    read_record_by_tag,
    select_fid,
    select_name,
)
from card.decode import describe_tape
from card.dump import read_dump
from card.errors import CardError, SecurityNotSatisfied
from card.files import VOLUNTEER, VOLUNTEER_AID
from card.layouts import Composite
from card.operation import Connection, exchange, fetch, run
from card.personalise import personalise
from card.psam import PsamCard
from card.tap import TapRequest, tapping
from card.trace import Tape, Trace
from card.trace_place import DIRECTORIES
from card.volunteer import CardFace, DeskKeys, VolunteerCard, select
from hardware_mocks.cardos.cos import VirtualCard
from keys.psam import PurchaseGrant, PurchaseRequest
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import card_data, in_process, issued_card, issued_psam
from tests.unit.card.virtual_reader import VirtualConnection

DATA = card_data(
    name="欧阳小明", guardian_mobile="13800138000", document_tail="12345X", volunteer_number="77"
)
SECRETS = ("欧阳小明".encode("gb18030"), b"13800138000", b"12345X")


class Unplugged:
    """A PSAM that is not there any more."""

    key_index = 1
    hardware = True

    def __init__(self, number: bytes) -> None:
        self.number = number

    def init_purchase(self, request: PurchaseRequest) -> PurchaseGrant:
        raise AssertionError("asked at replay")

    def credit_purchase(self, mac2: bytes) -> None:
        raise AssertionError("asked at replay")


def _life(store: FileKeyStore, trace: Trace) -> Tape:
    """Issue a card and read everything a desk may read, traced."""
    chip = VirtualCard()
    keys = CardKeys.from_store(store, DATA.asn, DATA.key_version)
    run(personalise(DATA, keys), trace.watch(VirtualConnection(chip)))
    connection = trace.watch(VirtualConnection(chip))
    desk = DeskKeys(keys[KeyUsage.DESK_READ], keys[KeyUsage.MAINTENANCE], "card")
    run(read_dump(desk, AttemptGuard()), connection)
    return trace.tape()


def _bytes(tape: Tape) -> bytes:
    return b"|".join(item.command + b">" + item.answer for item in tape.exchanges)


def test_a_card_s_whole_life_leaves_no_secret(store: FileKeyStore) -> None:
    """Issuing and reading a card shows neither keys nor personal data, in bytes or in words."""
    tape = _life(store, Trace())
    words = "\n".join(line for _, found in describe_tape(tape) for line in found.lines())
    written = [item for item in tape.exchanges if item.command[1] == 0xD4]

    assert not [secret for secret in SECRETS if secret in _bytes(tape)]
    assert "欧阳小明" not in words
    assert "13800138000" not in words
    assert len(written) >= 9
    for item in written:
        command = CommandApdu.from_bytes(item.command)
        assert sum(size for _, size in item.hidden_command) >= len(command.data) - 9


def test_revealing_is_asked_for_and_noted(store: FileKeyStore) -> None:
    """With `reveal` everything is kept, and the tape says so."""
    tape = _life(store, Trace(reveal=True))

    assert tape.revealed
    assert [secret for secret in SECRETS if secret in _bytes(tape)] == list(SECRETS)
    assert not any(item.masked for item in tape.exchanges)


def test_both_traces_have_the_same_commands(store: FileKeyStore) -> None:
    """Masking changes no length and no header."""
    masked, revealed = _life(store, Trace()), _life(store, Trace(reveal=True))

    assert [item.command[:5] for item in masked.exchanges] == [
        item.command[:5] for item in revealed.exchanges
    ]
    assert [len(item.answer) for item in masked.exchanges] == [
        len(item.answer) for item in revealed.exchanges
    ]


def test_a_cassette_is_a_connection_like_any_other(store: FileKeyStore) -> None:
    """A conversation recorded, saved and loaded gives a program the same results again."""

    def converse(connection: Connection) -> tuple[CardFace, Composite | None, int]:
        card = VolunteerCard(connection)
        with pytest.raises(SecurityNotSatisfied) as caught:
            run(exchange(read_binary(0x16, 0, 128)), connection)
        return card.identity(), card.open_service(), caught.value.sw

    trace = Trace()
    before = converse(Recorder(VirtualConnection(issued_card(store)), trace))
    player = Player(trace_file.loads(trace_file.dumps(trace.tape())))

    assert converse(player) == before
    player.finish()


def test_a_whole_issue_is_played_again(store: FileKeyStore) -> None:
    """With what it took from outside on the tape, an operation sends the very same bytes."""
    trace, keys = Trace(reveal=True), CardKeys.from_store(store, DATA.asn, DATA.key_version)
    recorder = Recorder(VirtualConnection(VirtualCard()), trace)
    before = run(personalise(DATA, keys, outside=recorder), recorder)
    player = Player(trace_file.loads(trace_file.dumps(trace.tape())))

    assert run(personalise(DATA, keys, outside=player), player) == before
    player.finish()


def test_a_tap_is_played_again_without_its_psam(store: FileKeyStore) -> None:
    """The PSAM's answers are on the tape, so none is asked at replay, and nothing is masked."""
    psam = PsamCard(in_process(issued_psam(store)))
    request = TapRequest(psam, 1_795_222_800, 32, 101, bytes(8))
    trace = Trace()
    recorder = Recorder(VirtualConnection(issued_card(store)), trace)
    run(select(), recorder)
    before = run(tapping(DATA.diversifier, 1, request, recorder), recorder)
    used = TapRequest(Unplugged(psam.number), 1_795_222_800, 32, 101, bytes(8))
    player = Player(trace_file.loads(trace_file.dumps(trace.tape())))
    run(select(), player)

    assert run(tapping(DATA.diversifier, 1, used, player), player) == before
    player.finish()


def test_the_place_decides_what_is_secret() -> None:
    """The same READ BINARY is public in one application, personal in another, unknown elsewhere."""
    read = read_binary(0x16, 0, 6).to_bytes()
    steps = {
        "application": select_name(VOLUNTEER_AID),
        "master file": select_fid(0x3F00),
        "unknown": select_name(bytes.fromhex("A000000632010105")),
    }
    hidden = {}
    for name, command in steps.items():
        trace = Trace()
        trace.add(command.to_bytes(), b"", 0x9000)
        trace.add(read, bytes(6), 0x9000)
        hidden[name] = trace.exchanges[1].masked
    powered = Trace()
    powered.add(read, bytes(6), 0x9000)

    assert hidden == {"application": True, "master file": False, "unknown": True}
    assert powered.exchanges[0].masked


def test_an_application_of_one_s_own_is_declared_to_the_trace() -> None:
    """With its directory declared, its public files are shown field by field, others masked."""
    own = replace(VOLUNTEER, name=bytes.fromhex("A000000001"), fid=0x3F02)
    layout = VOLUNTEER.file(0x0019).layout
    assert layout is not None
    content = bytes.fromhex(layout.vectors[1][0])
    steps = (
        (select_name(own.name), b""),
        (read_record_by_tag(0x19, 0xAA), content),
        (read_binary(0x16, 0, 6), bytes(6)),
    )
    known, unknown = Trace(directories=(*DIRECTORIES, own)), Trace()
    for trace in (known, unknown):
        for command, answer in steps:
            trace.add(command.to_bytes(), answer, 0x9000)
    words = [found for _, found in describe_tape(known.tape(), (*DIRECTORIES, own))]

    assert [item.masked for item in known.exchanges] == [False, False, True]
    assert [item.masked for item in unknown.exchanges] == [False, True, True]
    assert words[1].file is not None


def test_a_failed_select_leaves_the_place_unknown() -> None:
    """After a refusal nothing is taken for public."""
    trace = Trace()
    trace.add(select_name(VOLUNTEER_AID).to_bytes(), b"", 0x9000)
    trace.add(select_fid(0x1234).to_bytes(), b"", 0x6A82)
    trace.add(read_binary(0x15, 0, 6).to_bytes(), bytes(6), 0x9000)

    assert trace.exchanges[2].masked


@pytest.mark.parametrize(
    "command",
    [
        "00FE000004DEADBEEF",
        "00D6150004DEADBEEF",
        "80D4010004DEADBEEF",
        "0020",
        "0020000009DEADBEEF",
    ],
)
def test_what_is_not_understood_is_masked(command: str) -> None:
    """Undeclared, misfitting and malformed commands lose whatever could be a secret."""
    trace = Trace()
    trace.add(bytes.fromhex(command), bytes.fromhex("CAFECAFE"), 0x9000)
    item = trace.exchanges[0]

    assert b"\xde\xad\xbe\xef" not in item.command
    assert item.command[:2] == bytes.fromhex(command)[:2]


def test_a_trace_is_an_observer_too(store: FileKeyStore) -> None:
    """`run(..., observer=trace)` records what `watch` records."""
    trace = Trace()

    run(fetch(get_challenge(8), 8), VirtualConnection(issued_card(store)), trace)

    assert [item.sw for item in trace.exchanges] == [0x9000]
    trace(CommandApdu(0, 0x84, 0, 0, le=4), ResponseApdu(b"abcd", 0x9000))
    assert trace.exchanges[1].answer == b"abcd"


def test_times_and_failures_are_kept() -> None:
    """Each exchange has its moment and its length; a card that left is in the trace by name."""

    class Gone:
        atr = b"\x3b\x00"

        def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
            raise CardError

        def close(self) -> None:
            pass

    ticks = count(0, 1_000_000)
    trace = Trace("r", clock_ns=lambda: next(ticks))
    with pytest.raises(CardError):
        trace.watch(Gone()).transmit(bytes.fromhex("0084000004"))
    item = trace.exchanges[0]

    assert (item.t_us, item.took_us) == (1_000, 1_000)
    assert (item.error, item.sw, item.reader) == ("CardError", 0, "r")


def test_an_endless_trace_keeps_its_latest_part() -> None:
    """Beyond the limit the oldest exchanges leave, and the trace counts them."""
    trace = Trace(limit=4)
    for number in range(7):
        trace.add(b"\0\x84\0\0\x04", number.to_bytes(4, "big"), 0x9000)

    assert trace.dropped == 3
    assert [item.answer[3] for item in trace.exchanges] == [3, 4, 5, 6]
