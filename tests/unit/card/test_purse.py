# SPDX-License-Identifier: Apache-2.0
"""The general purse against the virtual card, which computes on its own, and published traces."""

from __future__ import annotations

import pytest

from card import purse
from card.apdu import CommandApdu
from card.errors import CardProofWrong, LayoutError, MacRejected, StatusError
from card.operation import Connection, run
from card.purse import Kind, Order, Which
from hardware_mocks.cards import wallet
from keys.algorithm import Algorithm
from keys.usage import KeyUsage
from tests.contracts.connection_cards import Script
from tests.unit.card.wallets import BOTH, handle, opened, wallet_chip

TERMINAL = bytes.fromhex("001122334455")
DATE, TIME = bytes.fromhex("20261121"), bytes.fromhex("090000")
TRACE_KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
TRACE_DATE, TRACE_TIME = bytes.fromhex("20161216"), bytes.fromhex("105800")


def order(amount: int) -> Order:
    """Return an order at the test terminal."""
    return Order(amount, TERMINAL, DATE, TIME)


def load(connection: Connection, algorithm: Algorithm, amount: int, which: Which) -> purse.Receipt:
    """Load a purse card, its TAC checked."""
    return run(
        purse.load(
            order(amount),
            handle(KeyUsage.LOAD, wallet.LOAD, algorithm),
            handle(KeyUsage.TAC, wallet.INTERNAL, algorithm),
            which,
        ),
        connection,
    )


@BOTH
@pytest.mark.parametrize("which", Which, ids=lambda which: which.name)
def test_a_load_moves_money_and_is_proved(algorithm: Algorithm, which: Which) -> None:
    """Balance, counter and TAC of a load agree with the card's own view."""
    card = opened(wallet_chip(algorithm), algorithm)

    first = load(card, algorithm, 5000, which)
    second = load(card, algorithm, 1, which)

    assert (first.counter, first.balance) == (0, 5000)
    assert (second.counter, second.balance) == (1, 5001)
    assert run(purse.balance(which), card) == 5001
    assert run(purse.settle(second.kind, 1), card) is not None
    assert run(purse.settle(first.kind, 0), card) is None


@BOTH
@pytest.mark.parametrize(
    ("kind", "which"),
    [
        (Kind.PURSE_PURCHASE, Which.PURSE),
        (Kind.PASSBOOK_PURCHASE, Which.PASSBOOK),
        (Kind.CASH, Which.PASSBOOK),
    ],
)
def test_a_purchase_is_proved_and_logged(algorithm: Algorithm, kind: Kind, which: Which) -> None:
    """TAC is the issuer's, MAC2 the terminal's; the proof can be fetched again."""
    card = opened(wallet_chip(algorithm), algorithm)
    load(card, algorithm, 500, which)
    tac = handle(KeyUsage.TAC, wallet.INTERNAL, algorithm)
    key = handle(KeyUsage.PURCHASE_SOFT, wallet.PURCHASE, algorithm)

    paid = run(purse.purchase(order(120), key, 7, kind), card)

    assert paid.balance == run(purse.balance(which), card) == 380
    assert paid.proof == tac.tac4(TERMINAL, 7, DATE, TIME, 120, kind)
    assert run(purse.settle(kind, paid.counter), card) == (paid.mac2, paid.proof)
    newest = run(purse.read_purse_log(limit=3), card)[0]
    assert (newest.kind, newest.amount, newest.psam_no) == (kind, 120, TERMINAL)


@BOTH
def test_unload_and_overdraft_are_proved(algorithm: Algorithm) -> None:
    """MAC3 of an unload and the TAC of a new limit are checked, and the balance follows."""
    card = opened(wallet_chip(algorithm), algorithm)
    tac = handle(KeyUsage.TAC, wallet.INTERNAL, algorithm)
    load(card, algorithm, 1000, Which.PASSBOOK)

    out = run(purse.unload(order(300), handle(KeyUsage.UNLOAD, wallet.UNLOAD, algorithm)), card)
    limit = handle(KeyUsage.OVERDRAFT, wallet.LIMIT, algorithm)
    raised = run(purse.set_overdraft(order(250), limit, tac), card)
    lowered = run(purse.set_overdraft(order(50), limit, tac), card)

    assert (out.balance, raised.balance, lowered.balance) == (700, 950, 750)
    assert run(purse.balance(Which.PASSBOOK), card) == 750


def test_a_load_equals_the_published_trace() -> None:
    """Commands and TAC are those of a real card (klks/fmcos-python, e-wallet record)."""
    key = handle(KeyUsage.LOAD, TRACE_KEY, Algorithm.TDES)
    tac = handle(KeyUsage.TAC, TRACE_KEY, Algorithm.TDES)
    mac1 = "03976C22"
    script = Script(f"00000000 0000 00 02 C903814D {mac1} 9000", "FA00066D 9000")

    done = run(purse.load(Order(0x2000, TERMINAL, TRACE_DATE, TRACE_TIME, 2), key, tac), script)

    assert script.sent == [
        "805000020B020000200000112233445510",
        "805200000B201612161058008AFA571804",
    ]
    assert done.balance == 0x2000


def test_a_purchase_equals_the_published_trace() -> None:
    """MAC1 and MAC2 of a purchase are those of a real card (same record)."""
    key = handle(KeyUsage.PURCHASE_SOFT, TRACE_KEY, Algorithm.TDES)
    script = Script("00002000 0000 000000 00 00 584633C9 9000", "8AF270DC66B54A6B 9000")
    bought = Order(1, TERMINAL, TRACE_DATE, bytes.fromhex("134600"))

    done = run(purse.purchase(bought, key, 0), script)

    assert script.sent[1] == "805401000F0000000020161216134600D45737C508"
    assert done.balance == 0x1FFF


@BOTH
def test_a_wrong_load_key_stops_before_anything_moves(algorithm: Algorithm) -> None:
    """MAC1 of the card does not fit another key: nothing is sent that could load."""
    card = opened(wallet_chip(algorithm), algorithm)
    wrong = handle(KeyUsage.LOAD, wallet.UNLOAD, algorithm)

    with pytest.raises(CardProofWrong) as caught:
        run(purse.load(order(1), wrong), card)

    assert (caught.value.what, caught.value.committed) == ("MAC1", False)
    assert run(purse.balance(), card) == 0


@BOTH
def test_a_wrong_tac_says_that_the_money_moved(algorithm: Algorithm) -> None:
    """A load whose TAC is wrong did happen, and the error says so."""
    card = opened(wallet_chip(algorithm), algorithm)
    key = handle(KeyUsage.LOAD, wallet.LOAD, algorithm)
    other = handle(KeyUsage.TAC, TRACE_KEY, algorithm)

    with pytest.raises(CardProofWrong) as caught:
        run(purse.load(order(9), key, other), card)

    assert caught.value.committed
    assert run(purse.balance(), card) == 9


@BOTH
def test_a_wrong_purchase_key_pays_nothing(algorithm: Algorithm) -> None:
    """The card refuses MAC1 and keeps its money."""
    card = opened(wallet_chip(algorithm), algorithm)
    load(card, algorithm, 10, Which.PURSE)
    wrong = handle(KeyUsage.PURCHASE_SOFT, wallet.LOAD, algorithm)

    with pytest.raises(MacRejected):
        run(purse.purchase(order(3), wrong, 1), card)
    with pytest.raises(StatusError) as caught:
        run(purse.purchase(order(11), wrong, 2), card)

    assert run(purse.balance(), card) == 10
    assert caught.value.sw == 0x9401


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Order(-1, TERMINAL, DATE, TIME),
        lambda: Order(1 << 32, TERMINAL, DATE, TIME),
        lambda: Order(1, b"", DATE, TIME),
        lambda: Order(1, TERMINAL, b"", TIME),
        lambda: Order(1, TERMINAL, DATE, TIME, 256),
        lambda: run(
            purse.set_overdraft(
                order(1 << 24), handle(KeyUsage.OVERDRAFT, bytes(16), Algorithm.TDES)
            ),
            Script(),
        ),
        lambda: run(
            purse.purchase(
                order(1), handle(KeyUsage.PURCHASE_SOFT, bytes(16), Algorithm.TDES), 0, Kind.LIMIT
            ),
            Script(),
        ),
    ],
)
def test_what_does_not_fit_never_reaches_a_card(wrong: object) -> None:
    """Amounts, terminals and kinds out of range are typed errors before the first command."""
    assert callable(wrong)
    with pytest.raises(LayoutError):
        wrong()


def test_the_volunteer_s_commands_stay_as_they_were() -> None:
    """GET BALANCE and PROVE without arguments mean purse and composite purchase."""
    assert purse.get_balance() == CommandApdu(0x80, 0x5C, 0x00, 0x02, le=4)
    assert purse.get_transaction_prove(7).p2 == Kind.COMPOSITE
