# SPDX-License-Identifier: Apache-2.0
"""Hostile and broken cards: whatever they answer, every operation ends in a value or a CardError.

Two kinds of card: one answers at random, one answers with the right lengths and random content, so
that operations get deep. Each run is bounded in commands.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card import pin, purse
from card.apdu import SECURE_MESSAGING, CommandApdu
from card.attempts import AttemptGuard
from card.card_keys import CardKeys
from card.drivers import FMCOS, ISO7816, probe_driver
from card.dump import read_dump
from card.errors import CardError
from card.file_access import read_file, write_file
from card.files import VOLUNTEER
from card.layouts import ISSUER_ID, NO_TAP
from card.operation import COMMANDS_MAX, run
from card.personalise import inspect, personalise
from card.probe import probe
from card.psam import open_psam
from card.psam_issuing import PsamData, PsamKeys, personalise_psam
from card.purse import Kind, Order, Which
from card.secure_messaging import Proof, authenticate, maced, read_maced, read_sealed, sealed
from card.tap import debit, initialize, presence, prove, update_cache
from card.updates import read_contents
from card.volunteer import DeskKeys, read_composite, read_log, select
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cards import wallet
from keys.algorithm import Algorithm
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import (
    ASN,
    PSAM_NO,
    PSAM_SERIAL,
    card_data,
    in_process,
    issued_card,
)
from tests.unit.card.wallets import handle

Begin = Callable[[Any], Any]
TDES = Algorithm.TDES
ORDER = Order(100, PSAM_NO, bytes(4), bytes(3))
LE_ALL = 256


class Keys:
    """All keys an operation may want, derived once."""

    def __init__(self, store: FileKeyStore) -> None:
        self.card = CardKeys.from_store(store, ASN, 1)
        self.psam = PsamKeys.from_store(store, PSAM_SERIAL, 1)
        self.desk = DeskKeys(
            self.card[KeyUsage.DESK_READ], self.card[KeyUsage.MAINTENANCE], ASN.hex()
        )
        self.load = handle(KeyUsage.LOAD, wallet.LOAD, TDES)
        self.tac = handle(KeyUsage.TAC, wallet.INTERNAL, TDES)
        self.reload = handle(KeyUsage.PIN_RELOAD, wallet.RELOADING, TDES)
        self.unblock = handle(KeyUsage.PIN_UNBLOCK, wallet.UNBLOCKING, TDES)
        self.file = self.card[KeyUsage.MAINTENANCE]
        self.proof = Proof(0, self.card[KeyUsage.CONTROL], "k")
        self.pin = pin.Pin(0, b"1234", "pin")


READ = CommandApdu(0x00, 0xB0, 0x9A, 0x00, le=16)
WRITE = CommandApdu(0x00, 0xD6, 0x9A, 0x00, bytes(16))
PHOTO = VOLUNTEER.file(0x001B)

OPERATIONS: dict[str, Begin] = {
    "select": lambda _: select(),
    "read composite": lambda _: read_composite(),
    "read log": lambda k: read_log(k.desk, AttemptGuard()),
    "presence": lambda _: presence(bytes(8)),
    "initialize": lambda _: initialize(1, PSAM_NO),
    "update cache": lambda _: update_cache(NO_TAP),
    "debit": lambda _: debit(1, bytes(4), bytes(3), bytes(4)),
    "prove": lambda _: prove(1),
    "probe": lambda k: probe(k.card, 0, 0, AttemptGuard()),
    "dump": lambda _: read_dump(),
    "dump with keys": lambda k: read_dump(k.desk, AttemptGuard()),
    "updates": lambda k: read_contents(k.desk, AttemptGuard()),
    "inspect": lambda _: inspect(),
    "personalise": lambda k: personalise(card_data(), k.card),
    "open PSAM": lambda _: open_psam(),
    "issue PSAM": lambda k: personalise_psam(PsamData(PSAM_SERIAL, PSAM_NO), k.psam),
    "read file": lambda k: read_file(PHOTO, PHOTO.size, k.file),
    "write file": lambda k: write_file(PHOTO, bytes(500), k.file),
    "maced": lambda k: maced(WRITE, k.file),
    "sealed": lambda k: sealed(WRITE, k.file),
    "read maced": lambda k: read_maced(READ, k.file),
    "read sealed": lambda k: read_sealed(READ, k.file),
    "authenticate": lambda k: authenticate(k.proof, AttemptGuard()),
    "balance": lambda _: purse.balance(),
    "load": lambda k: purse.load(ORDER, k.load, k.tac, Which.PASSBOOK),
    "unload": lambda k: purse.unload(ORDER, k.load),
    "overdraft": lambda k: purse.set_overdraft(ORDER, k.load, k.tac),
    "purchase": lambda k: purse.purchase(ORDER, k.card[KeyUsage.PURCHASE_SOFT], 1, Kind.CASH),
    "settle": lambda _: purse.settle(Kind.PURSE_LOAD, 1),
    "purse log": lambda _: purse.read_purse_log(limit=1_000),
    "verify PIN": lambda k: pin.verify_pin(k.pin, AttemptGuard()),
    "change PIN": lambda k: pin.change_pin(k.pin, b"5678", AttemptGuard()),
    "reload PIN": lambda k: pin.reload_pin(k.pin, k.reload, AttemptGuard()),
    "unblock PIN": lambda k: pin.unblock_pin(k.pin, k.unblock, AttemptGuard()),
    "which driver": lambda _: probe_driver(),
    "FMCOS record": lambda k: FMCOS.read_record(0x18, 1, k.file),
    "ISO binary": lambda _: ISO7816.read_binary(1, 0, 200),
    "ISO proof": lambda k: ISO7816.authenticate(k.proof, AttemptGuard()),
}


@pytest.fixture(scope="module")
def keys(store: FileKeyStore) -> Keys:
    """The keys of the card the operations believe to meet."""
    return Keys(store)


class Counted:
    """Counts commands, so that no answer can make an operation endless."""

    def __init__(self, answer: Callable[[CommandApdu], tuple[bytes, int]]) -> None:
        self._answer = answer
        self.commands = 0

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Answer a command."""
        self.commands += 1
        return self._answer(CommandApdu.from_bytes(apdu))


def ends_well(begin: Begin, keys: Keys | None, card: Counted) -> None:
    """Run an operation: it returns, or raises an error of the documented tree."""
    raised: CardError | None = None
    try:
        run(begin(keys), card)
    except CardError as error:
        raised = error

    assert raised is None or (raised.meaning.zh and raised.meaning.en and str(raised))
    assert card.commands <= COMMANDS_MAX


ANSWERS = st.tuples(
    st.binary(max_size=256),
    st.one_of(
        st.just(0x9000),
        st.sampled_from([0x6281, 0x63C1, 0x6983, 0x6A82, 0x6A83, 0x6A88, 0x9302, 0x9406]),
        st.integers(0, 0xFFFF),
    ),
)


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=25, deadline=None)
@given(answers=st.lists(ANSWERS, min_size=1, max_size=12))
def test_random_answers_end_in_a_value_or_a_typed_error(
    name: str, keys: Keys, answers: list[tuple[bytes, int]]
) -> None:
    """No bytes and no status word let another exception out."""
    queue = iter(answers)

    ends_well(OPERATIONS[name], keys, Counted(lambda _: next(queue, answers[-1])))


def due_bytes(command: CommandApdu) -> int:
    """Return how much a card that keeps the form would send."""
    if command.le is None:
        return 36 if command.cla & SECURE_MESSAGING else 8
    return 64 if command.le == LE_ALL else command.le


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_answers_of_the_right_form_end_well_too(name: str, keys: Keys, seed: int) -> None:
    """A card that keeps every length and says 9000 to all gets deep and still breaks nothing."""
    noise = random.Random(seed)

    ends_well(
        OPERATIONS[name],
        keys,
        Counted(lambda command: (noise.randbytes(due_bytes(command)), 0x9000)),
    )


@pytest.mark.parametrize("name", [name for name in OPERATIONS if "issue" not in name])
@settings(max_examples=15, deadline=None)
@given(at=st.integers(0, 40), data=st.binary(max_size=256), sw=st.integers(0, 0xFFFF))
def test_one_wrong_answer_of_a_real_card_ends_well(
    name: str, keys: Keys, issued: VirtualCard, at: int, data: bytes, sw: int
) -> None:
    """A good card whose one answer is replaced by anything at all is met with a typed error."""
    issued.reset()
    connection = in_process(issued)
    count = 0

    def answer(command: CommandApdu) -> tuple[bytes, int]:
        nonlocal count
        count += 1
        right = connection.transmit(command.to_bytes())
        return (data, sw) if count - 1 == at else right

    ends_well(OPERATIONS[name], keys, Counted(answer))


@pytest.fixture(scope="module")
def issued(store: FileKeyStore) -> VirtualCard:
    """An issued card; some operations change it, which the next ones must bear."""
    return issued_card(store)


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=64),
    st.sampled_from([b"", ISSUER_ID]),
)
def test_any_content_of_the_tap_file_is_read_or_named(content: bytes, issuer: bytes) -> None:
    """File control information of the right form with any content ends in a value or an error."""
    inside = issuer + content
    data = b"\x9f\x0c" + bytes([len(inside)]) + inside
    name = b"\x84\x06" + VOLUNTEER.name + b"\xa5" + bytes([len(data)]) + data
    fci = b"\x6f" + bytes([len(name)]) + name

    ends_well(lambda _: select(), None, Counted(lambda _: (fci, 0x9000)))
