# SPDX-License-Identifier: Apache-2.0
"""Cards of application version 1 in the field: tapped and read as before."""

from __future__ import annotations

import datetime as dt

import pytest

from card.attempts import AttemptGuard
from card.card_keys import CardKeys
from card.dump import read_dump
from card.errors import CapabilityMissing
from card.files import VOLUNTEER_1
from card.layouts import SERVICE_DATA
from card.operation import Connection, run
from card.personalise import personalise
from card.profile import Profile
from card.psam import PsamCard
from card.tap import TapRequest
from card.updates import read_contents
from card.volunteer import DeskKeys, VolunteerCard
from hardware_mocks.cardos.cos import VirtualCard
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import ASN, card_data, in_process, issued_psam

FIRST = Profile("version 1", application=VOLUNTEER_1)
NINE = 1_795_222_800


@pytest.fixture
def card(store: FileKeyStore) -> Connection:
    """A card as version 1 issued it."""
    chip = VirtualCard()
    keys = CardKeys.from_store(store, ASN, 1)
    run(personalise(card_data(guardian_mobile="13800000000"), keys, FIRST), in_process(chip))
    chip.reset()
    return in_process(chip)


def test_a_card_of_version_1_is_tapped(card: Connection, store: FileKeyStore) -> None:
    """Its tap and its identity are those of any card."""
    psam = PsamCard(in_process(issued_psam(store)))
    volunteer = VolunteerCard(card)

    answer = volunteer.clock_in(TapRequest(psam, NINE, 32, 101, bytes(8)))

    assert answer.init.card_ctr == 0
    assert volunteer.validity(dt.date(2026, 11, 21)).value == "valid"
    assert volunteer.identity().masked_name == "王**"


@pytest.fixture
def desk(store: FileKeyStore) -> DeskKeys:
    """The desk keys of the card."""
    return DeskKeys(
        store.card_key(KeyUsage.DESK_READ, 1, ASN[2:]),
        store.card_key(KeyUsage.MAINTENANCE, 1, ASN[2:]),
        ASN.hex(),
    )


def test_a_card_of_version_1_takes_no_updates(card: Connection, desk: DeskKeys) -> None:
    """It has nowhere to note a script, and is refused by name before anything is tried."""
    with pytest.raises(CapabilityMissing, match="001A"):
        run(read_contents(desk, AttemptGuard()), card)


def test_a_card_of_version_1_is_read_by_a_desk(card: Connection, desk: DeskKeys) -> None:
    """Its files are read without MACs as it wants them, and later ones are not asked for."""
    found = run(read_dump(desk, AttemptGuard()), card)

    assert found.application_version == 1
    assert set(found.contents) == {0x15, 0x16, 0x17, 0x19}
    assert SERVICE_DATA.parse(found.contents[0x17]).guardian_mobile == "13800000000"
