# SPDX-License-Identifier: Apache-2.0
"""The purse: its state machine, what a debit commits, and what the card proves afterwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hardware_mocks.cardos import crypto
from hardware_mocks.cardos.cos import VirtualCard
from tests.unit.hardware_mocks.cardos import issuing

SELECT = b"\x00\xa4\x04\x00\x06" + issuing.AID
INITIALIZE = b"\x80\x50\x03\x02\x0b\x02" + bytes(4) + issuing.PSAM_NO
RECORD = bytes.fromhex("AA1E") + bytes(range(30))
UPDATE = b"\x80\xdc\xaa\xc8\x20" + RECORD
WHEN = bytes.fromhex("20261121090000")


@pytest.fixture
def card() -> VirtualCard:
    """A personalised card without contacts."""
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


def _debit(init: bytes, sequence: int = 7) -> bytes:
    """Build DEBIT for the answer of an INITIALIZE with the software PSAM's key."""
    key = crypto.session_key(
        issuing.PURCHASE_SOFT, init[11:15], int.from_bytes(init[4:6], "big"), sequence
    )
    mac1 = crypto.purse_mac(key, bytes(4) + b"\x09" + issuing.PSAM_NO + WHEN)
    return b"\x80\x54\x01\x00\x0f" + sequence.to_bytes(4, "big") + WHEN + mac1


def _tap(session: issuing.Session) -> bytes:
    init = session.ok(INITIALIZE)
    session.ok(UPDATE)
    return session.ok(_debit(init))


def _read_log(session: issuing.Session, number: int) -> bytes:
    session.authenticate(issuing.DESK_READ, 1)
    return session.protected(issuing.MAINTENANCE, bytes((0x04, 0xB2, number, 0xC4)))[0][:-4]


def test_initialize_shows_the_purse(session: issuing.Session) -> None:
    """INITIALIZE returns balance, counter, overdraft, key version, algorithm and a random."""
    answer = session.ok(INITIALIZE)

    assert answer[:11].hex() == "0000000000000000000100"
    assert answer[11:15] != session.ok(INITIALIZE)[11:15]


def test_debit_commits_everything_at_once(session: issuing.Session) -> None:
    """Counter, log, composite record and proof appear together with the answer."""
    answer = _tap(session)

    assert session.ok("00B2AAC800") == RECORD
    assert session.ok(INITIALIZE)[4:6] == b"\x00\x01"
    assert session.ok("805A000902000008") == answer[4:] + answer[:4]
    log = bytes(2) + bytes(3) + bytes(4) + b"\x09" + issuing.PSAM_NO + WHEN
    assert _read_log(session, 1) == log


def test_published_capp_vector() -> None:
    """With the random and keys of the published trace the card answers its TAC and MAC2."""
    values = [bytes.fromhex("584633C9")]
    card = VirtualCard(contactless=True, random=lambda _length: values[0])
    session = issuing.Session(card.transmit)
    key = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    session.ok(issuing.MF)
    session.ok(issuing.ADF)
    session.ok(SELECT)
    session.ok(issuing.ADF_KEY_FILE)
    session.ok(b"\x80\xd4\x01\x01\x15" + issuing.key_record("3EF0FF0000", key))
    session.ok(b"\x80\xd4\x01\x00\x15" + issuing.key_record("34F0FF0000", key))
    for create in issuing.FILES[3:]:
        session.ok(create)
    session.ok(b"\x00\xe2\x00\xcc\x20" + issuing.EMPTY_RECORD)

    init = session.ok("805003020B01000000000011223344550F")
    session.ok(UPDATE)
    answer = session.ok("805401000F00000000202611210900008E8147AA08")

    assert init.hex() == "0000000000000000000000584633c9"
    assert answer.hex() == "b79c7329a0564210"


@pytest.mark.parametrize(
    ("before", "then", "expected"),
    [
        ([], UPDATE, 0x6901),
        ([], b"\x80\x54\x01\x00\x0f" + bytes(15), 0x6901),
        ([INITIALIZE], b"\x80\x54\x01\x00\x0f" + bytes(15), 0x6901),
        ([INITIALIZE, UPDATE], b"\x80\x52\x00\x00\x0b" + bytes(11), 0x6901),
        ([INITIALIZE, UPDATE, SELECT], b"\x80\x54\x01\x00\x0f" + bytes(15), 0x6901),
        ([INITIALIZE, UPDATE], b"\x80\x54\x01\x00\x0f" + bytes(15), 0x9302),
        ([INITIALIZE, UPDATE], b"\x80\x54\x00\x00\x0f" + bytes(15), 0x6A86),
        ([INITIALIZE, UPDATE], b"\x80\x54\x01\x00\x0e" + bytes(14), 0x6700),
        ([INITIALIZE], b"\x80\xdc\xab\xc8\x20" + RECORD, 0x6A83),
        ([INITIALIZE], b"\x80\xdc\xaa\xc8\x1f" + RECORD[:31], 0x6A80),
        ([INITIALIZE], b"\x80\xdc\xaa\xc8\x1f\xaa\x1d" + bytes(29), 0x6700),
        ([INITIALIZE], b"\x80\xdc\xaa\xc1\x20" + RECORD, 0x6A86),
        ([INITIALIZE], b"\x80\xdc\xaa\xe0\x20" + RECORD, 0x6A82),
        ([INITIALIZE], b"\x80\xdc\xaa\xa8\x20" + RECORD, 0x6981),
        ([], b"\x80\x50\x03\x01\x0b" + INITIALIZE[5:], 0x6A86),
        ([], b"\x80\x50\x02\x02\x0b" + INITIALIZE[5:], 0x6A86),
        ([], b"\x80\x50\x03\x02\x0a" + INITIALIZE[5:15], 0x6700),
        ([], INITIALIZE + b"\x0e", 0x6700),
        ([], b"\x80\x50\x03\x02\x0b\x03" + INITIALIZE[6:], 0x9403),
        ([], b"\x80\x50\x03\x02\x0b\x02\x00\x00\x00\x01" + issuing.PSAM_NO, 0x9401),
        ([], b"\x80\x50\x01\x01\x0b" + INITIALIZE[5:], 0x6A82),
    ],
)
def test_state_machine(
    session: issuing.Session, before: list[bytes], then: bytes, expected: int
) -> None:
    """Each purse command has its place, and everything else its status word."""
    for apdu in before:
        session.ok(apdu)

    assert session(then) == (b"", expected)


def test_failed_debit_uses_the_transaction_up(session: issuing.Session) -> None:
    """After a wrong MAC1 the right one comes too late: the random is gone, nothing changed."""
    init = session.ok(INITIALIZE)
    session.ok(UPDATE)
    right = _debit(init)
    assert session(right[:-1] + bytes((right[-1] ^ 1,))) == (b"", 0x9302)

    assert session(right) == (b"", 0x6901)
    assert session.ok("00B2AAC800") == issuing.EMPTY_RECORD
    assert session.ok(INITIALIZE)[4:6] == b"\x00\x00"


def test_wrong_mac1_never_locks_the_purchase_key(session: issuing.Session) -> None:
    """A purchase key has no error counter: a passer-by cannot kill a card."""
    for _ in range(20):
        session.ok(INITIALIZE)
        session.ok(UPDATE)
        assert session(b"\x80\x54\x01\x00\x0f" + bytes(15))[1] == 0x9302

    assert len(_tap(session)) == 8


def test_wrong_le_does_not_debit(session: issuing.Session) -> None:
    """An Le that does not fit is refused before anything is committed."""
    init = session.ok(INITIALIZE)
    session.ok(UPDATE)

    assert session(_debit(init) + b"\x04") == (b"", 0x6700)
    assert session.ok(INITIALIZE)[4:6] == b"\x00\x00"


def test_later_update_of_the_cache_wins(session: issuing.Session) -> None:
    """UPDATE CAPP DATA CACHE may be repeated; only the debit writes, and the last one counts."""
    init = session.ok(INITIALIZE)
    session.ok(b"\x80\xdc\xaa\xc8\x20" + bytes.fromhex("AA1E") + b"\x55" * 30)
    assert session.ok("00B2AAC800") == issuing.EMPTY_RECORD
    session.ok(b"\x80\xdc\x01\xcc\x20" + RECORD)
    session.ok(_debit(init))

    assert session.ok("00B2AAC800") == RECORD


def test_composite_record_cannot_be_written_directly(session: issuing.Session) -> None:
    """Outside a debit the composite file has a write right, and it is kept."""
    assert session(b"\x00\xdc\xaa\xc8\x20" + RECORD) == (b"", 0x6982)


def test_commands_between_do_not_disturb(session: issuing.Session) -> None:
    """Reading and GET CHALLENGE between the purse commands leave the transaction alone."""
    init = session.ok(INITIALIZE)
    session.ok("0084000004")
    session.ok(UPDATE)
    session.ok("00B2AAC800")

    assert len(session.ok(_debit(init))) == 8


def test_proof_is_of_the_latest_transaction_only(session: issuing.Session) -> None:
    """GET TRANSACTION PROVE answers 9406 for older, later and other transactions."""
    assert session("805A000902000008") == (b"", 0x9406)
    _tap(session)
    second = _tap(session)

    assert session("805A000902000008") == (b"", 0x9406)
    assert session("805A000902000208") == (b"", 0x9406)
    assert session("805A000602000108") == (b"", 0x9406)
    assert session.ok("805A000902000108") == second[4:] + second[:4]
    assert session("805A000802000108") == (b"", 0x6A86)


def test_proof_survives_power_off(card: VirtualCard, session: issuing.Session) -> None:
    """A card that lost power after the debit still proves it."""
    answer = _tap(session)
    card.power_off()
    card.power_on()
    session.ok(SELECT)

    assert session.ok("805A000902000008") == answer[4:] + answer[:4]


def test_log_keeps_the_latest_thirty(session: issuing.Session) -> None:
    """The 31st tap pushes the first out of the log."""
    for _ in range(31):
        _tap(session)

    assert _read_log(session, 1)[:2] == (30).to_bytes(2, "big")
    assert _read_log(session, 30)[:2] == (1).to_bytes(2, "big")
    assert session.protected(issuing.MAINTENANCE, bytes.fromhex("04B21FC4"))[1] == 0x6A83


def test_counter_never_wraps(card: VirtualCard, session: issuing.Session) -> None:
    """At 65535 the card refuses with 9402, for ever."""
    _set_counter(card, 0xFFFE)
    session.ok(SELECT)
    _tap(session)

    assert session(INITIALIZE) == (b"", 0x9402)
    assert len(session.ok("805A000902FFFE08")) == 8


def _set_counter(card: VirtualCard, value: int) -> None:
    mf = card.memory.image.mf
    assert mf is not None
    purse = mf.children[0x3F01].files[0x0002].purse
    assert purse is not None
    purse.offline = value
    card.memory.commit()


def test_balance_is_always_zero(session: issuing.Session) -> None:
    """The attendance purse holds nothing, and there is no passbook."""
    assert session.ok("805C000204") == bytes(4)
    assert session("805C000104") == (b"", 0x6A82)
    assert session("805C000202") == (bytes(4), 0x9000)  # the session follows 6C04


def test_missing_tac_key_is_noticed_before_anything_changes() -> None:
    """Without an internal key the debit is refused and nothing is committed."""
    session = issuing.Session(VirtualCard(contactless=True).transmit)
    session.ok(issuing.MF)
    session.ok(issuing.ADF)
    session.ok(SELECT)
    session.ok(issuing.ADF_KEY_FILE)
    session.ok(b"\x80\xd4\x01\x02\x15" + issuing.key_record("3EF0FF0100", issuing.PURCHASE_SOFT))
    for create in issuing.FILES[3:]:
        session.ok(create)
    session.ok(b"\x00\xe2\x00\xcc\x20" + issuing.EMPTY_RECORD)
    init = session.ok(INITIALIZE)
    session.ok(UPDATE)

    assert session(_debit(init)) == (b"", 0x6A88)
    assert session.ok(INITIALIZE)[4:6] == b"\x00\x00"
    assert session.ok("00B2AAC800") == issuing.EMPTY_RECORD


def _replay(values: list[str]) -> Callable[[int], bytes]:
    queue = [bytes.fromhex(value) for value in values]
    return lambda _length: queue.pop(0)


def test_recorded_load_and_purchase_replay() -> None:
    """A recorded session of a real card, load and purchase, gives the recorded bytes here."""
    random = _replay(["E0B84748", "C903814D", "584633C9"])
    session = issuing.Session(VirtualCard(contactless=True, random=random).transmit)
    key = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    session.ok(issuing.MF)
    session.ok("80E03F010D380800F0F095FFFF1122334455")
    session.ok("00A40000023F01")
    session.ok("80E00000073F018F95F0FFFF")
    for number, head in (
        (0, "34F0F20101"),
        (0, "3EF0F20000"),
        (2, "3FF0F20000"),
        (1, "3FF0F20100"),
    ):
        session.ok(bytes((0x80, 0xD4, 0x01, number, 0x15)) + issuing.key_record(head, key))
    session.ok("80E00018072E0A17F0EFFFFF")
    session.ok("80E00002072F0208F000FF18")

    first = session.ok("805000020B020000200000112233445510")
    second = session.ok("805000020B010000200000112233445510")
    tac = session.ok("805200000B201612161058008AFA571804")
    init = session.ok("805001020B0000000001001122334455")
    answer = session.ok("805401000F0000000020161216134600D45737C508")

    assert first.hex() == "0000000000000000e0b84748ea411f90"
    assert second.hex() == "0000000000000100c903814d03976c22"
    assert tac.hex() == "fa00066d"
    assert init.hex() == "0000200000000000000000584633c9"
    assert answer.hex() == "8af270dc66b54a6b"
    assert session.ok("805C000204").hex() == "00001fff"
    assert session.ok("00B201C400").hex() == "0000000000000000010600112233445520161216134600"


def test_recorded_test_environment_replays() -> None:
    """A second recorded card, with PIN, load and log, gives the recorded bytes here."""
    session = issuing.Session(VirtualCard(contactless=True, random=_replay(["4E066548"])).transmit)
    session.ok(issuing.MF)
    for apdu in (
        "80E03F010D380800F0F095FFFF1122334455",
        "00A40000023F0100",
        "80E00000073F018F95F0FFFF",
        "80D401000D39F0F0AAFF1122334455667788",
        "80D40100153EF0F000013E3E3E3E3E3E3E3E1122334455667788",
        "80D40100153FF0F000013F3F3F3F3F3F3F3F1122334455667788",
        "80D401001534F0F0000134343434343434341122334455667788",
        "80D40100073AF0EFAAFF1234",
        "80E00018072E0A17F0EFFFFF",
        "80E00002072F0208F000FF18",
    ):
        session.ok(apdu)
    assert session.ok("805C000204") == bytes(4)
    session.ok("00200000021234")

    init = session.ok("805000020B000000001066666666666610")
    tac = session.ok("805200000B20240411212121097E98FE04")

    assert init.hex() == "00000000000000014e0665480d39adbb"
    assert tac.hex() == "a802863e"
    assert session.ok("805C000204").hex() == "00000010"
    # The recorded card logs serial 0001 here; the manual says the serial before its step.
    assert session.ok("00B201C400").hex() == "0000000000000000100266666666666620240411212121"
