# SPDX-License-Identifier: Apache-2.0
"""The virtual PSAM: issued once, counting durably, giving MAC1 and never MAC2."""

from __future__ import annotations

import pytest

from hardware_mocks.cardos import crypto
from hardware_mocks.cardos.errors import CardGone
from hardware_mocks.cardos.psam import MAC2_TRIES, VirtualPsam
from hardware_mocks.cardos.tear import Moment, Tear
from tests.unit.hardware_mocks.cardos import issuing

RAND, CTR, WHEN = bytes.fromhex("584633C9"), b"\x00\x05", bytes.fromhex("20261121090000")
REQUEST = RAND + CTR + bytes(4) + b"\x09" + WHEN + b"\x01\x00" + issuing.ASN[2:]
INIT = b"\x80\x70\x00\x00\x1c" + REQUEST


@pytest.fixture
def psam() -> VirtualPsam:
    """An issued PSAM."""
    psam = VirtualPsam()
    issuing.personalise_psam(issuing.Session(psam.transmit))
    return psam


@pytest.fixture
def session(psam: VirtualPsam) -> issuing.Session:
    """A session with the PSAM, DF01 selected."""
    session = issuing.Session(psam.transmit)
    session.ok("00A4000002DF01")
    return session


def _mac2(sequence: int) -> bytes:
    card_key = crypto.diversify(issuing.PSAM_MASTER, issuing.ASN[2:])
    return crypto.purse_mac(crypto.session_key(card_key, RAND, 5, sequence), bytes(4))


def test_grant_is_what_the_card_expects(session: issuing.Session) -> None:
    """MAC1 is over amount, type, terminal number, date and time, under the card's own key."""
    grant = session.ok(INIT + b"\x08")

    card_key = crypto.diversify(issuing.PSAM_MASTER, issuing.ASN[2:])
    key = crypto.session_key(card_key, RAND, 5, 1)
    expected = crypto.purse_mac(key, bytes(4) + b"\x09" + issuing.PSAM_NO + WHEN)
    assert grant == (1).to_bytes(4, "big") + expected


def test_counter_steps_on_every_grant_and_survives(
    psam: VirtualPsam, session: issuing.Session
) -> None:
    """Each grant has its own number, also after power was lost in between."""
    first = session.ok(INIT)[:4]
    psam.power_off()
    psam.power_on()
    session.ok("00A4000002DF01")

    assert int.from_bytes(session.ok(INIT)[:4], "big") == int.from_bytes(first, "big") + 1


@pytest.mark.parametrize("moment", list(Moment))
def test_no_number_is_ever_given_twice(psam: VirtualPsam, moment: Moment) -> None:
    """Wherever the PSAM is cut, the next grant has a number that nobody has seen."""
    session = issuing.Session(psam.transmit)
    session.ok("00A4000002DF01")
    seen = int.from_bytes(session.ok(INIT)[:4], "big")
    psam.tear(Tear(ins=0x70, moment=moment))
    with pytest.raises(CardGone):
        session(INIT)
    psam.power_on()
    session.ok("00A4000002DF01")

    assert int.from_bytes(session.ok(INIT)[:4], "big") > seen


def test_right_mac2_is_accepted_once(session: issuing.Session) -> None:
    """CREDIT SAM FOR PURCHASE needs its INIT, and takes one answer for it."""
    assert session(b"\x80\x72\x00\x00\x04" + bytes(4)) == (b"", 0x6901)
    session.ok(INIT)
    assert session(b"\x80\x72\x00\x00\x04" + _mac2(1)) == (b"", 0x9000)
    assert session(b"\x80\x72\x00\x00\x04" + _mac2(1)) == (b"", 0x6901)


def test_ten_wrong_mac2_in_a_row_block_for_good(
    psam: VirtualPsam, session: issuing.Session
) -> None:
    """Guessing MAC2 ends the module; a right one in between forgives."""
    for number in range(1, MAC2_TRIES):
        session.ok(INIT)
        assert session(b"\x80\x72\x00\x00\x04" + bytes(4)) == (b"", 0x9302), number
    session.ok(INIT)
    session.ok(b"\x80\x72\x00\x00\x04" + _mac2(MAC2_TRIES))
    for _ in range(MAC2_TRIES):
        session.ok(INIT)
        assert session(b"\x80\x72\x00\x00\x04" + bytes(4)) == (b"", 0x9302)

    assert session(INIT) == (b"", 0x6983)
    psam.reset()
    session.ok("00A4000002DF01")
    assert session(INIT) == (b"", 0x6983)
    assert session(b"\x80\x72\x00\x00\x04" + bytes(4)) == (b"", 0x6983)


@pytest.mark.parametrize(
    ("apdu", "expected"),
    [
        (INIT[:5] + REQUEST[:18] + b"\x02\x00" + REQUEST[20:], 0x9403),  # key version
        (INIT[:5] + REQUEST[:18] + b"\x01\x04" + REQUEST[20:], 0x9403),  # algorithm
        (INIT[:4] + b"\x1b" + REQUEST[:27], 0x6700),
        (INIT + b"\x09", 0x6700),
        (b"\x80\x70\x01\x00\x1c" + REQUEST, 0x6A86),
        (b"\x00\x70\x00\x00\x1c" + REQUEST, 0x6E00),
        (b"\x80\x54\x01\x00\x0f" + bytes(15), 0x6D00),
        (b"\x00\xb0\x95\x00\x00", 0x6A82),  # the files stand in the MF
        (b"\x00\xa4\x00\x00\x02\xdf\x02", 0x6A82),
    ],
)
def test_bad_commands(session: issuing.Session, apdu: bytes, expected: int) -> None:
    """Unknown keys and malformed requests have their status word."""
    assert session(apdu) == (b"", expected)


def test_refused_request_uses_no_number(session: issuing.Session) -> None:
    """A key version the module does not have leaves the counter alone."""
    session(INIT[:5] + REQUEST[:18] + b"\x02\x00" + REQUEST[20:])

    assert session.ok(INIT)[:4] == (1).to_bytes(4, "big")


def test_purchases_need_df01(psam: VirtualPsam) -> None:
    """In the MF the purchase commands are refused."""
    psam.reset()

    assert psam.transmit(INIT) == bytes.fromhex("6985")


def test_issued_psam_keeps_its_number(session: issuing.Session) -> None:
    """After issuing, serial and terminal number can be read but not written."""
    session.ok("00A40000023F00")

    assert session.ok("00B0960006") == issuing.PSAM_NO
    assert session.ok("00B095000E")[:10] == b"PSAM000001"
    assert session(b"\x00\xd6\x96\x00\x06" + bytes(6)) == (b"", 0x6982)
    assert session("00B0960600") == (b"", 0x6B00)


def test_published_key_load(psam: VirtualPsam) -> None:
    """The recorded key record is decrypted to usage 22, version 00, algorithm 00 and its key."""
    master = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    plain = b"\x13\x22\x00\x00" + master + b"\x80\x00\x00\x00"
    recorded = bytes.fromhex("DCC0BB5793ABFCA2CA8C1624822F6E01A86A0B5CBED191DD")
    psam.memory.image.control = master
    session = issuing.Session(psam.transmit)
    session.ok("00A4000002DF01")
    assert crypto.encrypt(master, plain) == recorded

    assert session.protected(master, bytes.fromhex("84D40102"), recorded) == (b"", 0x9000)
    assert psam.memory.image.keys[-1].value == master


def test_control_key_locks_after_three_wrong_loads(session: issuing.Session) -> None:
    """Loading keys without the control key fails three times and then for good."""
    record = bytes.fromhex("220100") + bytes(16)
    answers = [session.write_key(bytes(16), 0x01, 0x02, record)[1] for _ in range(4)]

    assert answers == [0x6988, 0x6988, 0x6988, 0x6983]
    assert session.write_key(issuing.CONTROL, 0x01, 0x02, record) == (b"", 0x6983)


@pytest.mark.parametrize(
    ("p1", "p2", "record", "expected"),
    [
        (0x01, 0x02, "420100", 0x6A80),  # two levels
        (0x39, 0x00, "220100", 0x6A80),
        (0x02, 0x00, "220100", 0x6A86),
        (0x39, 0x01, "390100", 0x6A86),
    ],
)
def test_bad_key_loads(
    session: issuing.Session, p1: int, p2: int, record: str, expected: int
) -> None:
    """Only purchase keys of one level and the control key can be loaded."""
    data = bytes.fromhex(record) + bytes(16)

    assert session.write_key(issuing.CONTROL, p1, p2, data) == (b"", expected)


def test_key_is_replaced_by_number(session: issuing.Session) -> None:
    """Loading the same number again replaces the key; its version then names the new one."""
    record = bytes.fromhex("220200") + issuing.PSAM_MASTER
    assert session.write_key(issuing.CONTROL, 0x01, 0x01, record)[1] == 0x9000

    assert session(INIT) == (b"", 0x9403)
    assert session(INIT[:5] + REQUEST[:18] + b"\x02\x00" + REQUEST[20:])[1] == 0x9000


def test_challenge_is_good_for_one_command(session: issuing.Session) -> None:
    """A key load needs the challenge of the command right before it."""
    session.iv()
    session("00B0950000")

    assert session(b"\x84\xd4\x01\x02\x1c" + bytes(28)) == (b"", 0x6984)


def test_no_repr_shows_a_key(psam: VirtualPsam) -> None:
    """Printing the image of a PSAM shows no key byte."""
    shown = repr(psam.memory.image)

    assert repr(issuing.PSAM_MASTER)[2:-1] not in shown
    assert repr(issuing.CONTROL)[2:-1] not in shown
