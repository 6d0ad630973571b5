# SPDX-License-Identifier: Apache-2.0
"""The PSAM driver and its personalisation on the virtual PSAM."""

from __future__ import annotations

import pytest

from card.errors import CardRemoved, ForeignCard, IssuedOtherwise, LayoutError, StatusError
from card.operation import run
from card.psam import PsamCard, request_data
from card.psam_issuing import PsamData, PsamKeys, personalise_psam
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.psam import VirtualPsam
from hardware_mocks.cardos.tear import Moment, Tear
from keys.psam import (
    Mac2Rejected,
    NoTransaction,
    Psam,
    PsamBlocked,
    PurchaseRequest,
    UnknownKey,
)
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import (
    PSAM_NO,
    PSAM_SERIAL,
    Script,
    in_process,
    issued_psam,
)

FACTOR = bytes.fromhex("1122334455667788")
REQUEST = PurchaseRequest(
    rand=bytes.fromhex("584633C9"),
    card_ctr=7,
    amount=0,
    kind=9,
    date=bytes.fromhex("20261121"),
    time=bytes.fromhex("090000"),
    key_version=1,
    algorithm=0,
    diversifier=FACTOR,
)
DATA = PsamData(PSAM_SERIAL, PSAM_NO)


def _keys(store: FileKeyStore) -> PsamKeys:
    return PsamKeys.from_store(store, PSAM_SERIAL, 1)


def _mac2(store: FileKeyStore, psam_seq: int) -> bytes:
    key = store.card_key(KeyUsage.PURCHASE_PSAM, 1, FACTOR)
    return key.session(REQUEST.rand, REQUEST.card_ctr, psam_seq).mac2(0)


def test_request_is_28_bytes_in_order() -> None:
    """Random, counter, amount, kind, date, time, version, algorithm, factor."""
    assert request_data(REQUEST).hex().upper() == (
        "584633C9 0007 00000000 09 20261121 090000 01 00 1122334455667788".replace(" ", "")
    )


def test_a_purchase_runs_through(store: FileKeyStore) -> None:
    """The PSAM's MAC1 is the one the card expects, and it accepts the card's MAC2."""
    psam = PsamCard(in_process(issued_psam(store)))
    grant = psam.init_purchase(REQUEST)
    psam.credit_purchase(_mac2(store, grant.psam_seq))

    key = store.card_key(KeyUsage.PURCHASE_PSAM, 1, FACTOR)
    session = key.session(REQUEST.rand, REQUEST.card_ctr, grant.psam_seq)
    mac1 = session.mac1(0, 9, PSAM_NO, REQUEST.date, REQUEST.time)

    assert grant.mac1 == mac1


def test_it_is_a_hardware_psam(store: FileKeyStore) -> None:
    """Number, key index and kind are what the PSAM protocol asks for."""
    psam: Psam = PsamCard(in_process(issued_psam(store)))

    assert (psam.number, psam.key_index, psam.hardware) == (PSAM_NO, 1, True)


def test_refusals_become_psam_errors(store: FileKeyStore) -> None:
    """Unknown version, wrong MAC2, MAC2 without purchase and a blocked PSAM are told apart."""
    psam = PsamCard(in_process(issued_psam(store)))
    with pytest.raises(UnknownKey):
        psam.init_purchase(
            PurchaseRequest(REQUEST.rand, 0, 0, 9, REQUEST.date, REQUEST.time, 5, 0, FACTOR)
        )
    with pytest.raises(NoTransaction):
        psam.credit_purchase(bytes(4))
    for _ in range(10):
        psam.init_purchase(REQUEST)
        with pytest.raises(Mac2Rejected):
            psam.credit_purchase(bytes(4))

    with pytest.raises(PsamBlocked):
        psam.init_purchase(REQUEST)


def test_a_used_up_counter_blocks() -> None:
    """A PSAM at the end of its numbers is blocked, not an unknown error."""
    opening = ["9000", "00" * 14 + "9000", PSAM_NO.hex() + "9000", "9000"]

    with pytest.raises(PsamBlocked):
        PsamCard(Script(*opening, "9402")).init_purchase(REQUEST)
    with pytest.raises(PsamBlocked):
        PsamCard(Script(*opening, "6983")).credit_purchase(bytes(4))
    with pytest.raises(StatusError):
        PsamCard(Script(*opening, "6F00")).credit_purchase(bytes(4))


@pytest.mark.parametrize("chip", [VirtualPsam(), VirtualCard()], ids=["blank PSAM", "blank card"])
def test_what_is_not_an_issued_psam_is_foreign(chip: VirtualPsam | VirtualCard) -> None:
    """A blank PSAM or a card in the slot is refused by name."""
    with pytest.raises(ForeignCard):
        PsamCard(in_process(chip))


def test_issuing_twice_writes_nothing(store: FileKeyStore) -> None:
    """The second run finds the PSAM issued and changes nothing."""
    psam = VirtualPsam()
    first = run(personalise_psam(DATA, _keys(store)), in_process(psam))
    second = run(personalise_psam(DATA, _keys(store)), in_process(psam))

    assert (first.writes, second.writes) == (4, 0)


def test_an_issued_psam_keeps_its_identity(store: FileKeyStore) -> None:
    """Another number or serial on an issued PSAM is refused."""
    psam = issued_psam(store)

    for other in (PsamData(PSAM_SERIAL, bytes(5) + b"\x01"), PsamData(bytes(10), PSAM_NO)):
        with pytest.raises(IssuedOtherwise):
            run(personalise_psam(other, _keys(store)), in_process(psam))


@pytest.mark.parametrize("moment", [Moment.BEFORE_COMMAND, Moment.BEFORE_ANSWER])
def test_issuing_survives_a_cut_anywhere(store: FileKeyStore, moment: Moment) -> None:
    """Cut at any command and run again, the PSAM is the same as one issued in one go."""
    whole = issued_psam(store).memory.image
    for cut in range(40):
        psam = VirtualPsam()
        psam.tear(Tear(cut, moment=moment))
        try:
            run(personalise_psam(DATA, _keys(store)), in_process(psam))
        except CardRemoved:
            psam.power_on()
            run(personalise_psam(DATA, _keys(store)), in_process(psam))
        else:
            break

        assert whole == psam.memory.image
    assert cut == 10


@pytest.mark.parametrize(("serial", "number"), [(9, 6), (10, 5)])
def test_identities_of_wrong_length_are_refused(serial: int, number: int) -> None:
    """Ten bytes of serial, six of number, and no number zero."""
    with pytest.raises(LayoutError):
        PsamData(bytes(serial), b"\x01" * number)
    with pytest.raises(LayoutError):
        PsamData(bytes(10), bytes(6))
