# SPDX-License-Identifier: Apache-2.0
"""A review says what a plan would do to the card that lies there, and does not touch it."""

from __future__ import annotations

import copy
import datetime as dt
import json

import pytest

from card.attempts import AttemptGuard
from card.card_keys import CardKeys
from card.errors import CardRemoved
from card.operation import run
from card.personalise import personalise, plan
from card.review import FileState, review, review_blank
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.tear import Tear
from keys.store import FileKeyStore
from tests.contracts.connection_cards import ASN, UID, card_data, in_process, issued_card

WRITING = {0xE0, 0xD4, 0xD6, 0xDC, 0xE2, 0x82}


@pytest.fixture(scope="module")
def keys(store: FileKeyStore) -> CardKeys:
    """The keys of the test card."""
    return CardKeys.from_store(store, ASN, 1)


def test_a_blank_card_gets_everything(keys: CardKeys) -> None:
    """On a blank card every file is missing, and the writes are those the run makes."""
    job = plan(card_data(), keys)
    card = VirtualCard(uid=UID)
    found = run(review(job), in_process(card))

    assert found == review_blank(job)
    assert {row.state for row in found.files} == {FileState.MISSING}
    assert found.writes_max == run(personalise(card_data(), keys), in_process(card)).writes


def test_a_card_in_use_gets_nothing(store: FileKeyStore, keys: CardKeys) -> None:
    """On an issued card nothing would be written, and fields that differ are named."""
    card = issued_card(store)
    same = run(review(plan(card_data(), keys)), in_process(card))
    job = plan(card_data(valid_to=dt.date(2040, 1, 1), masked_name="李*"), keys)
    other = run(review(job), in_process(card))

    assert (same.writes_max, other.writes_max) == (0, 0)
    assert same.files[0].state is FileState.EQUAL
    assert other.files[0].state is FileState.DIFFERS
    assert other.files[0].fields == ("valid_to", "masked_name")


def test_with_the_desk_key_protected_files_are_compared(
    store: FileKeyStore, keys: CardKeys
) -> None:
    """Every file is equal or differs, with the names of fields and no value; nothing is written."""
    card = issued_card(store)
    before = copy.deepcopy(card.memory.image)
    same = run(review(plan(card_data(), keys), AttemptGuard()), in_process(card))
    job = plan(card_data(name="李四", level=2, document_tail="12345X"), keys)
    other = run(review(job, AttemptGuard()), in_process(card))

    assert {row.fid for row in same.files if row.state is FileState.EQUAL} >= {
        0x15, 0x16, 0x17, 0x1A, 0x1B,
    }  # fmt: skip
    differing = {row.fid: row.fields for row in other.files if row.state is FileState.DIFFERS}
    assert differing == {0x16: ("name", "document_tail"), 0x17: ("level",)}
    assert before == card.memory.image


def test_another_cards_key_is_not_tried(store: FileKeyStore, keys: CardKeys) -> None:
    """A card with another serial is looked at without any key."""
    other = bytes.fromhex("00000000000000000025")
    job = plan(card_data(other), CardKeys.from_store(store, other, 1))
    sent: list[int] = []

    found = run(
        review(job, AttemptGuard()),
        in_process(issued_card(store)),
        lambda command, _: sent.append(command.ins),
    )

    assert 0x82 not in sent
    assert found.files[0].fields == ("asn",)


@pytest.mark.parametrize("cut", [3, 20, 45, 60, 80, 95])
def test_a_begun_card_gets_the_rest(keys: CardKeys, cut: int) -> None:
    """The number of writes is never less than what the next run makes, and nothing is touched."""
    card = VirtualCard(uid=UID)
    card.tear(Tear(cut))
    with pytest.raises(CardRemoved):
        run(personalise(card_data(), keys), in_process(card))
    card.power_on()
    before = copy.deepcopy(card.memory.image)
    sent: list[int] = []

    found = run(
        review(plan(card_data(), keys)),
        in_process(card),
        lambda command, _: sent.append(command.ins),
    )

    assert before == card.memory.image
    assert not WRITING & set(sent)
    card.reset()
    assert run(personalise(card_data(), keys), in_process(card)).writes <= found.writes_max


def test_a_dry_run_is_never_taken_for_success(store: FileKeyStore, keys: CardKeys) -> None:
    """It says so in a field, and neither text nor JSON says that a card was issued."""
    for card in (VirtualCard(uid=UID), issued_card(store)):
        found = run(review(plan(card_data(), keys)), in_process(card))
        text = json.dumps(found.document(), ensure_ascii=False) + "\n".join(found.lines())

        assert found.document()["dry_run"] is True
        assert "issued" not in text
        assert "已发卡" not in text
        assert "王" not in text
