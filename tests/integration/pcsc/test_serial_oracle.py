# SPDX-License-Identifier: Apache-2.0
"""The virtual serial reader under the free CCID driver: its bytes are not only to our own taste."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from card.card_keys import CardKeys
from card.operation import run
from card.personalise import personalise
from card.readers import open_reader
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.pcsc import PcscStack
from hardware_mocks.pcsc.errors import NamespacesNotPermitted, NeedsRoot
from hardware_mocks.serial_reader import GEMPC_TWIN, SerialReaderMock, T0Card, T1Card
from hardware_mocks.serial_reader.sockets import Inserted
from keys.store import FileKeyStore
from tests.contracts.connection_cards import ASN, card_data, issued_card, make_store
from tests.integration.pcsc.clients import Context

pytestmark = pytest.mark.pcsc

ROOT = Path(__file__).parents[3]
TWIN = "Yika Twin"
READER = f"{TWIN} 00 00"
TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """A key store with one key of each usage."""
    return make_store(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[SerialReaderMock]:
    """A GemPC Twin on a pseudo-terminal."""
    with SerialReaderMock(tmp_path / "ttyTwin", GEMPC_TWIN) as mock:
        yield mock


@pytest.fixture
def twin(mock: SerialReaderMock, tmp_path: Path) -> Iterator[PcscStack]:
    """A pcscd whose only reader is that one, through libccidtwin."""
    device = Path(os.path.realpath(mock.path))
    stack = PcscStack((), tmp_path, private=True, serial={TWIN: device})
    try:
        stack.start()
    except (NeedsRoot, NamespacesNotPermitted) as exc:
        pytest.skip(str(exc))
    with stack.adopted():
        yield stack
    stack.stop()


@pytest.mark.parametrize("protocol", ["T=0", "T=1"])
def test_the_free_driver_reads_our_card_through_our_reader(
    twin: PcscStack, mock: SerialReaderMock, store: FileKeyStore, protocol: str
) -> None:
    """Framing, echo, power, parameters, T=0 and T=1 blocks satisfy a driver that is not ours."""
    chip = issued_card(store, contactless=protocol == "T=1")
    card: Inserted = T1Card(chip) if protocol == "T=1" else T0Card(chip)
    mock.insert(card)
    with Context() as context:
        context.wait(READER, present=True)
    done = subprocess.run(
        [sys.executable, "-m", "card", "info", "--reader", f"pcsc:{READER}", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
        env={**os.environ, **twin.environment},
    )

    assert json.loads(done.stdout)["asn"] == ASN.hex().upper()


@pytest.mark.parametrize("protocol", ["T=0", "T=1"])
def test_a_blank_card_is_issued_through_the_free_driver(
    twin: PcscStack, mock: SerialReaderMock, store: FileKeyStore, protocol: str
) -> None:
    """The longest commands pass it too."""
    assert twin.environment
    chip = VirtualCard(contactless=protocol == "T=1")
    mock.insert(T1Card(chip) if protocol == "T=1" else T0Card(chip))
    reader = open_reader(f"pcsc:{READER}")
    assert reader.wait_card(TIMEOUT_S)
    connection = reader.connect()
    done = run(personalise(card_data(), CardKeys.from_store(store, ASN, 1)), connection)
    connection.close()
    reader.close()

    assert done.writes > 20
