# SPDX-License-Identifier: Apache-2.0
"""What the rule book promises of the chip: nothing is read without keys, and room is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from card.attempts import AttemptGuard
from card.card_keys import CardKeys
from card.commands import read_binary, select_name
from card.desk import read_desk_view
from card.errors import AuthenticationFailed
from card.files import VOLUNTEER
from card.operation import exchange, run
from card.personalise import personalise
from card.profile import Profile, ProfileTooBig
from card.volunteer import DeskKeys
from hardware_mocks.cardos.cos import VirtualCard
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import ASN, card_data, in_process, make_store

NOT_SATISFIED = 0x6982  # security status not satisfied


def desk_keys(keys: CardKeys) -> DeskKeys:
    """Return what a desk reads with."""
    return DeskKeys(keys[KeyUsage.DESK_READ], keys[KeyUsage.MAINTENANCE], ASN.hex())


def test_s30_protected_files_need_the_card_s_own_keys(store: FileKeyStore, tmp_path: Path) -> None:
    """Without keys the card refuses; with other keys too, and it counts the try; then it reads."""
    right = CardKeys.from_store(store, ASN, 1)
    other = CardKeys.from_store(make_store(tmp_path), ASN, 1)
    chip = VirtualCard()
    run(personalise(card_data(), right, Profile()), in_process(chip))
    chip.reset()
    card = in_process(chip)
    run(exchange(select_name(VOLUNTEER.name)), card)
    for sfi in (0x16, 0x17):
        assert card.transmit(read_binary(sfi, 0, 16).to_bytes()) == (b"", NOT_SATISFIED)
    with pytest.raises(AuthenticationFailed) as refused:
        run(read_desk_view(desk_keys(other), AttemptGuard()), card)
    assert refused.value.attempts_left == 2

    view = run(read_desk_view(desk_keys(right), AttemptGuard()), card)
    assert view.holder.volunteer_number == card_data().volunteer_number


def test_s36_twelve_kilobytes_stay_free_for_later_applications() -> None:
    """The standard chip keeps 12 288 bytes; a profile that would not is refused."""
    assert Profile().free_bytes >= 12_288
    taken = Profile().chip_bytes - Profile().free_bytes
    assert Profile("just", chip_bytes=taken + 12_288).free_bytes == 12_288
    with pytest.raises(ProfileTooBig):
        Profile("small", chip_bytes=taken + 12_287)
