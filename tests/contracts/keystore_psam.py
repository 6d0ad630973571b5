# SPDX-License-Identifier: Apache-2.0
"""What every purchase SAM must do; software and card are run through these checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pytest

from keys.errors import Mac2Rejected, NoTransaction, PsamBlocked, UnknownKey
from keys.psam import MAC2_ERRORS_MAX, Psam, PurchaseRequest
from keys.working import WorkingKey

ASN8 = bytes.fromhex("5949000000000018")
DATE, TIME = bytes.fromhex("20261121"), bytes.fromhex("090000")


class PsamMaker(Protocol):
    """Make a new PSAM whose purchase key for card ``ASN8`` is ``card_key``; open it again."""

    card_key: WorkingKey

    def __call__(self, *, again: bool = False) -> Psam:
        """Give the PSAM."""


def request(key_version: int = 1, algorithm: int = 0) -> PurchaseRequest:
    """Ask as a terminal does after INITIALIZE FOR CAPP PURCHASE."""
    return PurchaseRequest(
        rand=bytes.fromhex("584633c9"),
        card_ctr=7,
        amount=0,
        kind=9,
        date=DATE,
        time=TIME,
        key_version=key_version,
        algorithm=algorithm,
        diversifier=ASN8,
    )


def _ask(make: PsamMaker, key_version: int = 1) -> PurchaseRequest:
    """Ask for a card of the maker's algorithm."""
    return request(key_version, make.card_key.algorithm.card_id)


def check_mac1_and_mac2_are_the_cards(make: PsamMaker) -> None:
    """MAC1 is what the card expects, and the card's MAC2 is accepted."""
    psam = make()
    grant = psam.init_purchase(_ask(make))
    session = make.card_key.session(bytes.fromhex("584633c9"), 7, grant.psam_seq)

    assert grant.mac1 == session.mac1(0, 9, psam.number, DATE, TIME)
    psam.credit_purchase(session.mac2(0))


def check_number_rises_on_every_call(make: PsamMaker) -> None:
    """The transaction number rises by one each time, answered or not, also after reopening."""
    psam = make()
    first = [psam.init_purchase(_ask(make)).psam_seq for _ in range(5)]
    second = [make(again=True).init_purchase(_ask(make)).psam_seq for _ in range(3)]

    assert first + second == list(range(first[0], first[0] + 8))


def check_wrong_mac2_is_refused_once_begun(make: PsamMaker) -> None:
    """A wrong MAC2 is refused; without a purchase begun there is nothing to credit."""
    psam = make()
    with pytest.raises(NoTransaction):
        psam.credit_purchase(bytes(4))
    psam.init_purchase(_ask(make))
    with pytest.raises(Mac2Rejected):
        psam.credit_purchase(bytes(4))
    with pytest.raises(NoTransaction):
        psam.credit_purchase(bytes(4))


def check_too_many_wrong_mac2_block_for_good(make: PsamMaker) -> None:
    """Ten wrong MAC2 in a row end the PSAM's life, also after reopening."""
    psam = make()
    for _ in range(MAC2_ERRORS_MAX - 1):
        psam.init_purchase(_ask(make))
        with pytest.raises(Mac2Rejected):
            psam.credit_purchase(bytes(4))
    psam.init_purchase(_ask(make))
    with pytest.raises((PsamBlocked, Mac2Rejected)):
        psam.credit_purchase(bytes(4))

    with pytest.raises(PsamBlocked):
        make(again=True).init_purchase(_ask(make))


def check_a_right_mac2_forgives(make: PsamMaker) -> None:
    """Wrong MAC2 count only in a row."""
    psam = make()
    for round_ in range(2 * MAC2_ERRORS_MAX):
        grant = psam.init_purchase(_ask(make))
        session = make.card_key.session(bytes.fromhex("584633c9"), 7, grant.psam_seq)
        if round_ % 2:
            psam.credit_purchase(session.mac2(0))
        else:
            with pytest.raises(Mac2Rejected):
                psam.credit_purchase(bytes(4))

    assert psam.init_purchase(_ask(make)).psam_seq > 0


def check_unknown_key_version_is_refused(make: PsamMaker) -> None:
    """A card of a key version that the PSAM lacks is refused by that version."""
    with pytest.raises(UnknownKey, match="version 9"):
        make().init_purchase(_ask(make, key_version=9))


def check_unknown_algorithm_is_refused(make: PsamMaker) -> None:
    """A card that names no algorithm of the version is refused and takes no number."""
    psam = make()
    before = psam.init_purchase(_ask(make)).psam_seq
    with pytest.raises(UnknownKey, match="version 1"):
        psam.init_purchase(request(algorithm=0x77))

    assert psam.init_purchase(_ask(make)).psam_seq == before + 1


CHECKS: list[Callable[[PsamMaker], None]] = [
    check_mac1_and_mac2_are_the_cards,
    check_number_rises_on_every_call,
    check_wrong_mac2_is_refused_once_begun,
    check_too_many_wrong_mac2_block_for_good,
    check_a_right_mac2_forgives,
    check_unknown_key_version_is_refused,
    check_unknown_algorithm_is_refused,
]
