# SPDX-License-Identifier: Apache-2.0
"""Secure messaging against published traces of FMCOS cards, and the guard of attempts.

Vectors: github klks/fmcos-python @8518f4f, examples/test_mac.py (MACs) and docs "FMCOS uses
ciphertext with MAC to add/modify keys" and "E-Wallet CPU Card and PSAM Card Consumption Key Loading
Analysis" (key writes).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from card.apdu import CommandApdu, ResponseApdu
from card.attempts import AttemptGuard
from card.commands import read_record, update_binary
from card.errors import (
    AuthenticationFailed,
    Blocked,
    GuardRefused,
    LayoutError,
    MacRejected,
    ProtocolFault,
)
from card.operation import run
from card.secure_messaging import (
    Proof,
    authenticate,
    maced,
    read_maced,
    with_mac,
    write_wrapped,
)
from keys.usage import KeyUsage
from keys.working import TRANSPORT_KEY, WorkingKey
from tests.contracts.connection_cards import Script

FF_KEY = WorkingKey(KeyUsage.MAINTENANCE, 1, b"\xff" * 16)
KEY_36 = WorkingKey(KeyUsage.MAINTENANCE, 1, b"\x36" * 16)
PSAM_KEY_BYTES = bytes.fromhex("00112233445566778899AABBCCDDEEFF")


class FixedKey:
    """A control key whose MAC and wrapping are constants, to look at the framing alone."""

    def mac4(self, iv8: bytes, data: bytes, /) -> bytes:
        """Return four constant bytes."""
        return b"MAC4"

    def encrypt(self, data: bytes, /) -> bytes:
        """Return the data."""
        return data

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
    """The challenge is filled up with zeros and encrypted under the key."""
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


def test_transport_key_handle_equals_its_public_bytes() -> None:
    """The transport key that is written in plain is the one the handle holds."""
    from_bytes = WorkingKey(KeyUsage.CONTROL, 0, b"\xff" * 16)

    assert TRANSPORT_KEY.kcv == from_bytes.kcv
    assert ResponseApdu(b"", 0x9000).sw == 0x9000
