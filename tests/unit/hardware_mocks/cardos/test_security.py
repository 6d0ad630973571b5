# SPDX-License-Identifier: Apache-2.0
"""Who may do what: rights, challenges, authentication, keys, counters that lock for good."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hardware_mocks.cardos import crypto
from hardware_mocks.cardos.cos import VirtualCard
from tests.unit.hardware_mocks.cardos import issuing

SELECT = b"\x00\xa4\x04\x00\x06" + issuing.AID
WRONG = bytes(range(0xA0, 0xB0))


@pytest.fixture
def card() -> VirtualCard:
    """A personalised card without contacts, freshly reset."""
    card = VirtualCard(contactless=True)
    issuing.personalise(issuing.Session(card.transmit))
    card.reset()
    return card


@pytest.fixture
def session(card: VirtualCard) -> issuing.Session:
    """A session with the card, its application selected."""
    session = issuing.Session(card.transmit)
    session.ok(SELECT)
    return session


def _fixed(*values: str) -> Callable[[int], bytes]:
    queue = [bytes.fromhex(value) for value in values]
    return lambda length: queue.pop(0)[:length]


def test_published_authentications() -> None:
    """The manual's examples of external and internal authentication run on the card."""
    card = VirtualCard(contactless=True, random=_fixed("BB83BFF3"))
    session = issuing.Session(card.transmit)
    session.ok(issuing.MF)
    session.ok(issuing.MF_KEY_FILE)
    session.ok("80D401010D39F0EF11330102030405060708")
    for kind, number in (("30", "01"), ("31", "02"), ("32", "03")):
        session.ok(f"80D401{number}0D{kind}F0EF98051122334455667788")

    assert session.ok("0084000004").hex() == "bb83bff3"
    session.ok("008200010874B0047DD681D96C")
    assert session.ok("00880001080102030405060708").hex() == "178f59f8578e0d3f"
    assert session.ok("0088010208178F59F8578E0D3F").hex() == "0102030405060708"
    assert session.ok("00880203080102030405060708").hex() == "a82a8ceb"


def test_published_key_writes() -> None:
    """The recorded encrypted and MACed key writes are accepted byte by byte."""
    random = _fixed("4C45BAB9", "EF364818", "C0B3549C")
    card = VirtualCard(contactless=True, random=random)
    session = issuing.Session(card.transmit)
    session.ok(issuing.MF)
    session.ok(issuing.MF_KEY_FILE)
    session.ok(b"\x80\xd4\x01\x00\x15" + issuing.key_record("39F0F0AAFF", issuing.TRANSPORT))
    session.ok("80D401010D39F0F0AAFF0000000000000000")
    writes = (
        "84D40102147C87BC23140021B3AFEA67E6359DDCFED7C943F6",
        "84D43901147C87BC23140021B3AFEA67E6359DDCFE9095E4E1",
        "84D4F902147E65DE142F66CA41AFEA67E6359DDCFE012EF5F5",
    )
    for write in writes:
        session.ok("0084000004")
        session.ok(write)

    mf = card.memory.image.mf
    assert mf is not None
    key = mf.key(0x39, 0x02)
    assert key is not None
    assert (key.value.hex(), key.line) == ("1122334455667788", 0)


def test_challenge_is_good_for_one_command(session: issuing.Session) -> None:
    """Any command after GET CHALLENGE uses the challenge up, even one that fails."""
    cryptogram = crypto.encrypt(issuing.CONTROL, session.iv())
    session("00B2AAC800")

    assert session(b"\x00\x82\x00\x00\x08" + cryptogram) == (b"", 0x6984)


def test_challenge_dies_with_an_unknown_command(session: issuing.Session) -> None:
    """A command the card does not know uses the challenge up as well."""
    cryptogram = crypto.encrypt(issuing.CONTROL, session.iv())
    session("00FF000000")

    assert session(b"\x00\x82\x00\x00\x08" + cryptogram) == (b"", 0x6984)


def test_challenge_is_not_good_twice(session: issuing.Session) -> None:
    """An authentication cannot be replayed."""
    replay = b"\x00\x82\x00\x00\x08" + crypto.encrypt(issuing.CONTROL, session.iv())
    session.ok(replay)

    assert session(replay) == (b"", 0x6984)


@pytest.mark.parametrize("le", ["00", "01", "05", "10"])
def test_challenge_has_4_or_8_bytes(session: issuing.Session, le: str) -> None:
    """GET CHALLENGE gives 4 or 8 bytes, nothing else."""
    assert session("00840000" + le) == (b"", 0x6700)
    assert len(session.ok("0084000008")) == 8


def test_wrong_proofs_count_down_to_a_lock_for_good(session: issuing.Session) -> None:
    """Three wrong proofs lock a key; the right one, a reset and a new session change nothing."""
    answers = [session.authenticate(WRONG) for _ in range(4)]

    assert answers == [0x63C2, 0x63C1, 0x63C0, 0x6983]
    assert session.authenticate(issuing.CONTROL) == 0x6983


def test_lock_survives_power_off(card: VirtualCard, session: issuing.Session) -> None:
    """The counter of wrong proofs is not volatile."""
    session.authenticate(WRONG)
    card.power_off()
    card.power_on()
    session.ok(SELECT)

    assert session.authenticate(WRONG) == 0x63C1


def test_right_proof_restores_the_counter(session: issuing.Session) -> None:
    """After a right proof all tries are there again."""
    session.authenticate(WRONG)
    session.authenticate(issuing.CONTROL)

    assert session.authenticate(WRONG) == 0x63C2


def test_unknown_key_is_named(session: issuing.Session) -> None:
    """EXTERNAL AUTHENTICATE with a key that is not there answers 6A88 and counts nothing."""
    assert session.authenticate(WRONG, number=7) == 0x6A88


def test_each_reader_of_the_register_gets_its_range(session: issuing.Session) -> None:
    """0016 needs register 2 or more: the desk key opens it, reset and SELECT close it again."""
    assert session("00B0960000") == (b"", 0x6982)
    assert session.authenticate(issuing.DESK_READ, number=1) == 0x9000
    assert session("00B0960000")[1] == 0x9000
    session.ok(SELECT)
    assert session("00B0960000") == (b"", 0x6982)


def test_exact_right_refuses_a_lower_state(session: issuing.Session) -> None:
    """The write right FF wants the control key; the desk key does not do."""
    session.authenticate(issuing.DESK_READ, number=1)
    _, sw = session.protected(issuing.MAINTENANCE, bytes.fromhex("04D69500"), b"\x00")

    assert sw == 0x6982


def test_never_is_never(session: issuing.Session) -> None:
    """The log has write right EF: not even the control key writes it directly."""
    session.authenticate(issuing.CONTROL)

    assert session("00E200C417" + "00" * 23) == (b"", 0x6982)


def test_register_of_the_mf_does_not_open_the_application(session: issuing.Session) -> None:
    """A proof in the MF sets the register of the MF only; it is there again on return."""
    session.ok("00A40000023F00")
    assert session.authenticate(issuing.CARD_CONTROL) == 0x9000
    session.ok(SELECT)
    assert session("00B0960000") == (b"", 0x6982)
    session.ok("00A40000023F00")
    assert session("80E00001072A0213F000FFFF") == (b"", 0x9000)


def test_protected_write_needs_its_mac(session: issuing.Session) -> None:
    """A line-protected file takes no plain data, even from the right person."""
    session.authenticate(issuing.CONTROL)

    assert session("00D695000100") == (b"", 0x6987)


def test_mac_without_challenge(session: issuing.Session) -> None:
    """A MACed command without a fresh challenge is 6984 and costs no try."""
    session.authenticate(issuing.CONTROL)

    assert session("04D69500050001020304") == (b"", 0x6984)


def test_three_wrong_macs_block_the_application_for_good(session: issuing.Session) -> None:
    """The third wrong MAC under the maintenance key ends the application for ever."""
    session.authenticate(issuing.CONTROL)
    header = bytes.fromhex("04D69500")
    answers = [session.protected(WRONG, header, b"\x00")[1] for _ in range(3)]

    assert answers == [0x6988, 0x6988, 0x9303]
    assert session("00B2AAC800") == (b"", 0x9303)
    assert session(SELECT) == (b"", 0x9303)


def test_a_stranger_cannot_spend_the_tries(session: issuing.Session) -> None:
    """Without the control key a wrong MAC is refused by its right and counts nothing."""
    header = bytes.fromhex("04D69500")
    answers = {session.protected(WRONG, header, b"\x00")[1] for _ in range(5)}

    assert answers == {0x6982}


def test_right_mac_restores_the_counter(session: issuing.Session) -> None:
    """A right MAC forgives the wrong ones before it."""
    session.authenticate(issuing.CONTROL)
    header = bytes.fromhex("04D69500")
    for _ in range(3):
        assert session.protected(WRONG, header, b"\x00")[1] == 0x6988
        assert session.protected(issuing.MAINTENANCE, header, b"Y")[1] == 0x9000


def test_wrong_mac_on_a_key_write(session: issuing.Session) -> None:
    """WRITE KEY answers a wrong MAC with 9302 and changes nothing."""
    session.authenticate(issuing.CONTROL)
    record = issuing.key_record("39F0FF0F33", WRONG)
    assert session.write_key(WRONG, 0x39, 0x00, record) == (b"", 0x9302)

    session.ok(SELECT)
    assert session.authenticate(issuing.CONTROL) == 0x9000


def test_key_is_replaced_under_the_control_key(session: issuing.Session) -> None:
    """The control key replaces itself; the old one is worthless at once."""
    session.authenticate(issuing.CONTROL)
    record = issuing.key_record("39F0FF0F33", WRONG)
    assert session.write_key(issuing.CONTROL, 0x39, 0x00, record)[1] == 0x9000

    assert session.authenticate(issuing.CONTROL) == 0x63C2
    assert session.authenticate(WRONG) == 0x9000


@pytest.mark.parametrize(
    ("p1", "p2", "record", "expected"),
    [
        (0x01, 0x01, issuing.key_record("39F0FF0233", WRONG), 0x6A80),  # is there already
        (0x3E, 0x07, issuing.key_record("3EF0FF0100", WRONG), 0x6A88),  # is not there
        (0x3E, 0x01, issuing.key_record("34F0FF0100", WRONG), 0x6A80),  # another kind
        (0x3E, 0x01, issuing.key_record("3EF0FF0100", WRONG[:8]), 0x6700),  # another length
        (0x01, 0x05, issuing.key_record("33F0FF0100", WRONG), 0x6A80),  # no such kind
        (0x01, 0x05, issuing.key_record("3EF0FF0100", WRONG[:9]), 0x6700),  # no key length
        (0x01, 0xFF, issuing.key_record("3EF0FF0100", WRONG), 0x6A86),  # reserved number
    ],
)
def test_bad_key_writes(
    session: issuing.Session, p1: int, p2: int, record: bytes, expected: int
) -> None:
    """A key record that does not fit is refused by name."""
    session.authenticate(issuing.CONTROL)

    assert session.write_key(issuing.CONTROL, p1, p2, record) == (b"", expected)


def test_key_writes_need_their_right(session: issuing.Session) -> None:
    """Adding and changing keys needs the control key proven, not only known."""
    record = issuing.key_record("3EF0FF0100", WRONG)

    assert session.write_key(issuing.CONTROL, 0x01, 0x05, record) == (b"", 0x6982)
    assert session.write_key(issuing.CONTROL, 0x3E, 0x01, record) == (b"", 0x6982)


def test_protected_key_takes_no_plain_change() -> None:
    """A key installed with both line bits is changed encrypted and MACed only."""
    session = issuing.Session(VirtualCard(contactless=True).transmit)
    session.ok(issuing.MF)
    session.ok(issuing.MF_KEY_FILE)
    session.ok(b"\x80\xd4\x01\x00\x15" + issuing.key_record("F9F0FF0F33", issuing.TRANSPORT))
    change = issuing.key_record("F9F0FF0F33", WRONG)

    assert session(b"\x80\xd4\x39\x00\x15" + change) == (b"", 0x6987)
    assert session.write_key(issuing.TRANSPORT, 0xF9, 0x00, change) == (b"", 0x9000)


def test_pin_counts_and_opens() -> None:
    """A PIN (kind 3A) sets its next state, ignores trailing FF and locks after its tries."""
    session = issuing.Session(VirtualCard(contactless=True).transmit)
    session.ok(issuing.MF)
    session.ok(issuing.MF_KEY_FILE)
    session.ok("80D401000A3AF0EF013312345FFFFF")
    session.ok("80E0001507280008F1F1FFFF")
    session.ok("00A40000023F00")

    assert session("00B0950000") == (b"", 0x6982)
    assert session("002000000312345F") == (b"", 0x9000)
    assert session("00B0950000") == (b"\xff" * 8, 0x6281)
    wrong = [session("00200000021235")[1] for _ in range(4)]
    assert wrong == [0x63C2, 0x63C1, 0x63C0, 0x6983]


def test_application_block_and_unblock(session: issuing.Session) -> None:
    """A blocked application refuses everything but SELECT and its unblocking."""
    block, unblock = bytes.fromhex("841E0000"), bytes.fromhex("84180000")
    assert session.protected(issuing.MAINTENANCE, block)[1] == 0x9000
    assert session("00B2AAC800") == (b"", 0x6A81)
    assert session(SELECT) == (b"", 0x6A81)
    assert session.protected(issuing.MAINTENANCE, unblock)[1] == 0x9000
    assert session("00B2AAC800")[1] == 0x9000


def test_application_block_for_good(session: issuing.Session) -> None:
    """P2 = 01 blocks an application in a way that nothing undoes."""
    assert session.protected(issuing.MAINTENANCE, bytes.fromhex("841E0001"))[1] == 0x9000
    unblock = session.protected(issuing.MAINTENANCE, bytes.fromhex("84180000"))

    assert unblock == (b"", 0x9303)


def test_card_block(card: VirtualCard, session: issuing.Session) -> None:
    """A blocked card answers 6A81 to everything, also after a reset."""
    assert session.protected(issuing.MAINTENANCE, bytes.fromhex("84160000"))[1] == 0x9000
    card.reset()

    assert session(SELECT) == (b"", 0x6A81)
    assert session("0084000004") == (b"", 0x6A81)


def test_no_repr_shows_a_key(card: VirtualCard) -> None:
    """Printing the image of a card shows no key byte."""
    shown = repr(card.memory.image)

    assert "Key(" in shown
    assert repr(issuing.PRESENCE)[2:-1] not in shown
    assert issuing.PRESENCE.hex() not in shown
