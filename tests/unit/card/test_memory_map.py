# SPDX-License-Identifier: Apache-2.0
"""The memory map: every byte accounted for, and too small a chip refused."""

from __future__ import annotations

import dataclasses

import pytest

from card.files import FREE_BYTES_MIN, VOLUNTEER
from card.memory_map import CHIPS, PROFILES, ChipClass, chip_map, memory_map
from card.operation import run
from card.personalise import personalise
from card.profile import REDUCED, STANDARD, ProfileTooBig
from hardware_mocks.cardos.cos import VirtualCard
from keys.store import FileKeyStore
from tests.contracts.connection_cards import ASN, card_data, in_process


def test_the_default_chip_keeps_twelve_kilobytes_free() -> None:
    """On 32 KB the application leaves what was promised for later ones."""
    found = memory_map(STANDARD)

    assert found.free >= FREE_BYTES_MIN == 12_288
    assert found.used + found.free == 32_768
    found.require()


def test_every_file_has_its_row() -> None:
    """No file is forgotten, and the rows are in order of creation."""
    places = [row.place for row in memory_map().rows]

    assert [f"3F01/{spec.fid:04X}" for spec in VOLUNTEER.files] == places[3:-1]
    assert places[0] == "3F00/0000"


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_each_chip_class_is_judged_as_its_profile_says(chip: ChipClass) -> None:
    """A class without a profile is refused; one with a profile fits it."""
    assert chip.source
    assert chip.label.zh
    if chip.profile is None:
        assert not chip_map(chip).fits
    else:
        assert chip_map(chip, PROFILES[chip.profile]).fits


def test_a_small_chip_is_refused_unless_its_profile_is_named() -> None:
    """An FM1208 of 8 KB goes only as the profile `reduced`."""
    small = next(chip for chip in CHIPS if chip.name == "fm1208")

    with pytest.raises(ProfileTooBig):
        chip_map(small).require()
    chip_map(small, REDUCED).require()


def test_a_chip_that_cannot_hold_it_at_all_is_refused() -> None:
    """With 4 KB not even the profile `reduced` fits."""
    tiny = ChipClass("tiny", 4_096, None, CHIPS[0].label, "-")

    with pytest.raises(ProfileTooBig):
        chip_map(tiny, REDUCED).require()
    assert chip_map(tiny).document()["fits"] is False


def test_the_virtual_card_counts_the_same(store: FileKeyStore) -> None:
    """What the declarations add up to is what the card's own accounting says."""
    from card.card_keys import CardKeys  # noqa: PLC0415

    card = VirtualCard()
    run(personalise(card_data(), CardKeys.from_store(store, ASN, 1)), in_process(card))
    root = card.memory.image.mf
    assert root is not None
    files = root.children[VOLUNTEER.fid].files
    declared = {spec.fid: spec.eeprom_bytes for spec in (VOLUNTEER.key_file, *VOLUNTEER.files)}

    assert {fid: ef.footprint for fid, ef in files.items()} == declared


def test_lines_and_document_say_the_same() -> None:
    """People and machines get the same figures."""
    found = memory_map()
    document, text = found.document(), "\n".join(found.lines())

    assert document["free_bytes"] == found.free
    assert str(found.free) in text
    assert dataclasses.asdict(found)["chip_bytes"] == 32_768
