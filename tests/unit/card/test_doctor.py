# SPDX-License-Identifier: Apache-2.0
"""What the doctor says of each state of a card, and of a machine without readers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from card.doctor import SOCKET_VARIABLE, Diagnosis, card_in, diagnose, healthy
from card.errors import (
    CardError,
    ForeignCard,
    MuteCard,
    NoCard,
    NoDriver,
    NoReader,
    NoService,
    ReaderError,
)
from card.operation import Connection
from card.readers import CardConnection
from card.status_words import Text
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.shell import ChipCard
from keys.store import FileKeyStore
from tests.contracts.connection_cards import in_process, issued_card, issued_psam


class Powered:
    """A connection in process with an ATR, as a reader gives it."""

    def __init__(self, chip: ChipCard) -> None:
        self._connection: Connection = in_process(chip)
        self.atr = chip.atr
        self.closed = False

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Pass the command on."""
        return self._connection.transmit(apdu)

    def close(self) -> None:
        """Note that the card was let go."""
        self.closed = True


class FakeReader:
    """A reader that holds one chip, or none, or fails to power it."""

    name = "pcsc:fake"

    def __init__(self, chip: ChipCard | None, error: CardError | None = None) -> None:
        self._chip = chip
        self._error = error
        self.connection: Powered | None = None

    def wait_card(self, timeout_s: float) -> bool:
        """Say whether there is a chip."""
        return timeout_s >= 0 and (self._chip is not None or self._error is not None)

    def wait_removed(self, timeout_s: float) -> bool:
        """Say that it never leaves."""
        return timeout_s < 0

    def connect(self) -> CardConnection:
        """Power the chip or fail as told."""
        if self._error is not None:
            raise self._error
        assert self._chip is not None
        self.connection = Powered(self._chip)
        return self.connection

    def close(self) -> None:
        """Hold nothing."""


def test_an_issued_card_is_fine_and_let_go(store: FileKeyStore) -> None:
    """A volunteer card in order is said to be so, and its connection is closed."""
    reader = FakeReader(issued_card(store))
    found = card_in(reader, 0.0)

    assert (found.fine, found.code) == (True, "issued")
    assert reader.connection is not None
    assert reader.connection.closed


def test_a_blank_card_says_how_to_issue_it() -> None:
    """A blank is no fault of the reader; the advice names the command."""
    found = card_in(FakeReader(VirtualCard()), 0.0)

    assert (found.fine, found.code) == (False, "blank")
    assert "yika-card issue" in found.advice.en


def test_foreign_mute_and_missing_cards_are_told_apart(store: FileKeyStore) -> None:
    """Each reason why a card cannot be used is its own error."""
    for reader, error in (
        (FakeReader(issued_psam(store)), ForeignCard),
        (FakeReader(None, MuteCard()), MuteCard),
        (FakeReader(None), NoCard),
    ):
        with pytest.raises(error):
            card_in(reader, 0.0)


def test_an_empty_reader_beside_one_with_a_card_is_no_fault() -> None:
    """Health is about the card a person put down, not about every reader of the machine."""
    service = Diagnosis("service", True, Text("", ""))
    empty = Diagnosis("pcsc:a", False, Text("", ""), code="NoCard")
    fine = Diagnosis("pcsc:b", True, Text("", ""), code="issued")
    mute = Diagnosis("pcsc:c", False, Text("", ""), code="MuteCard")

    assert healthy([service, empty, fine])
    assert not healthy([service, empty])
    assert not healthy([service, fine, mute])


@pytest.mark.parametrize("path", ["missing.sock", "plain file"])
def test_without_a_service_the_doctor_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str
) -> None:
    """No socket, or a dead one: the service does not run, and what to type stands beside it."""
    (tmp_path / "plain file").touch()
    monkeypatch.setenv(SOCKET_VARIABLE, str(tmp_path / path))

    def readers() -> list[str]:
        raise NoService

    found = diagnose(0.0, readers)

    assert [item.check for item in found] == ["service"]
    assert found[0].code == "NoService"
    assert found[0].advice.en


@pytest.mark.parametrize("error", [NoDriver("x"), NoReader("x")])
def test_other_reasons_are_named_too(error: ReaderError) -> None:
    """A missing library and a service without readers are findings of their own."""

    def readers() -> list[str]:
        raise error

    found = diagnose(0.0, readers)

    assert not healthy(found)
    assert found[-1].code == type(error).__name__


def test_no_reader_at_all_is_a_finding() -> None:
    """A service that knows no reader says to plug one in."""
    found = diagnose(0.0, list)

    assert [(item.check, item.fine) for item in found] == [("service", True), ("readers", False)]


def test_the_command_fails_with_one_line(tmp_path: Path) -> None:
    """`yika-card doctor` prints its findings and ends with status 1 and one line of cause."""
    # In a process of its own: the PC/SC library reads the name of the socket once.
    done = subprocess.run(
        [sys.executable, "-m", "card", "doctor"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, SOCKET_VARIABLE: str(tmp_path / "none")},
    )

    assert done.returncode == 1
    assert done.stdout.startswith("[!!] service")
    assert len(done.stderr.strip().splitlines()) == 1
