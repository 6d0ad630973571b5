# SPDX-License-Identifier: Apache-2.0
"""The plain ISO card: another dialect behind the same shell, refusing what it does not know."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware_mocks.cardos import crypto
from hardware_mocks.cardos.errors import CardGone
from hardware_mocks.cardos.iso import state
from hardware_mocks.cardos.iso.card import COMMANDS, IsoCard
from hardware_mocks.cardos.iso.state import Secret
from hardware_mocks.cardos.tear import Moment, Tear
from tests.unit.hardware_mocks.cardos.issuing import Session

KEY = bytes(range(16))
APPLICATION = "00E000000E620C 820138 83027000 8403F05949"
BINARY = "00E0000014 6212 820101 83020001 80020010 880108 86020011"
CYCLIC = "00E0000017 6215 820406010004 83020002 8002000C 880110 86020000"


def _card() -> IsoCard:
    pins = {1: Secret(b"1234", unblock=b"87654321")}
    return IsoCard(pins=pins, keys={2: Secret(KEY)}, contactless=True)


@pytest.fixture
def card() -> IsoCard:
    """A plain card with one application, a binary and a cyclic file."""
    card = _card()
    session = Session(card.transmit)
    for create in (APPLICATION, BINARY, CYCLIC):
        session.ok(create)
    card.reset()
    return card


@pytest.fixture
def session(card: IsoCard) -> Session:
    """A session with the application selected by a part of its name."""
    session = Session(card.transmit)
    session.ok("00A4040C02F059")
    return session


def test_templates_describe_files(session: Session) -> None:
    """SELECT answers with a template that says kind, identifier, size and short identifier."""
    assert session.ok("00A4000002000100").hex() == "6f0e8201018302000180020010880108"
    assert session.ok("00A40004020002").hex().startswith("62")
    assert session("00A4000C020009")[1] == 0x6A82


def test_binary_needs_the_pin_and_ends_with_a_warning(session: Session) -> None:
    """Writing wants the PIN; reading past the end gives what there is with 6282."""
    assert session("00D6810003010203")[1] == 0x6982
    session.ok("00200081" + "04" + b"1234".hex())
    session.ok("00D681000301 0203")
    assert session("00B0810010") == (bytes((1, 2, 3)) + bytes(13), 0x9000)
    assert session("00B081080A") == (bytes(8), 0x6282)
    assert session("00B0811001")[1] == 0x6B00


def test_cyclic_file_drops_the_oldest(session: Session) -> None:
    """Three records fit; the newest is number one."""
    for number in range(4):
        session.ok(bytes((0x00, 0xE2, 0x00, 0x10, 4)) + bytes((number,) * 4))
    assert [session.ok(f"00B20{n}1404")[0] for n in (1, 2, 3)] == [3, 2, 1]
    assert session("00B2041404")[1] == 0x6A83


def test_pin_life(session: Session) -> None:
    """Tries are told without data, counted, blocked, and given back by the unblocking code."""
    assert session("00200081")[1] == 0x63C3
    assert [session("002000810430303030")[1] for _ in range(4)] == [
        0x63C2, 0x63C1, 0x63C0, 0x6983,
    ]  # fmt: skip
    assert session("002C00810C" + b"000000004321".hex())[1] == 0x63C2
    session.ok("002C00810C" + b"876543214321".hex())
    session.ok("0024008108" + b"43215678".hex())
    session.ok("0020008104" + b"5678".hex())


def test_authentication(session: Session) -> None:
    """Each side proves the shared key once; a challenge is good for one attempt."""
    challenge = session.ok("0084000008")
    session.ok(bytes.fromhex("0082008208") + crypto.encrypt(KEY, challenge))
    assert session(bytes.fromhex("0082008208") + crypto.encrypt(KEY, challenge))[1] == 0x6985
    assert session.ok("0088008208" + "00" * 8) == crypto.encrypt(KEY, bytes(8))


@pytest.mark.parametrize(
    ("apdu", "sw"),
    [
        ("805C000204", 0x6E00),
        ("84D401000411223344", 0x6E00),
        ("04B0810004", 0x6882),
        ("01B0810004", 0x6881),
        ("0050000000", 0x6D00),
        ("0020008904", 0x6A88),
        ("00E0000003620163", 0x6A80),
        ("00E0000014" + "6212820101830200018002001088010886020010", 0x6A89),
    ],
)
def test_other_habits(session: Session, apdu: str, sw: int) -> None:
    """Nothing of the other dialect works, and refusals have this card's own words."""
    assert session(apdu)[1] == sw


@pytest.mark.parametrize("moment", list(Moment))
def test_torn_write_is_old_or_new(card: IsoCard, session: Session, moment: Moment) -> None:
    """Cut in a write, the file is as before or as after."""
    session.ok("0020008104" + b"1234".hex())
    card.tear(Tear(ins=0xD6, moment=moment))
    with pytest.raises(CardGone):
        session("00D6810003010203")
    card.power_on()
    session.ok("00A4040C02F059")
    committed = moment in (Moment.RENAMED, Moment.BEFORE_ANSWER)
    assert session.ok("00B0810003") == (bytes((1, 2, 3)) if committed else bytes(3))


_APDU = st.builds(
    lambda ins, p1, p2, data, le: bytes((0, ins, p1, p2))
    + (bytes((len(data),)) + data if data else b"")
    + le,
    st.sampled_from(sorted(COMMANDS)),
    st.sampled_from((0, 1, 2, 4, 0x81, 0x82)),
    st.sampled_from((0, 4, 0x0C, 0x14, 0x81, 0x82)),
    st.binary(max_size=24),
    st.sampled_from((b"", b"\x00", b"\x08")),
)


@given(st.lists(st.one_of(_APDU, st.binary(max_size=20)), max_size=12))
@settings(max_examples=100, deadline=None)
def test_any_bytes_end_in_a_status_word(apdus: list[bytes]) -> None:
    """Whatever arrives, the card answers with a status word and keeps a readable image."""
    card = _card()
    session = Session(card.transmit)
    for create in (APPLICATION, BINARY, CYCLIC):
        session.ok(create)
    for apdu in apdus:
        assert len(card.transmit(apdu)) >= 2
    assert state.load(state.dump(card.memory.image)) == card.memory.image
