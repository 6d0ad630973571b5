# SPDX-License-Identifier: Apache-2.0
"""The general purse: passbook, purse and PIN under 3DES and SM4, checked by another's formulas."""

from __future__ import annotations

import pytest

from hardware_mocks.cardos import state
from hardware_mocks.cardos.algorithms import DES, SM4
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cards import wallet
from hardware_mocks.cards.cashier import Cashier
from keys import purse
from keys.algorithm import Algorithm

NEW_PIN = bytes.fromhex("6543")
WRONG = bytes(16)


@pytest.fixture(params=[Algorithm.TDES, Algorithm.SM4], ids=["3des", "sm4"])
def cashier(request: pytest.FixtureRequest) -> Cashier:
    """A purse card with its application selected, under either algorithm."""
    card = VirtualCard(uid=b"YIKA", contactless=True)
    wallet.issue(card, SM4 if request.param is Algorithm.SM4 else DES)
    cashier = Cashier(card, request.param)
    cashier.select()
    return cashier


@pytest.mark.parametrize("fid", [wallet.PASSBOOK, wallet.PURSE])
def test_load_and_purchase(cashier: Cashier, fid: int) -> None:
    """Passbook and purse take value and give it; both sides agree on every MAC and TAC."""
    assert cashier.load(500, fid).sw == 0x6982
    cashier.verify_pin()
    first, second = cashier.load(500, fid), cashier.purchase(120, fid)

    assert (first.done, second.done, cashier.balance(fid)) == (True, True, 380)
    assert cashier.purchase(381, fid).sw == 0x9401
    kind = 0x05 if fid == wallet.PASSBOOK else 0x06
    assert cashier.prove(kind, second.sequence)[0] == second.proof[4:] + second.proof[:4]
    log = cashier.send(bytes.fromhex("00B201C417"))[0]
    assert log.hex() == f"0000000000000000780{kind}00112233445520261121090000"


def test_cash_and_unload(cashier: Cashier) -> None:
    """The passbook pays out cash off line and gives value back on line, proven by MAC3."""
    cashier.verify_pin()
    cashier.load(500, wallet.PASSBOOK)
    cash = cashier.purchase(100, wallet.PASSBOOK, p1=0x02)
    back = cashier.unload(150)

    assert (cash.done, back.done, back.sequence) == (True, True, 1)
    assert cashier.balance(wallet.PASSBOOK) == 250
    assert cashier.prove(0x03, 1)[0][:4] == back.proof
    assert cashier.unload(251).sw == 0x9401


def test_overdraft_limit(cashier: Cashier) -> None:
    """A limit adds to what may be spent, cannot be unloaded, and cannot fall below the debt."""
    cashier.verify_pin()
    cashier.load(100, wallet.PASSBOOK)
    assert cashier.set_limit(50).done
    assert cashier.balance(wallet.PASSBOOK) == 150
    assert cashier.unload(101).sw == 0x9401
    assert cashier.purchase(130, wallet.PASSBOOK).done
    assert cashier.set_limit(29).sw == 0x6985
    assert cashier.set_limit(30).done
    assert cashier.balance(wallet.PASSBOOK) == 0


def test_composite_purchase(cashier: Cashier) -> None:
    """A composite purchase leaves its record with the payment, under either algorithm."""
    record = bytes.fromhex("AA0E") + bytes(range(14))
    assert cashier.purchase(0, p1=0x03, record=record).done
    assert cashier.send(bytes.fromhex("00B2AAC800"))[0] == record


def test_pin_changes_hands(cashier: Cashier) -> None:
    """A PIN is changed by who knows it, and reloaded and unblocked by who holds the keys."""
    assert cashier.change_pin(wallet.PIN, NEW_PIN) == 0x9000
    assert cashier.verify_pin() == 0x63C2
    assert cashier.change_pin(wallet.PIN, NEW_PIN) == 0x63C1
    assert cashier.verify_pin(NEW_PIN) == 0x9000
    assert cashier.reload_pin(wallet.PIN) == 0x9000
    for left in (0x63C2, 0x63C1, 0x63C0, 0x6983):
        assert cashier.verify_pin(NEW_PIN) == left
    assert cashier.verify_pin() == 0x6983
    assert cashier.unblock_pin(NEW_PIN) == 0x9000
    assert cashier.verify_pin(NEW_PIN) == 0x9000


def test_three_wrong_unblocks_end_the_application(cashier: Cashier) -> None:
    """The last wrong unblock of three blocks the application for good."""
    assert [cashier.unblock_pin(NEW_PIN, WRONG) for _ in range(3)] == [0x6988, 0x6988, 0x9303]
    assert cashier.select() == 0x9303


def test_wrong_reloads_end_the_application(cashier: Cashier) -> None:
    """A wrong reload costs a try of its key; the last one ends the application."""
    assert cashier.reload_pin(NEW_PIN, WRONG) == 0x9302
    assert cashier.reload_pin(NEW_PIN) == 0x9000
    assert [cashier.reload_pin(NEW_PIN, WRONG) for _ in range(3)] == [0x9302, 0x9302, 0x9303]
    assert cashier.balance() == 0
    assert cashier.select() == 0x9303


@pytest.mark.parametrize("body", ["1234", "123456FF", "FF1234", "123456FF11223344556677"])
def test_pin_change_of_a_wrong_form(cashier: Cashier, body: str) -> None:
    """A change without filler, without a PIN on either side, or with one too long costs no try."""
    data = bytes.fromhex(body)
    assert cashier.send(bytes((0x80, 0x5E, 0x01, 0x00, len(data))) + data)[1] == 0x6700
    assert cashier.verify_pin() == 0x9000


def test_presence_and_authentication(cashier: Cashier) -> None:
    """INTERNAL and EXTERNAL AUTHENTICATE answer eight bytes with eight under either algorithm."""
    answer, _ = cashier.send(bytes.fromhex("00880001080102030405060708"))
    expected = purse.cg2(wallet.PRESENCE, bytes(range(1, 9)), algorithm=cashier.algorithm)

    assert answer == expected
    assert cashier.authenticate(WRONG) == 0x63C2
    assert cashier.authenticate() == 0x9000


def test_keys_are_replaced_encrypted(cashier: Cashier) -> None:
    """A key write encrypted and MACed under the control key is taken under either algorithm."""
    cashier.authenticate()
    sm4 = cashier.algorithm is Algorithm.SM4
    record = bytes.fromhex("F0F0FF01") + bytes((cashier.algorithm.card_id,)) + WRONG
    sealed = purse.wrap_ecb(wallet.CONTROL, record, algorithm=cashier.algorithm)
    header = bytes.fromhex("84D4F001")
    assert len(sealed) == (32 if sm4 else 24)
    assert cashier.protected(wallet.CONTROL, header, sealed)[1] == 0x9000
    answer, _ = cashier.send(bytes.fromhex("00880001080102030405060708"))
    assert answer == purse.cg2(WRONG, bytes(range(1, 9)), algorithm=cashier.algorithm)


def test_encrypted_file_is_written_and_read(cashier: Cashier) -> None:
    """A file with both protections takes and gives its data encrypted and MACed."""
    cashier.verify_pin()
    secret = bytes(range(20))
    sealed = purse.wrap_ecb(wallet.MAINTENANCE, secret, algorithm=cashier.algorithm)
    header = bytes.fromhex("04D69700")
    assert cashier.protected(wallet.MAINTENANCE, header, sealed)[1] == 0x9000
    answer, sw = cashier.protected(wallet.MAINTENANCE, bytes.fromhex("04B09700"))
    assert sw == 0x9000
    assert secret not in answer
    files = _application(cashier).files
    assert (files[0x0017].body or b"")[:20] == secret


def _application(cashier: Cashier) -> state.Df:
    memory = cashier.chip.memory  # type: ignore[attr-defined]
    application: state.Df = memory.image.mf.children[wallet.FID]
    return application


def test_card_of_a_counted_sm4_key_survives_power(cashier: Cashier) -> None:
    """The written image keeps what kind each key is of."""
    application = _application(cashier)
    written = state.dump(cashier.chip.memory.image)  # type: ignore[attr-defined]
    again = state.load(written).mf
    assert again is not None
    assert again.children[wallet.FID] == application
    keys = {key.sm4 for key in application.key_file.keys if key.kind != 0x3A}  # type: ignore[union-attr]
    assert keys == {cashier.algorithm is Algorithm.SM4}


def test_sixth_byte_must_be_sm4() -> None:
    """A counted key of 22 bytes names SM4 or is refused."""
    card = VirtualCard(contactless=True)
    wallet.issue(card)
    cashier = Cashier(card)
    cashier.select()
    cashier.authenticate()
    record = bytes.fromhex("39F0FF0F3305") + WRONG
    assert cashier.send(bytes((0x80, 0xD4, 0x01, 0x05, len(record))) + record)[1] == 0x6A80
