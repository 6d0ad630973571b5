# SPDX-License-Identifier: Apache-2.0
"""The probe of a card type: what it needs, and what it notices when a card falls short."""

from __future__ import annotations

import dataclasses

import pytest

from card.attempts import AttemptGuard
from card.card_keys import CardKeys
from card.drivers import Capability, require
from card.errors import CapabilityMissing
from card.operation import run
from card.probe import FINDINGS, Capabilities, probe
from card.psam import PsamCard
from card.tap import TapRequest
from card.volunteer import VolunteerCard
from hardware_mocks.cardos.cos import VirtualCard
from keys.algorithm import Algorithm
from keys.store import FileKeyStore
from tests.contracts.connection_cards import (
    ASN,
    card_data,
    in_process,
    issue,
    issued_card,
    issued_psam,
)

NINE = 1_795_222_800
CHINA = 32
FIT = Capabilities(True, True, True, True, True, True, False, True, False)


@pytest.fixture
def keys(store: FileKeyStore) -> CardKeys:
    """The keys of the test card."""
    return CardKeys.from_store(store, ASN, 1)


def test_a_card_with_sm4_keys_is_fit(sm4_store: FileKeyStore) -> None:
    """The probe computes with whatever algorithm the card's keys have."""
    chip = VirtualCard()
    issue(sm4_store, chip, card_data(algorithm=Algorithm.SM4))
    keys = CardKeys.from_store(sm4_store, ASN, 1)

    assert run(probe(keys, NINE, CHINA, AttemptGuard()), in_process(chip)) == FIT


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Capabilities)])
def test_finding_is_labelled(name: str) -> None:
    """Each finding has words in two languages."""
    assert FINDINGS[name].zh
    assert FINDINGS[name].en


@pytest.mark.parametrize(
    ("wrong", "lacking"),
    [
        ("presence", Capability.INTERNAL_AUTHENTICATE),
        ("tac", Capability.COMPOSITE_PURCHASE),
        ("mac2", Capability.COMPOSITE_PURCHASE),
        ("counter", Capability.COMPOSITE_PURCHASE),
        ("record", Capability.COMPOSITE_PURCHASE),
        ("log_before", Capability.COMPOSITE_PURCHASE),
        ("prove", Capability.TRANSACTION_PROOF),
    ],
)
def test_a_profile_refuses_what_the_probe_found_missing(wrong: str, lacking: Capability) -> None:
    """What the probe saw fail is a capability the card lacks, and the refusal names it."""
    found = dataclasses.replace(FIT, **{wrong: False})

    require("standard", "probed card", FIT.found)
    with pytest.raises(CapabilityMissing) as caught:
        require("standard", "probed card", found.found)

    assert caught.value.capability == lacking.label
    assert not found.fit


def test_the_probe_says_which_counter_prove_and_log_bear() -> None:
    """Before the step, after it, or neither."""
    after = dataclasses.replace(FIT, prove=False, prove_after=True, log_before=False)

    assert (FIT.prove_wants, FIT.log_bears) == ("before", "before")
    assert (after.prove_wants, after.log_bears) == ("after", None)
    assert dataclasses.replace(after, log_after=True).log_bears == "after"
    assert dataclasses.replace(after, prove_after=False).prove_wants is None


def test_the_virtual_card_is_fit(store: FileKeyStore, keys: CardKeys) -> None:
    """The reference dialect does everything, with the counter before the step."""
    found = run(probe(keys, NINE, CHINA, AttemptGuard()), in_process(issued_card(store)))

    assert found == FIT
    assert found.fit


def test_a_probe_leaves_the_open_service(store: FileKeyStore, keys: CardKeys) -> None:
    """The composite record of the last tap is written back as it was."""
    connection = in_process(issued_card(store))
    card = VolunteerCard(connection)
    card.clock_in(TapRequest(PsamCard(in_process(issued_psam(store))), NINE, CHINA, 101, bytes(8)))
    before = card.open_service()

    run(probe(keys, NINE + 60, CHINA, AttemptGuard()), connection)

    assert before is not None
    assert VolunteerCard(connection).open_service() == before


@pytest.mark.parametrize(
    ("ins", "falls"),
    [(0x88, "presence"), (0x54, "tac"), (0x5A, "prove")],
    ids=["wrong CG2", "wrong TAC", "wrong proof"],
)
def test_a_card_that_computes_otherwise_is_noticed(
    store: FileKeyStore, keys: CardKeys, ins: int, falls: str
) -> None:
    """One wrong answer makes the card unfit and says which capability it lacks."""
    inner = in_process(issued_card(store))

    class Otherwise:
        def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
            data, sw = inner.transmit(apdu)
            return (bytes([data[0] ^ 1]) + data[1:], sw) if apdu[1] == ins and data else (data, sw)

    found = run(probe(keys, NINE, CHINA, AttemptGuard()), Otherwise())

    assert not getattr(found, falls)
    assert not found.fit
