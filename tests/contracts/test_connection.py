# SPDX-License-Identifier: Apache-2.0
"""Connections in process, over a serial line and from a cassette keep one contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware_mocks.serial_reader import GEMCORE_POS_PRO, GEMPC_TWIN
from keys.store import FileKeyStore
from tests.contracts.connection import SUITE, Check
from tests.contracts.connection_cards import make_store
from tests.contracts.connection_rigs import (
    CassetteRig,
    InProcessRig,
    RecordingRig,
    SerialRig,
    serial_mock,
)

SERIAL = {
    "T=0": (GEMPC_TWIN, "gempc-twin"),
    "T=1": (GEMPC_TWIN, "gempc-twin"),
    "T=1 in small blocks with CRC": (GEMCORE_POS_PRO, "gemcore-pos-pro"),
}
every_check = pytest.mark.parametrize("check", SUITE, ids=lambda check: check.__name__)
both_transports = pytest.mark.parametrize("contactless", [False, True], ids=["T=0", "contactless"])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """A key store with one key of each usage."""
    return make_store(tmp_path_factory.mktemp("keys"))


@both_transports
@every_check
def test_connection_in_process(store: FileKeyStore, check: Check, contactless: bool) -> None:
    """A virtual card in the same process behaves as a connection must."""
    check(InProcessRig(store, contactless=contactless))


@pytest.mark.parametrize("card", SERIAL)
@every_check
def test_connection_over_a_serial_line(
    store: FileKeyStore, tmp_path: Path, check: Check, card: str
) -> None:
    """A card in a serial CCID reader keeps the same contract, over T=0 and T=1."""
    kind, model = SERIAL[card]
    with serial_mock(tmp_path, kind) as mock:
        rig = SerialRig(store, mock, model, card)
        try:
            check(rig)
        finally:
            rig.close()


@both_transports
@every_check
def test_connection_from_a_cassette(store: FileKeyStore, check: Check, contactless: bool) -> None:
    """What was recorded keeps the contract when it is played, and is played to its end."""
    recording = RecordingRig(InProcessRig(store, contactless=contactless))
    check(recording)
    rig = CassetteRig(store, recording.tapes())

    check(rig)
    rig.finish()
