# SPDX-License-Identifier: Apache-2.0
"""What a desk sees of a card, and the training records it appends."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from card.attempts import AttemptGuard
from card.card_keys import CardKeys
from card.desk import append_training, desk_view, read_desk_view
from card.dump import read_dump
from card.errors import CapabilityMissing, LayoutError, MacRejected
from card.files import VOLUNTEER_1
from card.layouts import TRAINING, Function, Membership, TrainingRecord
from card.operation import Connection, run
from card.personalise import personalise
from card.photo import derive
from card.profile import Profile
from card.secure_messaging import Proof
from card.volunteer import DeskKeys
from hardware_mocks.cardos.cos import VirtualCard
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import ASN, card_data, in_process
from tests.unit.card.test_photo import portrait

RECORD: TrainingRecord = TRAINING.vectors[0][1]
PHOTO = derive(portrait())


class Issued:
    """A card with everything on it, and its keys."""

    def __init__(self, store: FileKeyStore, profile: Profile | None = None) -> None:
        self.keys = CardKeys.from_store(store, ASN, 1)
        self.guard = AttemptGuard()
        chip = VirtualCard()
        data = card_data(
            photo=PHOTO,
            document_tail="12345X",
            member_flags=Membership.LEAGUE,
            functions=Function.TRANSIT | Function.HEALTH,
            level=3,
            total_minutes=6000,
            guardian_mobile="13800000000",
            guardian_number="1000000012",
            birth_date=dt.date(2014, 5, 6),
            minor_rules=True,
        )
        run(personalise(data, self.keys, profile or Profile()), in_process(chip))
        chip.reset()
        self.card: Connection = in_process(chip)
        self.desk = DeskKeys(
            self.keys[KeyUsage.DESK_READ], self.keys[KeyUsage.MAINTENANCE], ASN.hex()
        )

    def train(self, record: TrainingRecord, maintenance: KeyUsage = KeyUsage.MAINTENANCE) -> None:
        """Append a training record."""
        control = Proof(0x00, self.keys[KeyUsage.CONTROL], "control")
        key = self.keys[maintenance]
        run(append_training(record, control, key, self.guard), self.card)


@pytest.fixture
def issued(store: FileKeyStore) -> Issued:
    """A fresh card."""
    return Issued(store)


def test_a_desk_sees_everything_the_chip_must_hold(issued: Issued) -> None:
    """Identity, photo, membership, functions, level, totals and guardian read back as issued."""
    view = run(read_desk_view(issued.desk, issued.guard), issued.card)

    assert (view.holder.name, view.holder.document_tail) == ("王小明", "12345X")
    assert view.holder.volunteer_number == "1000000004"
    assert view.photo == PHOTO
    assert view.service.member_flags == Membership.LEAGUE
    assert Function(view.service.functions) == Function.TRANSIT | Function.HEALTH
    assert (view.service.level, view.service.total_minutes) == (3, 6000)
    assert view.service.guardian_number == "1000000012"
    assert view.public.birth_date == dt.date(2014, 5, 6)
    assert view.update is not None
    assert (view.update.update_seq, view.log, view.training) == (0, (), ())


def test_a_view_does_not_show_people(issued: Issued) -> None:
    """Its representation has neither name nor photo nor number."""
    shown = repr(run(read_desk_view(issued.desk, issued.guard), issued.card))

    assert not any(word in shown for word in ("王小明", "12345X", "1380000", "\\xff\\xd8"))


def test_training_records_are_kept_newest_first_and_the_oldest_forgotten(issued: Issued) -> None:
    """Twelve records leave the last ten."""
    for number in range(12):
        issued.train(dataclasses.replace(RECORD, number=number))

    view = run(read_desk_view(issued.desk, issued.guard), issued.card)

    assert [record.number for record in view.training] == list(range(11, 1, -1))


def test_a_training_record_under_another_key_is_refused(issued: Issued) -> None:
    """The card computes another MAC and writes nothing."""
    with pytest.raises(MacRejected):
        issued.train(RECORD, KeyUsage.CONTROL)

    assert run(read_desk_view(issued.desk, issued.guard), issued.card).training == ()


def test_a_card_of_version_1_has_nowhere_for_training(store: FileKeyStore) -> None:
    """It is refused by name before anything is tried, and read without the later files."""
    old = Issued(store, Profile("version 1", application=VOLUNTEER_1))

    with pytest.raises(CapabilityMissing, match="001C"):
        old.train(RECORD)
    view = run(read_desk_view(old.desk, old.guard), old.card)

    assert (view.photo, view.update, view.training) == (None, None, ())
    assert view.holder.name == "王小明"


def test_what_is_missing_is_named(issued: Issued) -> None:
    """A dump read without keys is no desk's view."""
    public = run(read_dump(), issued.card)

    with pytest.raises(LayoutError, match="0016"):
        desk_view(public)
