# SPDX-License-Identifier: Apache-2.0
"""Dump, diff and apply on random virtual cards: applying a card's dump gives that card again."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from card.apply import TRAINING_FID, apply, desk_keys, plan_apply
from card.attempts import AttemptGuard
from card.card_keys import CardKeys
from card.diff import diff
from card.dump import CardDump, read_dump
from card.errors import BlankCard, CardRemoved, DumpRefused, WrongCard
from card.files import VOLUNTEER
from card.layouts import PUBLIC_DATA, SERVICE_DATA, TRAINING, TrainingRecord
from card.operation import run
from card.profile import CardData
from card.psam import PsamCard
from card.tap import TapRequest
from card.volunteer import VolunteerCard
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.tear import Moment, Tear
from hardware_mocks.cards import named
from hardware_mocks.cards.keyring import keyring
from keys.store import FileKeyStore
from tests.contracts.connection_cards import (
    ASN,
    card_data,
    in_process,
    issue,
    issued_card,
    issued_psam,
)
from tests.unit.card.virtual_reader import VirtualConnection

EXAMPLES = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NAMES = st.text(st.sampled_from("王李小明阿布a·"), max_size=8)
DAYS = st.dates(dt.date(2000, 1, 1), dt.date(2099, 12, 31))
JPEG = st.binary(max_size=300).map(lambda body: b"\xff\xd8\xff" + body + b"\xff\xd9")


@st.composite
def holders(draw: st.DrawFn) -> CardData:
    """Anybody's data on the same card."""
    first, last = sorted((draw(DAYS), draw(DAYS)))
    return card_data(
        valid_from=first,
        valid_to=last,
        birth_date=draw(st.none() | DAYS),
        minor_rules=draw(st.booleans()),
        masked_name=draw(NAMES),
        name=draw(NAMES),
        document_tail=draw(st.from_regex(r"[0-9]{5}[0-9X]", fullmatch=True) | st.just("")),
        organisation=draw(st.binary(min_size=8, max_size=8)),
        guardian_mobile=draw(st.from_regex(r"1[0-9]{10}", fullmatch=True) | st.just("")),
        photo=draw(st.just(b"") | JPEG),
        level=draw(st.integers(0, 5)),
        total_minutes=draw(st.integers(0, (1 << 32) - 1)),
    )


@st.composite
def trainings(draw: st.DrawFn) -> tuple[bytes, ...]:
    """Some training records, newest first."""
    count = draw(st.integers(0, 4))
    return tuple(
        TRAINING.build(TrainingRecord(draw(DAYS), number, 60, 1, bytes(8), number))
        for number in range(count, 0, -1)
    )


def _keys(store: FileKeyStore) -> CardKeys:
    return CardKeys.from_store(store, ASN, 1)


def _read(store: FileKeyStore, chip: VirtualCard) -> CardDump:
    return run(read_dump(desk_keys(ASN, _keys(store)), AttemptGuard()), VirtualConnection(chip))


def _card(store: FileKeyStore, data: CardData) -> VirtualCard:
    chip = VirtualCard()
    issue(store, chip, data)
    return chip


def _with(dump: CardDump, fid: int, **changes: Any) -> CardDump:
    layout = VOLUNTEER.file(fid).layout
    assert layout is not None
    record = replace(layout.parse(dump.contents[fid]), **changes)
    return replace(dump, contents={**dump.contents, fid: layout.build(record)})


@EXAMPLES
@given(holders(), holders(), trainings())
def test_applying_a_dump_makes_the_card_equal_to_it(
    store: FileKeyStore, was: CardData, shall: CardData, training: tuple[bytes, ...]
) -> None:
    """Any issued card becomes the dumped one; the second run makes 0 writes."""
    target = _read(store, _card(store, shall))
    target = replace(target, records={**target.records, TRAINING_FID: training})
    chip = _card(store, was)

    first = run(apply(target, _keys(store)), VirtualConnection(chip))
    second = run(apply(target, _keys(store)), VirtualConnection(chip))

    assert _read(store, chip) == target
    assert not first.left
    assert second.writes == 0


@EXAMPLES
@given(holders(), trainings())
def test_applying_a_dump_to_a_blank_card_makes_the_card(
    store: FileKeyStore, data: CardData, training: tuple[bytes, ...]
) -> None:
    """A blank card is issued from the dump's own data and ends equal to it."""
    target = _read(store, _card(store, data))
    target = replace(target, records={**target.records, TRAINING_FID: training})
    target = _with(target, 0x0017, total_taps=42, training_minutes=7)
    blank = VirtualCard()

    done = run(apply(target, _keys(store)), VirtualConnection(blank))

    assert done.issued
    assert _read(store, blank) == target


def test_what_only_taps_write_is_left_and_named(store: FileKeyStore) -> None:
    """A log and a composite record cannot be put onto another card; the rest is."""
    tapped = issued_card(store)
    connection = in_process(tapped)
    psam = PsamCard(in_process(issued_psam(store)))
    VolunteerCard(connection).clock_in(TapRequest(psam, 1_795_222_800, 32, 101, bytes(8)))
    target = _read(store, tapped)
    blank = VirtualCard()

    done = run(apply(target, _keys(store)), VirtualConnection(blank))
    again = run(apply(target, _keys(store)), VirtualConnection(blank))

    assert {item.fid for item in done.left} == {0x0018, 0x0019}
    assert again.writes == 0
    assert run(apply(target, _keys(store)), VirtualConnection(tapped)).left == ()


def test_an_apply_that_was_cut_is_finished_by_the_next(store: FileKeyStore) -> None:
    """Whatever write the card left at, the next run ends with the dump's card."""
    shall = card_data(valid_to=dt.date(2040, 1, 1), name="李四", photo=b"\xff\xd8\xff" + b"p" * 900)
    shall = replace(shall, photo=shall.photo + b"\xff\xd9", level=3)
    target = _read(store, _card(store, shall))
    positions = 0
    for write, moment in itertools.product(range(40), (Moment.BEFORE_WRITE, Moment.RENAMED)):
        chip = _card(store, card_data())
        chip.tear(Tear(write=write, moment=moment))
        try:
            run(apply(target, _keys(store)), VirtualConnection(chip))
        except CardRemoved:
            positions += 1
        else:
            break
        run(apply(target, _keys(store)), VirtualConnection(chip))
        assert _read(store, chip) == target

    assert positions >= 14


def test_dumps_that_must_not_be_written_are_refused(store: FileKeyStore) -> None:
    """Another card, public files only, other keys or another file map: nothing is written."""
    target = _read(store, issued_card(store))
    public = run(read_dump(), VirtualConnection(issued_card(store)))
    other = bytes.fromhex("00000000000000000025")
    moved = replace(_with(target, 0x0015, asn=other), asn=other)
    chip = issued_card(store)

    with pytest.raises(WrongCard):
        run(apply(moved, CardKeys.from_store(store, other, 1)), VirtualConnection(chip))
    for bad in (
        public,
        replace(target, asn=other),
        _with(target, 0x0015, key_version=9),
        _with(target, 0x0015, application_version=1),
        _with(target, 0x0015, issuer=bytes(8)),
        replace(target, contents={}),
    ):
        with pytest.raises((DumpRefused, WrongCard)):
            run(apply(bad, _keys(store)), VirtualConnection(chip))
    assert _read(store, chip) == target


def test_a_plan_shows_fields_and_masks_contents(store: FileKeyStore) -> None:
    """The plan names what changes; the commands it shows hold nobody's data."""
    card = _read(store, issued_card(store))
    target = _with(card, 0x0016, name="欧阳小明")
    job = plan_apply(card, target)

    assert [item.field.en for item in job.changes] == ["name, GB18030, zero padded"]
    assert [label.en for label, _ in job.show()] == ["holder"]
    assert "‹128 bytes› ‹MAC›" in job.show()[0][1]
    assert "欧阳小明" not in repr(job)
    assert plan_apply(card, card).empty


def test_a_difference_is_named_by_field(store: FileKeyStore) -> None:
    """One changed field is one difference, with both values; equal dumps have none."""
    dump = _read(store, issued_card(store))
    layout = SERVICE_DATA.parse(dump.contents[0x0017])
    later = _with(dump, 0x0017, level=layout.level + 1)

    assert diff(dump, dump) == []
    assert [(item.fid, item.before, item.after) for item in diff(dump, later)] == [
        (0x0017, "0", "1")
    ]
    assert diff(replace(dump, protected=False, contents={}, records={}), later) == []


def test_bytes_that_no_field_names_still_differ(store: FileKeyStore) -> None:
    """Reserved bytes, broken fields, missing files and balances are differences too."""
    dump = _read(store, issued_card(store))
    size = PUBLIC_DATA.size
    broken = replace(dump, contents={**dump.contents, 0x0015: b"\xff" * size})
    tail = replace(dump, contents={**dump.contents, 0x0017: dump.contents[0x0017][:-1] + b"\x01"})
    absent = replace(dump, contents={k: v for k, v in dump.contents.items() if k != 0x001B})

    for other in (broken, tail, absent, replace(dump, balance=5)):
        assert len(diff(dump, other)) == 1


def test_a_blank_card_has_nothing_to_dump() -> None:
    """There is a named error, not an empty dump."""
    with pytest.raises(BlankCard):
        run(read_dump(), VirtualConnection(VirtualCard()))


def test_a_card_with_sm4_keys_is_dumped_and_made_again() -> None:
    """The algorithm comes with the keys; the copy is issued under it and equal."""
    store, data = keyring(), named.data_of("sm4")
    keys = CardKeys.from_store(store, data.asn, data.key_version)
    desk = desk_keys(data.asn, keys)
    target = run(read_dump(desk), VirtualConnection(named.card("sm4")))
    blank = VirtualCard()

    done = run(apply(target, keys), VirtualConnection(blank))

    assert done.issued
    assert run(read_dump(desk), VirtualConnection(blank)) == target
