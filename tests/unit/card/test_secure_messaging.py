# SPDX-License-Identifier: Apache-2.0
"""Secure messaging against published traces of FMCOS cards, and the guard of attempts.

Vectors: github klks/fmcos-python @8518f4f, examples/test_mac.py (MACs) and docs "FMCOS uses
ciphertext with MAC to add/modify keys" and "E-Wallet CPU Card and PSAM Card Consumption Key Loading
Analysis" (key writes).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from card.apdu import CommandApdu, ResponseApdu
from card.attempts import AttemptGuard
from card.commands import read_binary, read_record, select_name, update_binary
from card.errors import (
    AuthenticationFailed,
    Blocked,
    GuardRefused,
    LayoutError,
    MacRejected,
    ProtocolFault,
)
from card.operation import Connection, exchange, run
from card.secure_messaging import (
    Proof,
    authenticate,
    maced,
    read_maced,
    read_sealed,
    sealed,
    with_mac,
    write_wrapped,
)
from hardware_mocks.cardos.algorithms import DES, SM4
from hardware_mocks.cardos.algorithms import Algorithm as CardAlgorithm
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cards import wallet
from keys.algorithm import Algorithm
from keys.handle import KeyHandle
from keys.usage import KeyUsage
from keys.working import TRANSPORT_KEY, WorkingKey
from tests.contracts.connection_cards import Script, in_process

FF_KEY = WorkingKey(KeyUsage.MAINTENANCE, 1, b"\xff" * 16)
KEY_36 = WorkingKey(KeyUsage.MAINTENANCE, 1, b"\x36" * 16)
PSAM_KEY_BYTES = bytes.fromhex("00112233445566778899AABBCCDDEEFF")


class FixedKey:
    """A control key whose MAC and wrapping are constants, to look at the framing alone."""

    def mac4(self, iv: bytes, data: bytes, /) -> bytes:
        """Return four constant bytes."""
        return b"MAC4"

    def cryptogram(self, challenge: bytes, /) -> bytes:
        """Return the challenge, filled up with zeros."""
        return challenge.ljust(8, b"\x00")

    def wrap_for_card(self, header: bytes, key: object, /) -> bytes:
        """Return the header."""
        return header


@pytest.mark.parametrize(
    ("key", "command", "challenge", "mac"),
    [
        (
            FF_KEY,
            CommandApdu(0, 0xD6, 0, 0, bytes.fromhex("112233445566778899" + "00AABBCCDDEEFF")),
            "44A47DEB",
            "F2F62231",
        ),
        (FF_KEY, CommandApdu(0, 0xB0, 0, 0), "D0FE4FB9", "F09C8A19"),
        (
            KEY_36,
            update_binary(
                0x15,
                0,
                bytes.fromhex("000122000001FFFF01010000220000000000000620160101205012310000"),
            ),
            "A3BBCFC8",
            "96E32EF1",
        ),
    ],
)
def test_mac_equals_the_trace(
    key: WorkingKey, command: CommandApdu, challenge: str, mac: str
) -> None:
    """The MAC over header, grown Lc and data is the one a real card accepted."""
    protected = with_mac(command, key, bytes.fromhex(challenge))

    assert protected.data[-4:].hex().upper() == mac
    assert protected.cla == 0x04
    assert protected.data[:-4] == command.data


def test_answers_are_checked() -> None:
    """The MAC of a protected read covers the data; a changed byte is refused."""
    data = "11223344556677889900AABBCCDDEEFF"
    command = CommandApdu(0x00, 0xB0, 0x00, 0x00, le=256)

    right = Script("D0FE4FB9 9000", data + "8D318577 9000")
    wrong = Script("D0FE4FB9 9000", data.replace("99", "98") + "8D318577 9000")

    assert run(read_maced(command, FF_KEY), right).hex().upper() == data
    with pytest.raises(MacRejected):
        run(read_maced(command, FF_KEY), wrong)


def test_an_answer_too_short_for_its_mac_is_refused() -> None:
    """Fewer than four bytes cannot carry a MAC."""
    with pytest.raises(MacRejected):
        run(read_maced(read_record(0x18, 1), FF_KEY), Script("D0FE4FB9 9000", "0102 9000"))


def test_a_key_is_loaded_as_in_the_trace() -> None:
    """Cipher and MAC of a PSAM key load equal the published command, byte for byte."""
    control = WorkingKey(KeyUsage.PSAM_CONTROL, 1, PSAM_KEY_BYTES)
    loaded = WorkingKey(KeyUsage.PURCHASE_PSAM, 0, PSAM_KEY_BYTES)
    script = Script("5D72B3FD 9000", "9000")

    # The trace sends P1 P2 0000.
    run(write_wrapped(0x00, 0x00, bytes.fromhex("220000"), loaded, control), script)

    assert script.sent[1] == ("84D400001CDCC0BB5793ABFCA2CA8C1624822F6E01A86A0B5CBED191DD8A9D4ADB")


def test_a_mac_without_room_is_a_fault() -> None:
    """252 bytes of data leave no room for a MAC in a short APDU."""
    with pytest.raises(ProtocolFault):
        with_mac(CommandApdu(0x00, 0xD6, 0x95, 0x00, bytes(252)), FF_KEY, bytes(4))


def test_a_refused_mac_is_named() -> None:
    """The card's verdict on a MAC arrives as such."""
    with pytest.raises(MacRejected):
        run(maced(update_binary(0x15, 0, b"\x00"), FF_KEY), Script("00000000 9000", "6988"))


def test_authentication_encrypts_the_padded_challenge() -> None:
    """The cryptogram the key makes of the challenge is what goes to the card."""
    script = Script("BB83BFF3 9000", "9000")

    run(authenticate(Proof(0x01, FixedKey(), "name"), AttemptGuard()), script)

    assert script.sent == ["0084000004", "0082000108BB83BFF300000000"]


def test_the_guard_remembers_what_the_card_said(tmp_path: Path) -> None:
    """After 63C1 nothing is sent any more, not even by another program."""
    path = tmp_path / "attempts.json"
    proof = Proof(0x00, FixedKey(), "0017/39-00")

    with pytest.raises(AuthenticationFailed) as caught:
        run(authenticate(proof, AttemptGuard(path)), Script("00000000 9000", "63C1"))
    untouched = Script()
    with pytest.raises(GuardRefused):
        run(authenticate(proof, AttemptGuard(path)), untouched)

    assert caught.value.attempts_left == 1
    assert untouched.sent == []


def test_success_forgets_the_failures(tmp_path: Path) -> None:
    """A right key gives all attempts back, on the card and in the guard."""
    path = tmp_path / "attempts.json"
    guard = AttemptGuard(path)
    guard.note("k", 0x63C2)

    run(authenticate(Proof(0x00, FixedKey(), "k"), guard), Script("00000000 9000", "9000"))

    AttemptGuard(path).check("k")


@pytest.mark.parametrize("text", ["{", "SQLite format 3\0", '{"k": 1}'])
def test_a_damaged_record_of_attempts_is_not_ignored(tmp_path: Path, text: str) -> None:
    """Forgetting what cards said could cost one its last attempt, so damage is an error."""
    path = tmp_path / "attempts.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(LayoutError):
        AttemptGuard(path)


def test_a_blocked_key_is_never_tried_again() -> None:
    """6983 means for good."""
    guard = AttemptGuard()
    proof = Proof(0x00, FixedKey(), "k")

    with pytest.raises(Blocked):
        run(authenticate(proof, guard), Script("00000000 9000", "6983"))
    with pytest.raises(GuardRefused):
        run(authenticate(proof, guard), Script())


ALGORITHMS = pytest.mark.parametrize(
    ("card_side", "algorithm"), [(DES, Algorithm.TDES), (SM4, Algorithm.SM4)], ids=["3des", "sm4"]
)


def wallet_card(card_side: CardAlgorithm) -> Connection:
    """Return a purse card with files of every protection, its application selected."""
    chip = VirtualCard()
    wallet.issue(chip, card_side)
    connection = in_process(chip)
    run(exchange(select_name(wallet.NAME)), connection)
    return connection


@ALGORITHMS
def test_a_proof_of_either_algorithm_is_accepted(
    card_side: CardAlgorithm, algorithm: Algorithm
) -> None:
    """EXTERNAL AUTHENTICATE with a 3DES or an SM4 key opens the card; a wrong key is counted."""
    card = wallet_card(card_side)
    right = KeyHandle[Any](KeyUsage.CONTROL, 1, wallet.CONTROL, algorithm)
    wrong = KeyHandle[Any](KeyUsage.CONTROL, 1, wallet.LOAD, algorithm)

    with pytest.raises(AuthenticationFailed) as caught:
        run(authenticate(Proof(0x00, wrong, "k"), AttemptGuard()), card)
    run(authenticate(Proof(0x00, right, "k"), AttemptGuard()), card)

    assert caught.value.attempts_left == 2


@ALGORITHMS
@pytest.mark.parametrize("size", [1, 7, 8, 15, 16, 40])
def test_a_sealed_file_is_written_and_read(
    card_side: CardAlgorithm, algorithm: Algorithm, size: int
) -> None:
    """A file of type E8 takes encrypted MACed data and gives them back so."""
    card = wallet_card(card_side)
    control = KeyHandle[Any](KeyUsage.CONTROL, 1, wallet.CONTROL, algorithm)
    key = KeyHandle[Any](KeyUsage.MAINTENANCE, 1, wallet.MAINTENANCE, algorithm)
    content = bytes(range(1, size + 1))
    run(authenticate(Proof(0x00, control, "k"), AttemptGuard()), card)

    run(sealed(update_binary(0x17, 0, content), key), card)
    found = run(read_sealed(read_binary(0x17, 0, 64), key), card)

    assert found[:size] == content
    assert len(found) == 64


@ALGORITHMS
def test_a_maced_write_of_either_algorithm_is_accepted(
    card_side: CardAlgorithm, algorithm: Algorithm
) -> None:
    """A file of type A8 takes MACed data; under another key the card says so."""
    card = wallet_card(card_side)
    key = KeyHandle[Any](KeyUsage.MAINTENANCE, 1, wallet.MAINTENANCE, algorithm)
    other = KeyHandle[Any](KeyUsage.MAINTENANCE, 1, wallet.LOAD, algorithm)

    run(maced(update_binary(0x15, 0, b"abc"), key), card)
    with pytest.raises(MacRejected):
        run(maced(update_binary(0x15, 0, b"abd"), other), card)

    assert run(exchange(read_binary(0x15, 0, 3)), card).data == b"abc"


def test_an_answer_that_does_not_open_is_a_fault() -> None:
    """A right MAC over bytes that are no encryption is a fault of the card, not a crash."""
    data = "9900AABBCCDDEEFF" * 2
    mac = FF_KEY.mac4(bytes.fromhex("D0FE4FB9"), bytes.fromhex(data)).hex()

    with pytest.raises(ProtocolFault):
        run(
            read_sealed(read_binary(0x17, 0, 8), FF_KEY),
            Script("D0FE4FB9 9000", data + mac + "9000"),
        )


def test_a_read_with_a_mac_announces_the_mac_of_its_answer() -> None:
    """Le grows by the four bytes of the answer's MAC; 'everything' stays unannounced."""
    counted = with_mac(read_binary(0x1A, 0, 16), FF_KEY, bytes(4))
    everything = with_mac(read_record(0x18, 1), FF_KEY, bytes(4))

    assert counted.le == 20
    assert everything.le is None


def test_transport_key_handle_equals_its_public_bytes() -> None:
    """The transport key that is written in plain is the one the handle holds."""
    from_bytes = WorkingKey(KeyUsage.CONTROL, 0, b"\xff" * 16)

    assert TRANSPORT_KEY.kcv == from_bytes.kcv
    assert ResponseApdu(b"", 0x9000).sw == 0x9000
