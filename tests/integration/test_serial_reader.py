# SPDX-License-Identifier: Apache-2.0
"""The serial CCID driver at a pseudo-terminal whose other end speaks the reader's true bytes."""

from __future__ import annotations

import json
import os
import pwd
import random
import select as polling
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from card.apdu import CommandApdu
from card.card_keys import CardKeys
from card.cli import main
from card.commands import get_challenge, read_binary
from card.errors import (
    AnswerLost,
    CardError,
    CardRemoved,
    MuteCard,
    NoCard,
    NoPermission,
    NoReader,
    ProtocolFault,
    ReaderBusy,
)
from card.operation import exchange, fetch, run
from card.personalise import personalise
from card.psam import PsamCard
from card.readers import Reader, open_reader
from card.readers.serial_ccid import Patience
from card.readers.serial_line import SerialLine
from card.readers.serial_reader import SerialReader
from card.tap import TapRequest
from card.volunteer import VolunteerCard, select
from hardware_mocks.cardos.atr import CARD_HISTORICAL
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.tear import Tear
from hardware_mocks.serial_reader import (
    GEMCORE_POS_PRO,
    GEMPC_TWIN,
    Fault,
    SerialReaderMock,
    T0Card,
    T1Card,
)
from hardware_mocks.serial_reader.sockets import Inserted
from keys.store import FileKeyStore
from tests.contracts.connection import CHINA, H8, NINE
from tests.contracts.connection_cards import (
    ASN,
    card_data,
    in_process,
    issued_card,
    issued_psam,
    make_store,
)

WAIT_S = 10.0
CHALLENGE = get_challenge(8).to_bytes()
# Silence on the line is part of these tests; the mock answers in microseconds.
QUICK = Patience(reader_s=0.3, gap_s=0.1, quiet_s=0.02)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """A key store with one key of each usage."""
    return make_store(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[SerialReaderMock]:
    """A GemPC Twin without a card."""
    with SerialReaderMock(tmp_path / "ttyTwin", GEMPC_TWIN) as mock:
        yield mock


@pytest.fixture
def reader(mock: SerialReaderMock) -> Iterator[Reader]:
    """The driver at it."""
    reader = SerialReader(f"serial:{mock.path}?model=gempc-twin", QUICK)
    yield reader
    reader.close()


def _blank(protocol: str) -> Inserted:
    return T1Card(VirtualCard(contactless=True)) if protocol == "T=1" else T0Card(VirtualCard())


def _issued(store: FileKeyStore, protocol: str = "T=0") -> Inserted:
    chip = issued_card(store, contactless=protocol == "T=1")
    return T1Card(chip) if protocol == "T=1" else T0Card(chip)


def test_opening_says_the_right_things(mock: SerialReaderMock, reader: Reader) -> None:
    """Firmware first, then movement notices in synchronous mode, then the slot."""
    assert reader.wait_card(0.0) is False
    assert [(m[0], m[10:].hex()) for m in mock.received] == [
        (0x6B, "02"), (0x6B, "010101"), (0x65, ""),
    ]  # fmt: skip


@pytest.mark.parametrize("protocol", ["T=0", "T=1"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault.BAD_LRC, Fault.LOST_BYTE, Fault.LOST_ANSWER, Fault.LOST_COMMAND, Fault.NAK,
        Fault.BAD_ECHO, Fault.NOISE, Fault.LATE,
    ],
    ids=lambda fault: fault.name,
)  # fmt: skip
def test_a_bad_line_costs_time_and_nothing_else(
    store: FileKeyStore, mock: SerialReaderMock, reader: Reader, fault: Fault, protocol: str
) -> None:
    """Every way to misbehave once is repaired, and the card runs each command once."""
    mock.insert(_issued(store, protocol))
    connection = reader.connect()
    before = len(mock.received)
    mock.faults.plan(fault)
    data, sw = connection.transmit(CHALLENGE)
    transfers = len(mock.received) - before
    again, _ = connection.transmit(CHALLENGE)
    connection.close()

    assert (len(data), sw) == (8, 0x9000)
    assert data != again  # a late answer of the first is not taken for that of the second
    assert transfers == 1
    assert mock.faults.left(fault) == 0


@pytest.mark.parametrize("fault", [Fault.BAD_LRC, Fault.LOST_BYTE, Fault.NAK])
def test_three_repetitions_are_made_and_not_a_fourth(
    store: FileKeyStore, mock: SerialReaderMock, reader: Reader, fault: Fault
) -> None:
    """A line that does not carry is an error that says the card may have run the command."""
    mock.insert(_issued(store))
    connection = reader.connect()
    mock.faults.plan(fault, 1_000)
    with pytest.raises(AnswerLost):
        connection.transmit(CHALLENGE)
    mock.faults.plan(fault, 0)
    connection.close()


@pytest.mark.parametrize("protocol", ["T=0", "T=1"])
def test_a_blank_card_is_issued_over_the_line(
    store: FileKeyStore, mock: SerialReaderMock, reader: Reader, protocol: str
) -> None:
    """The longest commands there are pass, and the card is a volunteer card afterwards."""
    mock.insert(_blank(protocol))
    connection = reader.connect()
    run(personalise(card_data(), CardKeys.from_store(store, ASN, 1)), connection)
    connection.close()
    connection = reader.connect()

    assert run(select(), connection).asn == ASN
    connection.close()


def test_waiting_follows_the_card(
    store: FileKeyStore, mock: SerialReaderMock, reader: Reader
) -> None:
    """A card is seen to come, to stay and to go."""
    before = reader.wait_card(0.0)
    mock.insert(_issued(store))
    came, stayed = reader.wait_card(WAIT_S), not reader.wait_removed(0.0)
    mock.remove()

    assert (before, came, stayed, reader.wait_removed(WAIT_S)) == (False, True, True, True)


def test_a_card_exchanged_between_two_looks_has_left(
    store: FileKeyStore, mock: SerialReaderMock, reader: Reader
) -> None:
    """The reader reports both movements, so a quick second card is a second presentation."""
    mock.insert(_issued(store))
    assert reader.wait_card(WAIT_S)
    connection = reader.connect()
    mock.remove()
    mock.insert(_issued(store))
    with pytest.raises(CardRemoved):
        connection.transmit(CHALLENGE)
    connection.close()

    assert reader.wait_removed(0.0)
    assert reader.wait_card(0.0)
    assert reader.connect().transmit(CHALLENGE)[1] == 0x9000


def test_pulled_in_mid_command_is_card_removed(
    store: FileKeyStore, mock: SerialReaderMock, reader: Reader
) -> None:
    """A card that leaves while it computes is told from one that is mute."""
    chip = issued_card(store)
    mock.insert(T0Card(chip))
    connection = reader.connect()
    chip.tear(Tear())
    with pytest.raises(CardRemoved):
        connection.transmit(CHALLENGE)
    connection.close()

    assert reader.wait_removed(0.0)


@pytest.mark.parametrize("protocol", ["T=0", "T=1"])
def test_empty_mute_and_lying_cards_are_told_apart(
    store: FileKeyStore, mock: SerialReaderMock, reader: Reader, protocol: str
) -> None:
    """No card, a card silent at power-on, one silent later, and an ATR that breaks its rules."""
    with pytest.raises(NoCard):
        reader.connect()
    card = _issued(store, protocol)
    mock.insert(card)
    card.faults.plan(Fault.MUTE, 100)
    with pytest.raises(MuteCard):
        reader.connect()
    card.faults.plan(Fault.MUTE, 0)
    connection = reader.connect()
    card.faults.plan(Fault.MUTE, 100)
    with pytest.raises(MuteCard):
        connection.transmit(CHALLENGE)
    connection.close()
    card.faults.plan(Fault.MUTE, 0)
    if protocol == "T=1":
        card.faults.plan(Fault.BAD_ATR)
        with pytest.raises(ProtocolFault):
            reader.connect()
    reader.connect().close()


def test_unplugged_and_plugged_in_again(
    store: FileKeyStore, mock: SerialReaderMock, reader: Reader
) -> None:
    """A reader that goes away is an error, one that comes back is found by the same object.

    The card may lie there still: a reader that is away does not say that it has left.
    """
    mock.insert(_issued(store))
    assert reader.wait_card(WAIT_S)
    connection = reader.connect()
    mock.unplug()
    with pytest.raises(NoReader):
        connection.transmit(CHALLENGE)
    connection.close()
    for look in (reader.wait_removed, reader.wait_card):
        with pytest.raises(NoReader):
            look(0.0)
    mock.plug()

    assert reader.wait_card(WAIT_S)
    assert reader.connect().transmit(CHALLENGE)[1] == 0x9000


def test_a_reader_plugged_in_while_waited_for_is_found(store: FileKeyStore, tmp_path: Path) -> None:
    """A wait that began before the device existed ends with the card in it."""
    mock = SerialReaderMock(tmp_path / "ttyLate", GEMPC_TWIN)
    mock.unplug()
    reader = SerialReader(f"serial:{mock.path}", QUICK)
    found: list[bool] = []
    waiting = threading.Thread(target=lambda: found.append(reader.wait_card(WAIT_S)))
    waiting.start()
    mock.plug()
    mock.insert(_issued(store))
    waiting.join()
    reader.close()
    mock.unplug()

    assert found == [True]


def test_a_tap_with_the_psam_in_a_slot_of_the_same_reader(
    store: FileKeyStore, tmp_path: Path
) -> None:
    """Card slot and SAM slot share one line; each is a reader of its own."""
    with SerialReaderMock(tmp_path / "ttyPos", GEMCORE_POS_PRO) as mock:
        mock.insert(T1Card(issued_card(store, contactless=True)))
        mock.insert(T0Card(issued_psam(store)), slot=1)
        name = f"serial:{mock.path}?model=gemcore-pos-pro"
        card_reader, sam_reader = open_reader(name), open_reader(f"{name}&slot=1")
        assert card_reader.wait_card(WAIT_S)
        assert sam_reader.wait_card(WAIT_S)
        card, sam = card_reader.connect(), sam_reader.connect()
        with pytest.raises(ReaderBusy):
            open_reader(name).connect()
        answer = VolunteerCard(card).clock_in(TapRequest(PsamCard(sam), NINE, CHINA, 101, H8))
        card.close()
        card.close()
        assert sam.transmit(CHALLENGE)[1] == 0x9000
        sam.close()
        card_reader.close()
        sam_reader.close()

    assert len(answer.cg2) == 8


def test_one_line_is_one_model(mock: SerialReaderMock, reader: Reader) -> None:
    """Two names for one device must say the same of it."""
    reader.wait_card(0.0)
    with pytest.raises(NoReader, match="open as model gempc-twin"):
        open_reader(f"serial:{mock.path}?model=gemcore-pos-pro").connect()


HOLD = "import sys; from card.readers.serial_line import SerialLine; \
line = SerialLine(sys.argv[1], 115200); print('held', flush=True); sys.stdin.read()"


def test_a_line_held_by_another_program_is_busy(mock: SerialReaderMock, reader: Reader) -> None:
    """Two programs do not talk to one reader at a time."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(mock.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ReaderBusy):
        reader.wait_card(0.0)
    holder.communicate()

    assert reader.wait_card(0.0) is False


FORBIDDEN = """
import os, sys
from card.errors import NoPermission
from card.readers.serial_line import SerialLine
import serial
os.setuid(int(sys.argv[2]))
try:
    SerialLine(sys.argv[1], 115200)
except NoPermission as error:
    print(error.advice.en)
"""


def test_a_line_one_may_not_use_says_which_group_may(mock: SerialReaderMock) -> None:
    """The refusal of the kernel becomes what to type."""
    nobody = pwd.getpwnam("nobody").pw_uid
    real = os.path.realpath(mock.path)
    if os.geteuid() == 0:
        os.chmod(real, 0o600)
        done = subprocess.run(
            [sys.executable, "-c", FORBIDDEN, real, str(nobody)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "dialout" in done.stdout
    else:
        os.chmod(real, 0)
        with pytest.raises(NoPermission):
            SerialLine(real, 115_200)


@pytest.mark.parametrize("what", ["a file", "a folder", "nothing"])
def test_what_is_no_serial_device_is_no_reader(tmp_path: Path, what: str) -> None:
    """Files, folders and missing paths are told like a reader that is not there."""
    path = tmp_path / "device"
    if what == "a file":
        path.touch()
    elif what == "a folder":
        path.mkdir()
    with pytest.raises(NoReader):
        open_reader(f"serial:{path}").connect()


def test_a_line_with_nobody_at_its_end_is_no_reader(tmp_path: Path) -> None:
    """A serial port without a reader answers nothing, and that is said in bounded time."""
    master, slave = os.openpty()
    try:
        quick = Patience(reader_s=0.05, gap_s=0.05, quiet_s=0.02)
        with pytest.raises(NoReader):
            SerialReader(f"serial:{os.ttyname(slave)}", quick).connect()
    finally:
        os.close(master)
        os.close(slave)
    assert tmp_path.exists()


def test_taps_go_on_over_a_line_that_is_bad_all_the_time(
    store: FileKeyStore, mock: SerialReaderMock, reader: Reader
) -> None:
    """Twenty taps while every kind of fault strikes in turn: each counts once."""
    chip = issued_card(store)
    mock.insert(T0Card(chip))
    psam = PsamCard(in_process(issued_psam(store)))
    repairable = [Fault.BAD_LRC, Fault.LOST_BYTE, Fault.NAK, Fault.NOISE, Fault.LATE]
    for number in range(20):
        connection = reader.connect()
        card = VolunteerCard(connection)
        mock.faults.plan(repairable[number % len(repairable)])
        card.clock_in(TapRequest(psam, NINE + number, CHINA, 101, H8))
        connection.close()
    connection = reader.connect()
    run(select(), connection)
    refused = run(exchange(CommandApdu(0x80, 0x5C, 0, 2, le=4)), connection)

    assert refused.data == bytes(4)  # balance 0
    assert len(run(fetch(read_binary(0x15, 0, 56), 56), connection)) == 56
    connection.close()


class FastCard(T0Card):
    """A card that offers 125 000 bits per second (TA1 = 95), and agrees to it or not."""

    def __init__(self, chip: VirtualCard, *, agrees: bool) -> None:
        super().__init__(chip)
        self._agrees = agrees

    def power_on(self) -> bytes:
        """Power it; say so in the answer to reset."""
        super().power_on()
        return bytes.fromhex("3B76950000") + CARD_HISTORICAL

    def pass_on(self, data: bytes) -> bytes:
        """Stay silent at a request for a faster rate unless it agrees."""
        return b"" if data[:1] == b"\xff" and not self._agrees else super().pass_on(data)


@pytest.mark.parametrize(("agrees", "rate"), [(True, 0x95), (False, 0x11)])
def test_the_rate_a_card_offers_is_agreed_on_or_left(
    store: FileKeyStore, mock: SerialReaderMock, reader: Reader, agrees: bool, rate: int
) -> None:
    """PPS proposes it (FF 10 95 7A); a card that does not answer is powered again and left slow."""
    mock.insert(FastCard(issued_card(store), agrees=agrees))
    connection = reader.connect()
    asn = run(select(), connection).asn
    connection.close()
    proposed = next(m[10:].hex() for m in mock.received if m[0] == 0x6F)
    (parameters,) = (m[10:] for m in mock.received if m[0] == 0x61)

    assert (asn, proposed, parameters[0]) == (ASN, "ff10957a", rate)


def test_the_command_line_takes_serial_readers(store: FileKeyStore, mock: SerialReaderMock) -> None:
    """Whatever takes a reader's name takes a serial one."""
    mock.insert(_issued(store))
    name = f"serial:{mock.path}?model=gempc-twin"
    info = CliRunner().invoke(main, ["info", "--reader", name, "--json"])
    doctor = CliRunner().invoke(main, ["doctor", "--reader", name, "--json"])
    watch = CliRunner().invoke(main, ["watch", "--reader", name, "--count", "1", "--json"])

    assert json.loads(info.stdout)["asn"] == ASN.hex().upper()
    assert json.loads(doctor.stdout)["healthy"] is True
    assert json.loads(watch.stdout)["event"] == "CardInserted"


class Babbler(threading.Thread):
    """Somebody at the other end of a line who sends random bytes at whatever is asked."""

    def __init__(self, master: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._master = master
        self._random = random.Random(seed)
        self._wake, self._alarm = os.pipe()
        self.start()

    def run(self) -> None:
        """Answer everything with anything, some of it beginning like a frame."""
        heads = (b"", b"\x03\x06", b"\x03\x06\x80\x00\x00\x00\x00\x00", b"\x03\x15", b"\x50")
        while True:
            ready, _, _ = polling.select([self._master, self._wake], [], [])
            if self._wake in ready:
                return
            os.read(self._master, 4_096)
            size = self._random.randrange(40)
            os.write(self._master, self._random.choice(heads) + self._random.randbytes(size))

    def stop(self) -> None:
        """End it."""
        os.write(self._alarm, b"!")
        self.join()
        for end in (self._wake, self._alarm):
            os.close(end)


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_on_the_line_end_in_a_typed_error(seed: int) -> None:
    """A reader that babbles is no reader, said in bounded time."""
    master, slave = os.openpty()
    babbler = Babbler(master, seed)
    reader = SerialReader(f"serial:{os.ttyname(slave)}", Patience(0.05, 0.02, 0.01))
    try:
        with pytest.raises(CardError):
            reader.connect()
    finally:
        reader.close()
        babbler.stop()
        os.close(master)
        os.close(slave)
