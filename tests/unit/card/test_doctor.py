# SPDX-License-Identifier: Apache-2.0
"""What the doctor says of each state of a card, and of a machine without readers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from card.apdu import CommandApdu
from card.commands import application_block, select_name
from card.doctor import Diagnosis, card_in, diagnose, healthy
from card.doctor_machine import SOCKET_VARIABLE, Machine
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
from card.files import VOLUNTEER_AID
from card.operation import Connection, exchange, run
from card.readers import CardConnection, open_reader
from card.secure_messaging import maced
from card.status_words import Text
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.shell import ChipCard
from hardware_mocks.serial_reader import Fault, SerialReaderMock, T0Card
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import ASN, in_process, issued_card, issued_psam


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


def _machine(folder: Path, *, driver: bool, reader: bool) -> Machine:
    """Lay out the folders the doctor looks at."""
    machine = Machine(folder / "drivers", folder / "usb")
    if driver:
        (machine.drivers / "ifd-ccid.bundle" / "Contents").mkdir(parents=True)
    for name, product, number in (("1-1", "Desk Reader", "0b"), ("1-2", "Keyboard", "03")):
        interface = machine.usb / f"{name}:1.0"
        interface.mkdir(parents=True)
        (machine.usb / name).mkdir()
        (machine.usb / name / "product").write_text(product + "\n", encoding="utf-8")
        if reader or number != "0b":
            (interface / "bInterfaceClass").write_text(number + "\n", encoding="utf-8")
    return machine


@pytest.mark.parametrize(
    ("driver", "reader", "code", "advice"),
    [
        (True, False, "NoReader", "plug the reader in"),
        (False, False, "NoReader", "install its driver"),
        (False, True, "ReaderWithoutDriver", "apt install libccid"),
        (True, True, "ReaderNotTaken", "systemctl restart pcscd"),
    ],
)
def test_no_reader_has_four_reasons(
    tmp_path: Path, driver: bool, reader: bool, code: str, advice: str
) -> None:
    """None plugged in, no driver, one that the service ignores: each says what to do."""
    found = diagnose(0.0, list, machine=_machine(tmp_path, driver=driver, reader=reader))

    assert [(item.check, item.fine) for item in found] == [("service", True), ("readers", False)]
    assert found[-1].code == code
    assert advice in found[-1].advice.en
    assert ("Desk Reader" in found[-1].meaning.zh) is reader


def test_a_missing_library_is_found_by_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyscard the first finding is that, with the command that installs it."""
    monkeypatch.setitem(sys.modules, "smartcard.scard", None)
    (found,) = diagnose(0.0)

    assert (found.check, found.code) == ("library", "NoDriver")
    assert "pip install" in found.advice.en


def test_a_service_that_is_not_installed_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No socket and no program: install it, not start it."""
    monkeypatch.setenv(SOCKET_VARIABLE, str(tmp_path / "none"))
    monkeypatch.setattr("card.doctor_machine.SYSTEM_PROGRAMS", "")
    monkeypatch.setenv("PATH", str(tmp_path))

    def readers() -> list[str]:
        raise NoService

    (found,) = diagnose(0.0, readers)

    assert found.advice.en.startswith("install it")


REFUSED = """
import os, sys
from card.doctor import diagnose
from card.errors import NoService
def readers():
    raise NoService
if os.getuid() == 0:
    os.setuid(65534)
(found,) = diagnose(0.0, readers)
print(found.code, found.advice.en)
"""


def test_a_service_that_lets_one_not_in_is_told() -> None:
    """A socket that this user may not open is a matter of permission, not of starting anything."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX) as service,
    ):
        path = Path(folder) / "pcscd.comm"
        service.bind(str(path))
        service.listen(1)
        path.chmod(0)
        Path(folder).chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", REFUSED],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, SOCKET_VARIABLE: str(path)},
        )

    assert done.stdout.startswith("NoPermission"), done.stderr


def _blocked(store: FileKeyStore, command: CommandApdu) -> VirtualCard:
    """Return an issued card that was blocked under its maintenance key."""
    card = issued_card(store)
    connection = in_process(card)
    run(exchange(select_name(VOLUNTEER_AID)), connection)
    key = store.card_key(KeyUsage.MAINTENANCE, 1, ASN[2:])
    run(maced(command, key), connection)
    card.reset()
    return card


@pytest.mark.parametrize(
    ("p2", "code", "advice"),
    [(0, "ApplicationBlocked", "unblocked"), (1, "ApplicationBlockedForGood", "another card")],
)
def test_a_blocked_application_is_told(
    store: FileKeyStore, p2: int, code: str, advice: str
) -> None:
    """Until unblocked and for good are told apart, and neither looks blank or foreign."""
    card = _blocked(store, application_block(p2))
    found = card_in(FakeReader(card), 0.0)

    assert (found.fine, found.code) == (False, code)
    assert advice in found.advice.en


def test_a_card_blocked_for_good_is_not_blank(store: FileKeyStore) -> None:
    """Both refuse everything; a blank one would let itself be issued, and is not changed by it."""
    blocked, blank = _blocked(store, CommandApdu(0x80, 0x16, 0, 0)), VirtualCard()
    found = card_in(FakeReader(blocked), 0.0)
    again = card_in(FakeReader(blank), 0.0)

    assert (found.code, again.code) == ("CardBlocked", "blank")
    assert "another card" in found.advice.en


def test_a_serial_reader_is_looked_at_without_any_service(
    store: FileKeyStore, tmp_path: Path
) -> None:
    """No line, an empty slot, a mute card, a good card: each by its own name."""
    path = tmp_path / "ttyTwin"
    name = f"serial:{path}?model=gempc-twin"

    def verdict() -> str:
        (found,) = diagnose(0.0, only=[name])
        return found.code

    codes = [verdict()]
    with SerialReaderMock(path) as mock:
        codes.append(verdict())
        card = T0Card(issued_card(store))
        mock.insert(card)
        card.faults.plan(Fault.MUTE, 1_000)
        codes.append(verdict())
        card.faults.plan(Fault.MUTE, 0)
        codes.append(verdict())
        holder = open_reader(name)
        connection = holder.connect()
        codes.append(verdict())
        connection.close()
        holder.close()

    assert codes == ["NoReader", "NoCard", "MuteCard", "issued", "ReaderBusy"]


def test_the_command_fails_with_one_line(tmp_path: Path) -> None:
    """`yika-card doctor` ends with status 1 and one line that names the next step."""
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
    assert "systemctl start pcscd" in done.stderr
