# SPDX-License-Identifier: Apache-2.0
"""The SDK at real PC/SC: pcscd, the vpcd driver, pyscard, and virtual cards behind them."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from card.apdu import ResponseApdu
from card.card_keys import CardKeys
from card.cli import main
from card.doctor import diagnose
from card.errors import CardRemoved, NoCard, NoReader, NoService, ReaderBusy
from card.operation import Connection, Operation, run
from card.personalise import CardState, personalise
from card.psam import PsamCard
from card.psam_issuing import PsamData, PsamKeys, personalise_psam
from card.readers import CardConnection, Reader, list_readers, open_reader
from card.readers.pcsc import BUSY_TIMEOUT_S, PcscConnection
from card.tap import TapRequest, prove
from card.volunteer import VolunteerCard, read_composite, select
from hardware_mocks.cardhost.client import Hand
from hardware_mocks.pcsc import PcscStack
from hardware_mocks.pcsc.errors import NamespacesNotPermitted, NeedsRoot
from keys.psam import Psam
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection import CHINA, H8, NINE, SUITE, Check
from tests.contracts.connection_cards import (
    ASN,
    PASSPHRASE,
    PSAM_NO,
    PSAM_SERIAL,
    card_data,
    make_store,
)

pytestmark = pytest.mark.pcsc

WAIT_S = 5.0  # pcscd notices a card within 0.4 s on an idle machine
SHORT_S = 0.4
CLI_TIMEOUT_S = 60.0
CONTACTS, ANTENNA, SAM = "desk-1", "pos-a", "psam-a"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    """A key store with one key of each usage."""
    return make_store(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PcscStack]:
    """A private pcscd with the demonstration's readers; this process is its client."""
    stack = PcscStack(workdir=tmp_path_factory.mktemp("pcsc"), private=True)
    try:
        stack.start()
    except (NeedsRoot, NamespacesNotPermitted) as exc:
        pytest.skip(str(exc))
    with stack.adopted():
        yield stack
    stack.stop()


@pytest.fixture(scope="module")
def issued(stack: PcscStack, store: FileKeyStore) -> str:
    """A card and a PSAM, issued from blank through PC/SC; the PSAM stays in its slot."""
    with stack.hand() as hand:
        hand.blank("v17")
        hand.insert(CONTACTS, "v17")
        with _connected(stack, CONTACTS) as connection:
            keys = CardKeys.from_store(store, ASN, 1)
            done = run(personalise(card_data(), keys), connection)
        hand.remove(CONTACTS)
        hand.blank("sam", "psam")
        hand.insert(SAM, "sam")
        with _connected(stack, SAM) as connection:
            psam_keys = PsamKeys.from_store(store, PSAM_SERIAL, 1)
            run(personalise_psam(PsamData(PSAM_SERIAL, PSAM_NO), psam_keys), connection)

    assert done.found is CardState.BLANK
    return "v17"


@pytest.fixture
def hand(stack: PcscStack) -> Iterator[Hand]:
    """The hand that moves cards; afterwards the card slots are empty again."""
    with stack.hand() as hand:
        yield hand
        for slot in (CONTACTS, ANTENNA):
            hand.remove(slot)
            reader = _reader(stack, slot)
            assert _gone(reader)
            reader.close()


def _gone(reader: Reader) -> bool:
    deadline = time.monotonic() + WAIT_S
    while reader.wait_card(0.0):
        if reader.wait_removed(WAIT_S):
            continue
        return False
    return time.monotonic() < deadline


def _reader(stack: PcscStack, slot: str) -> Reader:
    return open_reader(f"pcsc:{stack.reader_of(slot)}")


@contextmanager
def _connected(stack: PcscStack, slot: str) -> Iterator[PcscConnection]:
    reader = _reader(stack, slot)
    assert reader.wait_card(WAIT_S)
    connection = reader.connect()
    assert isinstance(connection, PcscConnection)
    try:
        yield connection
    finally:
        connection.close()
        reader.close()


def _put_back(hand: Hand, card: str) -> None:
    """Put a torn card back as soon as the hand has it again."""
    deadline = time.monotonic() + WAIT_S
    while hand.slots()[ANTENNA]["card"] is not None:
        assert time.monotonic() < deadline
    hand.insert(ANTENNA, card)


def _request(psam: PsamCard) -> TapRequest:
    return TapRequest(psam, NINE, CHINA, 101, H8)


def _cli(*arguments: str, data: str = "") -> Result:
    environment = {"YIKA_KEYS_PASSPHRASE": PASSPHRASE}
    return CliRunner().invoke(main, arguments, input=data, env=environment)


def test_readers_are_listed_by_name(stack: PcscStack) -> None:
    """Every slot of the stack is a reader with a name good for open_reader."""
    assert sorted(list_readers()) == sorted(f"pcsc:{s.reader}" for s in stack.slots.values())


class PcscRig:
    """A card behind pcscd, in one slot of the stack; the PSAM is in its own."""

    def __init__(self, stack: PcscStack, hand: Hand, store: FileKeyStore, slot: str) -> None:
        self.store = store
        self._hand = hand
        self._slot = slot
        self._reader = _reader(stack, slot)
        self._sam = _reader(stack, SAM)
        self._open: dict[str, CardConnection] = {}

    def power(self) -> Connection:
        """Connect anew; letting go resets the card."""
        assert self._reader.wait_card(WAIT_S)
        return self._connected(self._reader)

    def psam(self) -> Psam:
        """Return the PSAM card of the stack."""
        assert self._sam.wait_card(WAIT_S)
        return PsamCard(self._connected(self._sam))

    def pull(self) -> None:
        """Take the card out of its slot."""
        self._hand.remove(self._slot)

    def hush(self) -> None:
        """Tear it: to the service a virtual card that is silent is one that left."""
        self._hand.tear(self._slot, "now")

    def close(self) -> None:
        """Give readers and cards back."""
        for connection in self._open.values():
            connection.close()
        self._reader.close()
        self._sam.close()

    def _connected(self, reader: Reader) -> CardConnection:
        if reader.name in self._open:
            self._open.pop(reader.name).close()
        self._open[reader.name] = reader.connect()
        return self._open[reader.name]


@pytest.mark.parametrize("slot", [CONTACTS, ANTENNA])
@pytest.mark.parametrize("check", SUITE, ids=lambda check: check.__name__)
def test_connection_over_pcsc(
    stack: PcscStack, hand: Hand, issued: str, store: FileKeyStore, check: Check, slot: str
) -> None:
    """A card behind pcscd keeps the same contract as one in process, over contacts and antenna."""
    hand.insert(slot, issued)
    rig = PcscRig(stack, hand, store, slot)
    try:
        check(rig)
    finally:
        rig.close()


def test_waiting_follows_the_card(stack: PcscStack, hand: Hand, issued: str) -> None:
    """wait_card and wait_removed see the card come, stay and go."""
    reader = _reader(stack, ANTENNA)
    before = reader.wait_card(SHORT_S)
    hand.insert(ANTENNA, issued)
    came = reader.wait_card(WAIT_S)
    stayed = not reader.wait_removed(SHORT_S)
    hand.remove(ANTENNA)
    went = reader.wait_removed(WAIT_S)
    reader.close()

    assert (before, came, stayed, went) == (False, True, True, True)


def test_waiting_leaves_other_threads_running(stack: PcscStack) -> None:
    """While one thread waits for a card, another works on: the call lets go of the interpreter."""
    reader = _reader(stack, ANTENNA)
    counted = 0
    waiting = threading.Thread(target=reader.wait_card, args=(1.0,))
    waiting.start()
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        counted += 1
    still_waiting = waiting.is_alive()
    waiting.join()
    reader.close()

    assert still_waiting
    assert counted > 1000


def test_a_card_taken_away_and_put_back_has_left(stack: PcscStack, hand: Hand, issued: str) -> None:
    """A quick second presentation is a new one, although a card lies there again."""
    hand.insert(ANTENNA, issued)
    reader = _reader(stack, ANTENNA)
    observer = _reader(stack, ANTENNA)
    assert reader.wait_card(WAIT_S)
    assert observer.wait_card(WAIT_S)
    hand.remove(ANTENNA)
    assert observer.wait_removed(WAIT_S)
    hand.insert(ANTENNA, issued)
    assert observer.wait_card(WAIT_S)

    assert reader.wait_removed(WAIT_S)
    assert reader.wait_card(WAIT_S)
    reader.close()
    observer.close()


def test_a_torn_debit_is_completed_at_the_next_tap(
    stack: PcscStack, hand: Hand, issued: str
) -> None:
    """Pulled off after the card committed, the proof is there when the card comes back."""
    hand.insert(ANTENNA, issued)
    reader = _reader(stack, ANTENNA)
    with _connected(stack, SAM) as sam:
        psam = PsamCard(sam)
        assert reader.wait_card(WAIT_S)
        connection = reader.connect()
        card = VolunteerCard(connection)
        hand.tear(ANTENNA, "debit-lost")
        with pytest.raises(CardRemoved):
            card.clock_in(_request(psam))
        connection.close()
        _put_back(hand, issued)
        assert reader.wait_removed(WAIT_S)
        assert reader.wait_card(WAIT_S)
        connection = reader.connect()
        run(select(), connection)
        composite = run(read_composite(), connection)
        proof = run(prove(composite.card_ctr), connection)
        connection.close()

        assert proof is not None
        psam.credit_purchase(proof.mac2)
    reader.close()


def test_a_card_that_stopped_answering_has_left(stack: PcscStack, hand: Hand, issued: str) -> None:
    """Torn and put back faster than the service looks, it still counts as a new presentation."""
    hand.insert(ANTENNA, issued)
    reader = _reader(stack, ANTENNA)
    assert reader.wait_card(WAIT_S)
    connection = reader.connect()
    hand.tear(ANTENNA, "now")
    with pytest.raises(CardRemoved):
        run(select(), connection)
    connection.close()
    _put_back(hand, issued)

    assert reader.wait_removed(WAIT_S)
    assert reader.wait_card(WAIT_S)
    connection = reader.connect()
    assert run(select(), connection).asn == ASN
    connection.close()
    reader.close()


def test_pulled_in_the_middle_is_card_removed(stack: PcscStack, hand: Hand, issued: str) -> None:
    """A card that leaves between two commands raises CardRemoved, not a driver's number."""
    hand.insert(CONTACTS, issued)
    with _connected(stack, CONTACTS) as connection:
        run(select(), connection)
        hand.remove(CONTACTS)
        with pytest.raises(CardRemoved):
            run(read_composite(), connection)


def test_nothing_to_connect_to(stack: PcscStack, hand: Hand) -> None:
    """An empty reader and an unknown one are told apart."""
    assert hand.slots()[ANTENNA]["card"] is None
    with pytest.raises(NoCard):
        _reader(stack, ANTENNA).connect()
    with pytest.raises(NoReader):
        open_reader("pcsc:No Such Reader 00 00").wait_card(SHORT_S)
    with pytest.raises(NoReader):
        open_reader("pcsc:No Such Reader 00 00").connect()


def test_two_programs_do_not_share_a_card(stack: PcscStack, hand: Hand, issued: str) -> None:
    """While one holds the card, another is told so after a moment, and gets it afterwards."""
    hand.insert(ANTENNA, issued)
    other = _reader(stack, ANTENNA)
    with _connected(stack, ANTENNA):
        started = time.monotonic()
        with pytest.raises(ReaderBusy):
            other.connect()
        waited = time.monotonic() - started

    other.connect().close()
    assert waited >= BUSY_TIMEOUT_S


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_a_reader_survives_its_service(stack: PcscStack, hand: Hand, issued: str, way: str) -> None:
    """When pcscd is stopped or killed and started again, the same object goes on.

    Without the service nobody can say that a card has left.
    """
    reader = _reader(stack, ANTENNA)
    assert not reader.wait_card(0.0)
    stack.stop_pcscd() if way == "stop" else stack.kill_pcscd()
    with pytest.raises(NoService):
        reader.wait_card(SHORT_S)
    with pytest.raises(NoService):
        reader.connect()
    with pytest.raises(NoService):
        reader.wait_removed(SHORT_S)
    stack.start_pcscd()
    hand.insert(ANTENNA, issued)
    seen = reader.wait_card(WAIT_S)
    connection = reader.connect()
    asn = run(select(), connection).asn
    connection.close()
    reader.close()

    assert (seen, asn) == (True, ASN)


def test_a_service_that_dies_while_waiting_is_waited_for(
    stack: PcscStack, hand: Hand, issued: str
) -> None:
    """A wait that began before pcscd was restarted ends with the card that comes after it."""
    reader = _reader(stack, ANTENNA)
    found: list[bool] = []
    waiting = threading.Thread(target=lambda: found.append(reader.wait_card(3 * WAIT_S)))
    waiting.start()
    stack.stop_pcscd()
    stack.start_pcscd()
    hand.insert(ANTENNA, issued)
    waiting.join()
    reader.close()

    assert found == [True]


def test_a_connection_whose_service_dies_says_so(stack: PcscStack, hand: Hand, issued: str) -> None:
    """The service dying under a connection is NoService or a card that left, never silence."""
    hand.insert(ANTENNA, issued)
    reader = _reader(stack, ANTENNA)
    assert reader.wait_card(WAIT_S)
    connection = reader.connect()
    stack.stop_pcscd()
    try:
        with pytest.raises((NoService, CardRemoved)):
            run(select(), connection)
        connection.close()
    finally:
        stack.start_pcscd()
    assert reader.wait_card(WAIT_S)
    reader.close()


def test_cli_issues_and_reads(
    stack: PcscStack, hand: Hand, issued: str, store: FileKeyStore, tmp_path: Path
) -> None:
    """readers, issue, info, dump and doctor work on a blank card from the command line."""
    assert issued  # and its PSAM lies in another reader
    data = {
        "asn": "00000000000000000033",
        "valid_from": "2026-11-01",
        "valid_to": "2031-10-31",
        "masked_name": "李*",
        "name": "李四",
        "volunteer_number": "1000000012",
    }
    path = tmp_path / "card.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    hand.blank("cli")
    hand.insert(ANTENNA, "cli")
    with _connected(stack, ANTENNA):
        pass  # the service has noticed it
    reader = ("--reader", f"pcsc:{stack.reader_of(ANTENNA)}")
    keys = ("--store", str(store.path))

    readers = _cli("readers", "--json")
    several = _cli("info")
    before = _cli("info", *reader)
    issue = _cli("issue", "--data", str(path), *keys, *reader, "--json")
    again = _cli("issue", "--data", "-", *keys, *reader, data=json.dumps(data))
    info = _cli("info", *reader, "--json")
    dump = _cli("dump", "--protected", *keys, *reader, "--json")
    doctor = _cli("doctor")
    probe = _cli("doctor", "--probe", str(store.path), *reader, "--json")

    assert f"pcsc:{stack.reader_of(ANTENNA)}" in json.loads(readers.stdout)["readers"]
    assert several.exit_code == 1
    assert "--reader" in several.stderr
    assert before.exit_code == 1
    assert before.stderr.startswith("空白卡")
    assert json.loads(issue.stdout)["found"] == "blank"
    assert "(0 writes; found issued)" in again.stdout
    assert json.loads(info.stdout)["asn"] == data["asn"]
    files = json.loads(dump.stdout)["files"]
    assert files["0016"]["values"]["name"] == "李四"
    assert files["0018"]["records"] == []
    assert doctor.stdout.count("[ok]") >= 3
    assert json.loads(probe.stdout)["fit"] is True


def test_cli_finds_the_only_card(stack: PcscStack, hand: Hand, issued: str) -> None:
    """Without a name the reader that holds the only card is used; with none, that is said."""
    psam = hand.remove(SAM)
    reader = _reader(stack, SAM)
    assert _gone(reader)
    none = _cli("info", "--wait", "0")
    hand.insert(ANTENNA, issued)
    found = _cli("info", "--json")
    assert psam is not None
    hand.insert(SAM, psam)
    assert reader.wait_card(WAIT_S)
    reader.close()

    assert none.exit_code == 1
    assert none.stderr.startswith("读卡器上没有卡片")
    assert json.loads(found.stdout)["asn"] == ASN.hex().upper()


def test_doctor_names_each_state_of_a_card(
    stack: PcscStack, hand: Hand, issued: str, store: FileKeyStore
) -> None:
    """Empty, blank, half issued, foreign and fine are told apart, with what to do."""
    name = f"pcsc:{stack.reader_of(ANTENNA)}"

    def verdict() -> str:
        return next(found.code for found in diagnose(wait_s=0.0) if found.check == name)

    def put(card: str) -> None:
        hand.insert(ANTENNA, card)
        reader = open_reader(name)
        assert reader.wait_card(WAIT_S)
        reader.close()

    def take() -> None:
        hand.remove(ANTENNA)
        reader = open_reader(name)
        assert _gone(reader)
        reader.close()

    found = [verdict()]
    hand.blank("doc")
    put("doc")
    found.append(verdict())
    with _connected(stack, ANTENNA) as connection:
        operation = personalise(card_data(), CardKeys.from_store(store, ASN, 1))
        _run_some(operation, connection, commands=70)
    found.append(verdict())
    take()
    hand.blank("sam2", "psam")
    put("sam2")
    found.append(verdict())
    take()
    put(issued)
    found.append(verdict())

    assert found == ["NoCard", "blank", "filled", "ForeignCard", "issued"]


def _run_some(operation: Operation[object], connection: Connection, commands: int) -> None:
    """Drive an operation for some commands and leave it."""
    command = next(operation)
    for _ in range(commands):
        command = operation.send(ResponseApdu(*connection.transmit(command.to_bytes())))
    operation.close()


def test_opensc_reads_an_issued_card(stack: PcscStack, hand: Hand, issued: str) -> None:
    """A client of somebody else selects the application and reads 0015 by SFI."""
    hand.insert(CONTACTS, issued)
    with _connected(stack, CONTACTS):
        pass
    done = subprocess.run(
        ["opensc-tool", "-r", stack.reader_of(CONTACTS),
         "-s", "00A4040006F059494B4101", "-s", "00B0950038"],
        capture_output=True,
        text=True,
        check=True,
        timeout=CLI_TIMEOUT_S,
        env={**os.environ, **stack.environment},
    )  # fmt: skip

    assert done.stdout.count("SW1=0x90, SW2=0x00") == 2
    assert "59 49 4B 41" in done.stdout


def test_issuer_keys_fit_the_card_over_pcsc(
    stack: PcscStack, hand: Hand, issued: str, store: FileKeyStore
) -> None:
    """The log of the card is readable under keys derived from the store."""
    hand.insert(CONTACTS, issued)
    with _connected(stack, CONTACTS) as connection:
        log = VolunteerCard(connection).log(
            store.card_key(KeyUsage.DESK_READ, 1, ASN[2:]),
            store.card_key(KeyUsage.MAINTENANCE, 1, ASN[2:]),
        )

    assert log
