# SPDX-License-Identifier: Apache-2.0
"""Issuing a PSAM: cut anywhere and finished, under the guard's eyes, with 3DES and SM4 keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from card.attempts import AttemptGuard
from card.errors import CardRemoved, GuardRefused, IssuedOtherwise, LayoutError, MacRejected
from card.operation import run
from card.psam import PsamCard
from card.psam_issuing import PsamData, PsamKeys, personalise_psam
from hardware_mocks.cardos.psam import VirtualPsam
from hardware_mocks.cardos.tear import Moment, Tear
from keys.algorithm import Algorithm
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import CHEAP, PASSPHRASE, PSAM_NO, PSAM_SERIAL, in_process

DATA = PsamData(PSAM_SERIAL, PSAM_NO)


def _store(folder: Path, algorithm: Algorithm) -> FileKeyStore:
    store = FileKeyStore.create(folder / "keys", PASSPHRASE, CHEAP)
    for usage in (KeyUsage.PURCHASE_PSAM, KeyUsage.PSAM_CONTROL):
        store.generate(usage, 1, algorithm)
    return store


@pytest.fixture(params=[Algorithm.TDES, Algorithm.SM4], ids=lambda algorithm: algorithm.value)
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> PsamKeys:
    """A PSAM's keys of each algorithm."""
    return PsamKeys.from_store(_store(tmp_path, request.param), PSAM_SERIAL, 1)


@pytest.mark.parametrize("moment", list(Moment))
def test_a_cut_anywhere_is_finished_by_another_run(keys: PsamKeys, moment: Moment) -> None:
    """Cut at every command in turn: the next run makes the PSAM ready, or finds that it is."""
    cuts = 0
    while True:
        psam = VirtualPsam()
        psam.tear(Tear(cuts, moment=moment))
        try:
            run(personalise_psam(DATA, keys), in_process(psam))
        except CardRemoved:
            psam.power_on()
            run(personalise_psam(DATA, keys), in_process(psam))
        else:
            break
        psam.reset()
        assert PsamCard(in_process(psam)).number == PSAM_NO
        assert run(personalise_psam(DATA, keys), in_process(psam)).writes == 0
        cuts += 1
    assert cuts == 10


def test_an_issued_psam_keeps_its_identity(keys: PsamKeys) -> None:
    """Another number for an issued PSAM is refused, and no key is tried on it."""
    psam = VirtualPsam()
    run(personalise_psam(DATA, keys), in_process(psam))
    psam.reset()
    other = PsamData(PSAM_SERIAL, bytes.fromhex("001122334466"))

    with pytest.raises(IssuedOtherwise):
        run(personalise_psam(other, keys), in_process(psam))


def test_a_wrong_transport_key_is_not_tried_to_the_end(keys: PsamKeys) -> None:
    """Two wrong MACs, and the guard keeps the last attempt for two people."""
    psam, guard = VirtualPsam(), AttemptGuard()
    wrong = PsamKeys(keys.purchase, keys.control, transport=keys.control)

    for _ in range(2):
        with pytest.raises(MacRejected):
            run(personalise_psam(DATA, wrong, guard), in_process(psam))
        psam.reset()
    with pytest.raises(GuardRefused):
        run(personalise_psam(DATA, wrong, guard), in_process(psam))


@pytest.mark.parametrize(("serial", "number"), [(bytes(9), PSAM_NO), (PSAM_SERIAL, bytes(6))])
def test_no_identity_is_no_psam(serial: bytes, number: bytes) -> None:
    """A serial of another length, or number 0, fails before any card is touched."""
    with pytest.raises(LayoutError):
        PsamData(serial, number)
